// Greedy non-maximum suppression.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace edgeward {

struct Detection {
  float x1;
  float y1;
  float x2;
  float y2;
  float score;
  std::int32_t label;
  std::int32_t row;  // where it came from; breaks ties between equal scores
};

struct NmsLimits {
  float iou_threshold = 0.45F;  // 1: nothing is suppressed
  bool class_agnostic = false;
  int max_candidates = 1000;
  int max_detections = 300;
};

float intersection_over_union(const Detection& a, const Detection& b);

// Leaves the best `most` by score, equal scores by row, in any order.
void keep_best(std::vector<Detection>& candidates, std::size_t most);

// Keeps the best of each heap of boxes that overlap by more than iou_threshold (and are of one class,
// unless class_agnostic). Sorted by score, best first; equal scores by row.
std::vector<Detection> suppress(std::vector<Detection> candidates, const NmsLimits& limits);

}  // namespace edgeward
