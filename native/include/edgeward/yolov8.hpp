// The decoded head of YOLOv8 and YOLO11 (Ultralytics), also with extra values a row: keypoints, mask weights.
#pragma once

#include <cstddef>

#include "edgeward/detect.hpp"

namespace edgeward {

struct Yolov8Spec {
  std::size_t classes = 0;
  bool channels_first = true;
  // Tensor pixels a unit of the boxes: 1 for pixels, the input's size for fractions.
  float unit_x = 1.F;
  float unit_y = 1.F;
};

// `output`: (4 + classes + extra, N) where channels_first, else (N, 4 + classes + extra): centre, size, class
// scores 0..1, and extra values, which are not looked at.
// Throws std::invalid_argument where the shape does not fit the spec.
Decoded decode_yolov8(const Output& output, const Yolov8Spec& spec, const DetectSpec& detect);

}  // namespace edgeward
