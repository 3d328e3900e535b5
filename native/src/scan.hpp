// Finding the few rows of an output whose best class score passes, at the speed of memory.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "edgeward/detect.hpp"

namespace edgeward {

// Rows of values in an output of either layout: rows one after the other (value_step 1), or all rows' first
// values, then all second ones ("channels first", row_step 1).
struct RowsView {
  const float* data;
  std::size_t rows;
  std::size_t row_step;
  std::size_t value_step;

  float at(std::size_t row, std::size_t value) const { return data[row * row_step + value * value_step]; }
  // The same rows without their first values.
  RowsView after(std::size_t values) const { return {data + values * value_step, rows, row_step, value_step}; }
};

// A checked output [rows, values] or, channels first, [values, rows].
inline RowsView view(const Output& output, bool channels_first) {
  const std::size_t first = output.shape[0];
  const std::size_t second = output.shape[1];
  return channels_first ? RowsView{output.values.data(), second, 1, second}
                        : RowsView{output.values.data(), first, second, 1};
}

struct Best {
  float score;
  std::int32_t label;
  bool finite;  // all scores of the row are
};

// The best class of one row, the first of equals.
Best best_class(const RowsView& scores, std::size_t row, std::size_t classes);

// Maximum and sum of scores. A sum tells whether all of them are finite, at no cost beside the memory's:
// NaN and infinity stay in it. One that overflows is looked at again.
struct Extent {
  float max;
  float sum;
};
Extent extent(const float* scores, std::size_t count);

constexpr std::size_t scan_block = 512;
struct Extents {
  alignas(64) std::array<float, scan_block> max;
  alignas(64) std::array<float, scan_block> sum;
};
// The same for `count` rows, at most scan_block, that lie side by side.
void extents(const float* first, std::size_t value_step, std::size_t classes, std::size_t count, Extents& out);

// Calls visit(row, Best) for each row whose best score reaches `floor` or is not finite, in order.
template <class Visit>
void scan(const RowsView& scores, std::size_t classes, float floor, Visit visit) {
  const auto passes = [floor](Extent e) { return !(e.max < floor) || !std::isfinite(e.sum); };
  const auto look = [&](std::size_t row) {
    const Best best = best_class(scores, row, classes);
    if (!best.finite || !(best.score < floor)) {
      visit(row, best);
    }
  };
  if (classes == 1) {
    for (std::size_t row = 0; row < scores.rows; ++row) {
      const float score = scores.at(row, 0);
      if (passes({score, score})) {
        look(row);
      }
    }
  } else if (scores.value_step == 1) {
    for (std::size_t row = 0; row < scores.rows; ++row) {
      if (passes(extent(scores.data + row * scores.row_step, classes))) {
        look(row);
      }
    }
  } else {
    Extents block;
    for (std::size_t from = 0; from < scores.rows; from += scan_block) {
      const std::size_t count = scores.rows - from < scan_block ? scores.rows - from : scan_block;
      extents(scores.data + from, scores.value_step, classes, count, block);
      for (std::size_t i = 0; i < count; ++i) {
        if (passes({block.max[i], block.sum[i]})) {
          look(from + i);
        }
      }
    }
  }
}

inline float sigmoid(float logit) { return 1.F / (1.F + std::exp(-logit)); }

// A logit below which no sigmoid reaches `probability`: rejects without an exp. A little low, since what
// passes it is compared as a probability; for the same reason large ones need not be exact.
inline float logit_floor(float probability) {
  if (probability <= 0.F) {
    return -std::numeric_limits<float>::infinity();
  }
  const double exact = std::log(static_cast<double>(probability) / (1. - static_cast<double>(probability)));
  return static_cast<float>(exact > 12. ? 12. : exact - 0.05);
}

}  // namespace edgeward
