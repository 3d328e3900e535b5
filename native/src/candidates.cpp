#include "candidates.hpp"

#include <algorithm>

namespace edgeward {
namespace {

// Twice the area included: boxes that large are nonsense, and the union of two could not be computed.
bool is_finite(const Detection& d) {
  return std::isfinite(d.x1) && std::isfinite(d.y1) && std::isfinite(d.x2) && std::isfinite(d.y2) &&
         std::isfinite(2.F * (d.x2 - d.x1) * (d.y2 - d.y1)) && std::isfinite(d.score);
}

Detection to_source(Detection d, const Placement& place) {
  const auto lead = [](float v, double pad, double scale, double crop, double from, double to) {
    return static_cast<float>(std::clamp((static_cast<double>(v) - pad) / scale + crop, from, to));
  };
  d.x1 = lead(d.x1, place.pad_x, place.scale_x, place.crop_x, place.frame_left, place.frame_width);
  d.x2 = lead(d.x2, place.pad_x, place.scale_x, place.crop_x, place.frame_left, place.frame_width);
  d.y1 = lead(d.y1, place.pad_y, place.scale_y, place.crop_y, place.frame_top, place.frame_height);
  d.y2 = lead(d.y2, place.pad_y, place.scale_y, place.crop_y, place.frame_top, place.frame_height);
  return d;
}

Box frame_in_tensor(const Placement& place) {
  const auto lead = [](double v, double pad, double scale, double crop) {
    return static_cast<float>((v - crop) * scale + pad);
  };
  return {lead(place.frame_left, place.pad_x, place.scale_x, place.crop_x),
          lead(place.frame_top, place.pad_y, place.scale_y, place.crop_y),
          lead(place.frame_width, place.pad_x, place.scale_x, place.crop_x),
          lead(place.frame_height, place.pad_y, place.scale_y, place.crop_y)};
}

bool share_area(const Box& a, const Detection& b) {
  return b.x1 < b.x2 && b.y1 < b.y2 && b.x1 < a.x2 && b.x2 > a.x1 && b.y1 < a.y2 && b.y2 > a.y1;
}

}  // namespace

Candidates::Candidates(const DetectSpec& spec) : spec_(spec), frame_(frame_in_tensor(spec.place)) { check(spec); }

void Candidates::add(const Box& box, float score, std::int32_t label, std::size_t row) {
  const Detection detection{box.x1, box.y1, box.x2, box.y2, score, label, static_cast<std::int32_t>(row)};
  if (!is_finite(detection)) {
    ++broken_;
    return;
  }
  if (!share_area(frame_, detection)) {
    return;
  }
  kept_.push_back(detection);
  // What could not enter suppression anyway goes now and then, so that a threshold of 0 needs no memory
  // of the output's size.
  const auto most = static_cast<std::size_t>(spec_.nms.max_candidates);
  if (kept_.size() >= 1024 && kept_.size() / 2 >= most) {
    keep_best(kept_, most);
  }
}

Decoded Candidates::finish() {
  Decoded decoded;
  decoded.broken = broken_;
  for (const Detection& kept : suppress(std::move(kept_), spec_.nms)) {
    const Detection placed = to_source(kept, spec_.place);
    // In float32 an edge of the frame may leave nothing of a box after all.
    if (placed.x2 > placed.x1 && placed.y2 > placed.y1) {
      decoded.detections.push_back(placed);
    }
  }
  return decoded;
}

}  // namespace edgeward
