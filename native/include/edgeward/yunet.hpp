// The head of YuNet (Wu, Peng, Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector",
// doi:10.1007/s11633-023-1423-y).
#pragma once

#include <span>

#include "edgeward/detect.hpp"

namespace edgeward {

// Outputs: for each stride class scores (cells, 1), then objectness (cells, 1) of each, then boxes (cells, 4) of
// each; others behind them are not looked at. score = sqrt(class * objectness), both held to 0..1;
// centre = (cell + offset) * stride, size = exp(logarithm) * stride. A cell that is partly outside the input
// counts. Throws std::invalid_argument where a shape does not fit the input's grids.
Decoded decode_yunet(std::span<const Output> outputs, const InputGrids& input, const DetectSpec& detect);

}  // namespace edgeward
