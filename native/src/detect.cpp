#include "edgeward/detect.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>

namespace edgeward {
namespace {

constexpr int max_side = 16384;

void check(const Placement& place) {
  for (const double v : {place.scale_x, place.scale_y, place.frame_width, place.frame_height}) {
    if (!std::isfinite(v) || v <= 0.) {
      throw std::invalid_argument("scale_x, scale_y, frame_width and frame_height must be finite and above 0");
    }
  }
  for (const double v : {place.pad_x, place.pad_y, place.crop_x, place.crop_y}) {
    if (!std::isfinite(v)) {
      throw std::invalid_argument("pad_x, pad_y, crop_x and crop_y must be finite");
    }
  }
  const auto begins = [](double from, double to) { return from >= 0. && from < to; };
  if (!begins(place.frame_left, place.frame_width) || !begins(place.frame_top, place.frame_height)) {
    throw std::invalid_argument("frame_left and frame_top must be 0 or more and less than frame_width, frame_height");
  }
}

}  // namespace

void check(const DetectSpec& spec) {
  if (spec.nms.max_candidates < 1 || spec.nms.max_detections < 1) {
    throw std::invalid_argument("max_candidates and max_detections must be 1 or more");
  }
  const auto fraction = [](float v) { return v >= 0.F && v <= 1.F; };
  if (!fraction(spec.score_threshold) || !fraction(spec.nms.iou_threshold)) {
    throw std::invalid_argument("score_threshold and iou_threshold must be 0..1");
  }
  check(spec.place);
}

void check_units(float unit_x, float unit_y) {
  for (const float v : {unit_x, unit_y}) {
    if (!std::isfinite(v) || v <= 0.F) {
      throw std::invalid_argument("unit_x and unit_y must be finite and above 0");
    }
  }
}

void check(const Output& output, std::size_t dimensions, const std::string& name, const std::string& meaning) {
  std::string shape;
  std::size_t values = 1;
  // Rows and classes are counted in 32 bits.
  constexpr std::size_t most = std::numeric_limits<std::int32_t>::max();
  for (const std::size_t size : output.shape) {
    shape += (shape.empty() ? "" : ", ") + std::to_string(size);
    if (size != 0 && values > most / size) {
      throw std::invalid_argument(name + " has more than 2^31 values");
    }
    values *= size;
  }
  if (output.shape.size() != dimensions) {
    throw std::invalid_argument(name + " has the shape (" + shape + "), expected (" + meaning + ")");
  }
  if (values != output.values.size()) {
    throw std::invalid_argument(name + " has " + std::to_string(output.values.size()) +
                                " values, not as many as its shape (" + shape + ")");
  }
}

std::vector<Grid> make_grids(const InputGrids& input, Cells cells) {
  if (input.width < 1 || input.height < 1 || input.width > max_side || input.height > max_side) {
    throw std::invalid_argument("input_width and input_height must be 1.." + std::to_string(max_side));
  }
  std::vector<Grid> grids;
  for (const int stride : input.strides) {
    const bool divides = stride >= 1 && input.width % stride == 0 && input.height % stride == 0;
    if (stride < 1 || stride > max_side || (cells == Cells::whole && !divides)) {
      throw std::invalid_argument("stride " + std::to_string(stride) + " does not divide the input of " +
                                  std::to_string(input.width) + "x" + std::to_string(input.height));
    }
    const auto count = [stride](int side) { return static_cast<std::size_t>((side + stride - 1) / stride); };
    grids.push_back({count(input.width), count(input.height), static_cast<float>(stride)});
  }
  return grids;
}

std::string describe(const InputGrids& input) {
  std::string strides;
  for (const int stride : input.strides) {
    strides += (strides.empty() ? "" : ", ") + std::to_string(stride);
  }
  return std::to_string(input.width) + "x" + std::to_string(input.height) + " with strides " + strides;
}

}  // namespace edgeward
