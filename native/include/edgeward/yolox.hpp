// The output head of YOLOX (Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv:2107.08430).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "edgeward/nms.hpp"

namespace edgeward {

struct YoloxSpec {
  int input_width = 0;
  int input_height = 0;
  std::vector<int> strides{8, 16, 32};
  float score_threshold = 0.F;
  NmsLimits nms{};
  // Tensor to source: x_source = (x_tensor - pad_x) / scale_x + crop_x.
  double scale_x = 1.;
  double scale_y = 1.;
  double pad_x = 0.;
  double pad_y = 0.;
  double crop_x = 0.;
  double crop_y = 0.;
  double frame_width = 0.;
  double frame_height = 0.;
};

struct YoloxResult {
  std::vector<Detection> detections;  // source pixels, clipped to the frame
  std::size_t skipped = 0;            // rows left out since they were not finite
};

// `output`: rows of 5 + classes floats: centre offsets x, y, logarithms of width and height, objectness,
// class scores (after the sigmoid). Throws std::invalid_argument where the shape does not fit the spec.
YoloxResult decode_yolox(std::span<const float> output, std::size_t rows, std::size_t columns,
                         const YoloxSpec& spec);

}  // namespace edgeward
