#include "edgeward/top_k.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace edgeward {
namespace {

bool better(const Ranked& a, const Ranked& b) { return a.score != b.score ? a.score > b.score : a.index < b.index; }

}  // namespace

TopK top_k(std::span<const float> scores, int k) {
  if (k < 1 || scores.size() > std::numeric_limits<std::int32_t>::max()) {
    throw std::invalid_argument("k must be 1 or more, and scores at most 2^31 - 1");
  }
  const auto most = std::min(static_cast<std::size_t>(k), scores.size());
  TopK found;
  std::vector<Ranked>& heap = found.best;  // the worst of the best on top
  heap.reserve(most);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (!std::isfinite(scores[i])) {
      ++found.broken;
      continue;
    }
    const Ranked ranked{static_cast<std::int32_t>(i), scores[i]};
    if (heap.size() < most) {
      heap.push_back(ranked);
      std::push_heap(heap.begin(), heap.end(), better);
    } else if (better(ranked, heap.front())) {
      std::pop_heap(heap.begin(), heap.end(), better);
      heap.back() = ranked;
      std::push_heap(heap.begin(), heap.end(), better);
    }
  }
  std::sort_heap(heap.begin(), heap.end(), better);
  return found;
}

}  // namespace edgeward
