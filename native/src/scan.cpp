#include "scan.hpp"

#include <cstring>

namespace edgeward {
namespace {

// What every 64-bit CPU has in a register; GCC's and Clang's notation for it. This is bound by memory: with AVX2
// the scan of 8400 x 80 scores took 0.06 instead of 0.09 ms, which no frame notices, so there is no second build.
constexpr std::size_t lanes = 4;
using Lanes [[gnu::vector_size(lanes * sizeof(float))]] = float;

Lanes load(const float* from) {
  Lanes values;
  std::memcpy(&values, from, sizeof values);
  return values;
}

constexpr float lowest = -std::numeric_limits<float>::infinity();

// Four classes at a time, so that the running values are loaded and stored a quarter as often.
void four_classes(const float* a, std::size_t step, std::size_t count, Extents& out) {
  const float* b = a + step;
  const float* c = b + step;
  const float* d = c + step;
  float* __restrict max = out.max.data();
  float* __restrict sum = out.sum.data();
  for (std::size_t i = 0; i < count; ++i) {
    const float ab = a[i] > b[i] ? a[i] : b[i];
    const float cd = c[i] > d[i] ? c[i] : d[i];
    const float best = ab > cd ? ab : cd;
    max[i] = best > max[i] ? best : max[i];
    sum[i] += (a[i] + b[i]) + (c[i] + d[i]);
  }
}

void one_class(const float* a, std::size_t count, Extents& out) {
  float* __restrict max = out.max.data();
  float* __restrict sum = out.sum.data();
  for (std::size_t i = 0; i < count; ++i) {
    max[i] = a[i] > max[i] ? a[i] : max[i];
    sum[i] += a[i];
  }
}

}  // namespace

Best best_class(const RowsView& scores, std::size_t row, std::size_t classes) {
  const float* score = scores.data + row * scores.row_step;
  Best best{lowest, 0, true};
  for (std::size_t c = 0; c < classes; ++c, score += scores.value_step) {
    best.finite = best.finite && std::isfinite(*score);
    if (*score > best.score) {
      best.score = *score;
      best.label = static_cast<std::int32_t>(c);
    }
  }
  return best;
}

Extent extent(const float* scores, std::size_t count) {
  Extent whole{lowest, 0.F};
  std::size_t i = 0;
  if (count >= 4 * lanes) {
    // Four of each, since one would wait for itself.
    std::array<Lanes, 4> max;
    std::array<Lanes, 4> sum;
    for (std::size_t k = 0; k < 4; ++k) {
      max[k] = sum[k] = load(scores + k * lanes);
    }
    for (i = 4 * lanes; i + 4 * lanes <= count; i += 4 * lanes) {
      for (std::size_t k = 0; k < 4; ++k) {
        const Lanes score = load(scores + i + k * lanes);
        max[k] = score > max[k] ? score : max[k];
        sum[k] += score;
      }
    }
    const Lanes low = max[0] > max[1] ? max[0] : max[1];
    const Lanes high = max[2] > max[3] ? max[2] : max[3];
    const Lanes best = low > high ? low : high;
    const Lanes all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    for (std::size_t k = 0; k < lanes; ++k) {
      whole.max = best[k] > whole.max ? best[k] : whole.max;
      whole.sum += all[k];
    }
  }
  for (; i < count; ++i) {
    whole.max = scores[i] > whole.max ? scores[i] : whole.max;
    whole.sum += scores[i];
  }
  return whole;
}

void extents(const float* first, std::size_t value_step, std::size_t classes, std::size_t count, Extents& out) {
  for (std::size_t i = 0; i < count; ++i) {
    out.max[i] = lowest;
    out.sum[i] = 0.F;
  }
  std::size_t c = 0;
  for (; c + 4 <= classes; c += 4) {
    four_classes(first + c * value_step, value_step, count, out);
  }
  for (; c < classes; ++c) {
    one_class(first + c * value_step, count, out);
  }
}

}  // namespace edgeward
