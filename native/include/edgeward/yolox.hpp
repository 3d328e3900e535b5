// The output head of YOLOX (Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv:2107.08430).
#pragma once

#include "edgeward/detect.hpp"

namespace edgeward {

// `output`: (rows, 5 + classes): centre offsets x, y, logarithms of width and height, objectness, class
// scores (after the sigmoid); rows cell by cell, line by line, stride by stride.
// Throws std::invalid_argument where the shape does not fit the input's grids.
Decoded decode_yolox(const Output& output, const InputGrids& input, const DetectSpec& detect);

}  // namespace edgeward
