// The best few of many scores.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace edgeward {

struct Ranked {
  std::int32_t index;
  float score;
};

struct TopK {
  std::vector<Ranked> best;  // best first; equal scores by index
  std::size_t broken = 0;    // scores that are not finite; they are left out
};

// Throws std::invalid_argument for k < 1 or more than 2^31 - 1 scores.
TopK top_k(std::span<const float> scores, int k);

}  // namespace edgeward
