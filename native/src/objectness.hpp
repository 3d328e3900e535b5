// Heads whose rows begin with a box and an objectness: YOLOX, YOLOv5, YOLOv7.
#pragma once

#include <stdexcept>

#include "candidates.hpp"
#include "scan.hpp"

namespace edgeward {

constexpr std::size_t objectness_at = 4;  // x, y, w, h, objectness
constexpr std::size_t classes_at = 5;

// The classes of a checked output (rows, 5 + classes).
inline std::size_t classes_beside_objectness(std::size_t values) {
  if (values <= classes_at) {
    throw std::invalid_argument("output must have 5 + classes columns, at least 6, not " + std::to_string(values));
  }
  return values - classes_at;
}

// score = objectness * best class score. to_box(row) gives the box of a row that passed; `first_row` is added
// to the number that the row is known by.
template <class ToBox>
void scan_objectness(const RowsView& rows, std::size_t classes, std::size_t first_row, Candidates& candidates,
                     ToBox to_box) {
  const RowsView scores = rows.after(classes_at);
  for (std::size_t row = 0; row < rows.rows; ++row) {
    const float objectness = rows.at(row, objectness_at);
    // Class scores are at most 1, so the product cannot pass where this does not. NaN goes on, to be counted.
    if (objectness < candidates.threshold()) {
      continue;
    }
    const Best best = best_class(scores, row, classes);
    const float score = objectness * best.score;
    if (!best.finite) {
      candidates.add_broken();
    } else if (!(score < candidates.threshold())) {
      candidates.add(to_box(row), score, best.label, first_row + row);
    }
  }
}

}  // namespace edgeward
