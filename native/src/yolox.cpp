#include "edgeward/yolox.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace edgeward {
namespace {

constexpr std::size_t box_columns = 5;  // x, y, w, h, objectness
constexpr int max_side = 16384;

void check_limits(const YoloxSpec& spec) {
  if (spec.input_width < 1 || spec.input_height < 1 || spec.input_width > max_side || spec.input_height > max_side) {
    throw std::invalid_argument("input_width and input_height must be 1.." + std::to_string(max_side));
  }
  if (spec.nms.max_candidates < 1 || spec.nms.max_detections < 1) {
    throw std::invalid_argument("max_candidates and max_detections must be 1 or more");
  }
  const auto fraction = [](float v) { return v >= 0.F && v <= 1.F; };
  if (!fraction(spec.score_threshold) || !fraction(spec.nms.iou_threshold)) {
    throw std::invalid_argument("score_threshold and iou_threshold must be 0..1");
  }
  for (const double v : {spec.scale_x, spec.scale_y, spec.frame_width, spec.frame_height}) {
    if (!std::isfinite(v) || v <= 0.) {
      throw std::invalid_argument("scale_x, scale_y, frame_width and frame_height must be finite and above 0");
    }
  }
  for (const double v : {spec.pad_x, spec.pad_y, spec.crop_x, spec.crop_y}) {
    if (!std::isfinite(v)) {
      throw std::invalid_argument("pad_x, pad_y, crop_x and crop_y must be finite");
    }
  }
}

void check_shape(std::size_t values, std::size_t rows, std::size_t columns, const YoloxSpec& spec) {
  if (columns <= box_columns) {
    throw std::invalid_argument("output must have 5 + classes columns, at least 6, not " + std::to_string(columns));
  }
  std::size_t expected = 0;
  std::string strides;
  for (const int stride : spec.strides) {
    if (stride < 1 || spec.input_width % stride != 0 || spec.input_height % stride != 0) {
      throw std::invalid_argument("stride " + std::to_string(stride) + " does not divide the input of " +
                                  std::to_string(spec.input_width) + "x" + std::to_string(spec.input_height));
    }
    expected += static_cast<std::size_t>(spec.input_width / stride) * static_cast<std::size_t>(spec.input_height / stride);
    strides += (strides.empty() ? "" : ", ") + std::to_string(stride);
  }
  if (rows != expected) {
    throw std::invalid_argument("output has " + std::to_string(rows) + " rows, but an input of " +
                                std::to_string(spec.input_width) + "x" + std::to_string(spec.input_height) +
                                " with strides " + strides + " gives " + std::to_string(expected));
  }
  if (values != rows * columns) {
    throw std::invalid_argument("output has " + std::to_string(values) + " values, not rows x columns");
  }
}

struct Best {
  float score;
  std::int32_t label;
  bool finite;
};

Best best_class(const float* scores, std::size_t classes) {
  Best best{-std::numeric_limits<float>::infinity(), 0, true};
  for (std::size_t c = 0; c < classes; ++c) {
    best.finite = best.finite && std::isfinite(scores[c]);
    if (scores[c] > best.score) {
      best = {scores[c], static_cast<std::int32_t>(c), best.finite};
    }
  }
  return best;
}

// One grid cell's box, in tensor pixels. Section 2.1 of the paper, "anchor-free".
Detection box(const float* row, int column, int line, int stride) {
  const auto step = static_cast<float>(stride);
  const float x = (row[0] + static_cast<float>(column)) * step;
  const float y = (row[1] + static_cast<float>(line)) * step;
  const float half_width = std::exp(row[2]) * step * 0.5F;
  const float half_height = std::exp(row[3]) * step * 0.5F;
  return {x - half_width, y - half_height, x + half_width, y + half_height, 0.F, 0, 0};
}

// Area included: boxes that large are nonsense, and their overlap could not be computed.
bool is_finite(const Detection& d) {
  return std::isfinite(d.x1) && std::isfinite(d.y1) && std::isfinite(d.x2) && std::isfinite(d.y2) &&
         std::isfinite((d.x2 - d.x1) * (d.y2 - d.y1)) && std::isfinite(d.score);
}

class Decoder {
 public:
  Decoder(const float* output, std::size_t columns, const YoloxSpec& spec)
      : output_(output), columns_(columns), spec_(spec) {}

  // The rows of one stride, in the order in which the head flattens its grid.
  void level(int stride) {
    for (int line = 0; line < spec_.input_height / stride; ++line) {
      for (int column = 0; column < spec_.input_width / stride; ++column, ++row_) {
        cell(column, line, stride);
      }
    }
  }

  std::vector<Detection> take() { return std::move(candidates_); }
  std::size_t skipped() const { return skipped_; }

 private:
  void cell(int column, int line, int stride) {
    const float* row = output_ + row_ * columns_;
    const float objectness = row[4];
    // Class scores are at most 1, so the product cannot pass where this does not. NaN goes on, to be counted.
    if (objectness < spec_.score_threshold) {
      return;
    }
    const Best best = best_class(row + box_columns, columns_ - box_columns);
    const float score = objectness * best.score;
    if (best.finite && score < spec_.score_threshold) {
      return;
    }
    Detection detection = box(row, column, line, stride);
    detection.score = score;
    detection.label = best.label;
    detection.row = static_cast<std::int32_t>(row_);
    if (!best.finite || !is_finite(detection)) {
      ++skipped_;
      return;
    }
    candidates_.push_back(detection);
  }

  const float* output_;
  std::size_t columns_;
  const YoloxSpec& spec_;
  std::size_t row_ = 0;
  std::size_t skipped_ = 0;
  std::vector<Detection> candidates_;
};

Detection to_source(Detection d, const YoloxSpec& spec) {
  const auto place = [](float v, double pad, double scale, double crop, double limit) {
    return static_cast<float>(std::clamp((static_cast<double>(v) - pad) / scale + crop, 0., limit));
  };
  d.x1 = place(d.x1, spec.pad_x, spec.scale_x, spec.crop_x, spec.frame_width);
  d.x2 = place(d.x2, spec.pad_x, spec.scale_x, spec.crop_x, spec.frame_width);
  d.y1 = place(d.y1, spec.pad_y, spec.scale_y, spec.crop_y, spec.frame_height);
  d.y2 = place(d.y2, spec.pad_y, spec.scale_y, spec.crop_y, spec.frame_height);
  return d;
}

}  // namespace

YoloxResult decode_yolox(std::span<const float> output, std::size_t rows, std::size_t columns,
                         const YoloxSpec& spec) {
  check_limits(spec);
  check_shape(output.size(), rows, columns, spec);
  Decoder decoder(output.data(), columns, spec);
  for (const int stride : spec.strides) {
    decoder.level(stride);
  }
  YoloxResult result;
  result.skipped = decoder.skipped();
  for (const Detection& kept : suppress(decoder.take(), spec.nms)) {
    const Detection placed = to_source(kept, spec);
    // A box that lies wholly in the padding is no place in the frame.
    if (placed.x2 > placed.x1 && placed.y2 > placed.y1) {
      result.detections.push_back(placed);
    }
  }
  return result;
}

}  // namespace edgeward
