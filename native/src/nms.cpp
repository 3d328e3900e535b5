#include "edgeward/nms.hpp"

#include <algorithm>
#include <cstddef>

namespace edgeward {
namespace {

bool better(const Detection& a, const Detection& b) {
  return a.score != b.score ? a.score > b.score : a.row < b.row;
}

float area(const Detection& d) { return (d.x2 - d.x1) * (d.y2 - d.y1); }

bool is_covered(const Detection& candidate, const std::vector<Detection>& kept, const NmsLimits& limits) {
  return std::any_of(kept.begin(), kept.end(), [&](const Detection& best) {
    return (limits.class_agnostic || best.label == candidate.label) &&
           intersection_over_union(best, candidate) > limits.iou_threshold;
  });
}

}  // namespace

float intersection_over_union(const Detection& a, const Detection& b) {
  const float width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const float height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  if (!(width > 0.F && height > 0.F)) {
    return 0.F;
  }
  const float shared = width * height;
  return shared / (area(a) + area(b) - shared);
}

void keep_best(std::vector<Detection>& candidates, std::size_t most) {
  if (candidates.size() > most) {
    const auto end = candidates.begin() + static_cast<std::ptrdiff_t>(most);
    std::nth_element(candidates.begin(), end, candidates.end(), better);
    candidates.erase(end, candidates.end());
  }
}

std::vector<Detection> suppress(std::vector<Detection> candidates, const NmsLimits& limits) {
  keep_best(candidates, static_cast<std::size_t>(limits.max_candidates));
  std::sort(candidates.begin(), candidates.end(), better);
  // Not left to the comparison: rounding can make the overlap of equal boxes a hair more than 1.
  const bool all_stay = limits.iou_threshold >= 1.F;
  std::vector<Detection> kept;
  for (const Detection& candidate : candidates) {
    if (kept.size() >= static_cast<std::size_t>(limits.max_detections)) {
      break;
    }
    if (all_stay || !is_covered(candidate, kept, limits)) {
      kept.push_back(candidate);
    }
  }
  return kept;
}

}  // namespace edgeward
