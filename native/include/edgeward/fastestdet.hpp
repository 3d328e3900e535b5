// The head of FastestDet (github.com/dog-qiuqiu/FastestDet).
#pragma once

#include "edgeward/detect.hpp"

namespace edgeward {

// `output`: (5 + classes, H, W): objectness after the sigmoid; x, y, w, h as the network gives them; class
// scores after the softmax. score = objectness^0.6 * class^0.4, centre = (cell + tanh(x, y)) / (W, H),
// size = sigmoid(w, h), as fractions of the input, whose size is unit_x, unit_y tensor pixels.
// Throws std::invalid_argument where the shape does not fit.
Decoded decode_fastestdet(const Output& output, float unit_x, float unit_y, const DetectSpec& detect);

}  // namespace edgeward
