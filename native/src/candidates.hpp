// Boxes that passed the threshold, on their way to suppression and to the source picture.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "edgeward/detect.hpp"

namespace edgeward {

// Corners in tensor pixels.
struct Box {
  float x1;
  float y1;
  float x2;
  float y2;

  static Box around(float x, float y, float width, float height) {
    const float half_width = width * 0.5F;
    const float half_height = height * 0.5F;
    return {x - half_width, y - half_height, x + half_width, y + half_height};
  }
};

class Candidates {
 public:
  // Throws std::invalid_argument where the spec is out of range.
  explicit Candidates(const DetectSpec& spec);

  float threshold() const { return spec_.score_threshold; }

  // A row that cannot be judged since a score in it is not finite.
  void add_broken() { ++broken_; }

  // A row that passed. One that is not finite is counted, not kept; a box without area in the frame, such as
  // one that lies wholly in the padding, is left out at once, so that it neither suppresses another nor takes
  // its place among the best.
  void add(const Box& box, float score, std::int32_t label, std::size_t row);

  // Suppresses, leads back to the source and clips; at the end, once.
  Decoded finish();

 private:
  const DetectSpec& spec_;
  Box frame_;  // where the source's frame lies in the tensor
  std::vector<Detection> kept_;
  std::size_t broken_ = 0;
};

}  // namespace edgeward
