// Heads whose distances to the four sides are distributions over 0..reg_max ("Distribution Focal Loss",
// Li et al. 2020, arXiv:2006.04388): NanoDet-Plus, PicoDet, raw YOLOv8.
#pragma once

#include <span>

#include "edgeward/detect.hpp"

namespace edgeward {

enum class DflLayout {
  rows,        // one output (N, C + 4 * bins) of all strides
  split_rows,  // class scores (n, C) of each stride, then distances (n, 4 * bins) of each
  maps,        // for each stride distances (4 * bins, h, w), then class scores (C, h, w)
};

struct DflSpec {
  InputGrids input{};  // covered by its cells, also where a stride does not divide it
  std::size_t classes = 0;
  int reg_max = 7;  // bins = reg_max + 1
  DflLayout layout = DflLayout::rows;
  float cell_offset = 0.F;
  bool sigmoid = false;  // class scores are logits
};

// A distance is the mean of softmax(bins), in strides, from (cell + cell_offset) * stride: left, top, right,
// bottom. Throws std::invalid_argument where a shape does not fit the spec.
Decoded decode_dfl(std::span<const Output> outputs, const DflSpec& spec, const DetectSpec& detect);

}  // namespace edgeward
