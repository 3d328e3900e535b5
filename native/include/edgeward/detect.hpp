// What all decoders of detectors share: limits, the way back to the source picture, the grids of a head.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "edgeward/nms.hpp"

namespace edgeward {

// Tensor to source: x_source = (x_tensor - pad_x) / scale_x + crop_x, in pixels, 0 is the left edge.
struct Placement {
  double scale_x = 1.;
  double scale_y = 1.;
  double pad_x = 0.;
  double pad_y = 0.;
  double crop_x = 0.;
  double crop_y = 0.;
  double frame_width = 0.;
  double frame_height = 0.;
  // Where the frame, or the part of it that is looked at, begins.
  double frame_left = 0.;
  double frame_top = 0.;
};

struct DetectSpec {
  float score_threshold = 0.F;  // 0..1; a score equal to it passes
  NmsLimits nms{};
  Placement place{};
};

// Throws std::invalid_argument for what is out of range; the text says what, and what would be right.
void check(const DetectSpec& spec);

// The same for tensor pixels a unit of boxes: 1 for pixels, the input's size for fractions of it.
void check_units(float unit_x, float unit_y);

struct Decoded {
  std::vector<Detection> detections;  // source pixels, clipped to the frame; best score first
  std::size_t broken = 0;             // rows that passed, or could not be judged, and were not finite
};

// A model's output: the values in C order, and the shape without the leading 1.
struct Output {
  std::span<const float> values;
  std::vector<std::size_t> shape;
};

// Throws std::invalid_argument unless the output has that many dimensions and as many values as its shape
// says; `meaning` is what the error text calls the right shape.
void check(const Output& output, std::size_t dimensions, const std::string& name, const std::string& meaning);

// The tensor that the model looked at, pixels, and the strides of its grids.
struct InputGrids {
  int width = 0;
  int height = 0;
  std::vector<int> strides{8, 16, 32};
};

struct Grid {
  std::size_t columns;
  std::size_t lines;
  float stride;
  std::size_t cells() const { return columns * lines; }
};

// Whole cells only (the strides must divide the input), or as many as cover the input.
enum class Cells { whole, covering };
std::vector<Grid> make_grids(const InputGrids& input, Cells cells);

// "128x96 with strides 8, 16, 32": for error texts.
std::string describe(const InputGrids& input);

}  // namespace edgeward
