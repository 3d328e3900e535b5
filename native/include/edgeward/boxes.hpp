// Heads that give boxes and scores apart, or boxes that are ready.
#pragma once

#include <array>

#include "edgeward/detect.hpp"

namespace edgeward {

enum class Activation { none, sigmoid, softmax };

struct SsdSpec {
  bool background = true;  // the first score of a row is no class
  Activation activation = Activation::sigmoid;
  bool xywh = false;  // order of the offsets: x, y, width, height; else y, x, height, width
  std::array<float, 4> scales{10.F, 10.F, 5.F, 5.F};  // divide the offsets: y, x, height, width
  float unit_x = 1.F;  // the input's size, tensor pixels
  float unit_y = 1.F;
};

// SSD without post-processing (Liu et al. 2016, arXiv:1512.02325). `boxes` (N, 4) offsets from `priors` (N, 4):
// centre y, centre x, height, width as fractions of the input; `scores` (N, classes) or (N, 1 + classes).
// centre = offset / scale * prior size + prior centre, size = exp(offset / scale) * prior size.
// Throws std::invalid_argument where the shapes do not fit each other.
Decoded decode_ssd(const Output& boxes, const Output& scores, const Output& priors, const SsdSpec& spec,
                   const DetectSpec& detect);

// `boxes` (N, 4) x1, y1, x2, y2 in units, `scores` (N, classes) or, with background, (N, 1 + classes).
Decoded decode_corners(const Output& boxes, const Output& scores, bool background, float unit_x, float unit_y,
                       const DetectSpec& detect);

// (N, 6): x1, y1, x2, y2 in units, score, class index: the end of YOLOv10 (Wang et al. 2024, arXiv:2405.14458).
// A class index that is no number, or beyond 2^24, is counted as broken.
Decoded decode_rows(const Output& output, float unit_x, float unit_y, const DetectSpec& detect);

}  // namespace edgeward
