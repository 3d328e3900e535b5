// The heads of YOLOv5 (Ultralytics) and YOLOv7 (Wang et al. 2022, arXiv:2207.02696).
#pragma once

#include <span>
#include <vector>

#include "edgeward/detect.hpp"

namespace edgeward {

// Decoded in the graph: (rows, 5 + classes): centre and size in units, objectness, class scores, all after
// the sigmoid. Throws std::invalid_argument where the shape does not fit.
Decoded decode_yolov5(const Output& output, float unit_x, float unit_y, const DetectSpec& detect);

struct Yolov5HeadsSpec {
  InputGrids input{};
  // Width and height of each anchor in tensor pixels, for each stride: 10,13, 16,30, 33,23.
  std::vector<std::vector<float>> anchors;
  // (A * (5 + classes), H, W), else (A, H, W, 5 + classes).
  bool channels_first = true;
};

// One raw output a stride, before the sigmoid. With s = sigmoid(output): centre = (2 s - 0.5 + cell) * stride,
// size = (2 s)^2 * anchor, score = s(objectness) * s(class). Rows are counted anchor by anchor, line by line,
// through all outputs. Throws std::invalid_argument where a shape does not fit the spec.
Decoded decode_yolov5_heads(std::span<const Output> outputs, const Yolov5HeadsSpec& spec, const DetectSpec& detect);

}  // namespace edgeward
