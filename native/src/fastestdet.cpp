#include "edgeward/fastestdet.hpp"

#include <algorithm>
#include <cmath>

#include "candidates.hpp"
#include "objectness.hpp"
#include "scan.hpp"

namespace edgeward {
namespace {

constexpr float objectness_power = 0.6F;
constexpr float class_power = 0.4F;

}  // namespace

Decoded decode_fastestdet(const Output& output, float unit_x, float unit_y, const DetectSpec& detect) {
  Candidates candidates(detect);
  check_units(unit_x, unit_y);
  check(output, 3, "output", "5 + classes, H, W");
  const std::size_t classes = classes_beside_objectness(output.shape[0]);
  const std::size_t lines = output.shape[1];
  const std::size_t columns = output.shape[2];
  const RowsView cells{output.values.data(), lines * columns, 1, lines * columns};
  const RowsView scores = cells.after(classes_at);
  // Class scores are at most 1, so a cell whose objectness alone is too low cannot pass; a hair lower, since
  // what passes is compared exactly.
  const float floor = std::pow(candidates.threshold(), 1.F / objectness_power) * 0.9999F;
  for (std::size_t cell = 0; cell < cells.rows; ++cell) {
    const float objectness = cells.at(cell, 0);
    if (objectness < floor) {
      continue;
    }
    const Best best = best_class(scores, cell, classes);
    if (!best.finite) {
      candidates.add_broken();
      continue;
    }
    // A quantised score may come out below 0, where there is no power.
    const float score = std::pow(objectness, objectness_power) * std::pow(std::max(best.score, 0.F), class_power);
    if (score < candidates.threshold()) {
      continue;
    }
    const float x = (static_cast<float>(cell % columns) + std::tanh(cells.at(cell, 1))) / static_cast<float>(columns);
    const float y = (static_cast<float>(cell / columns) + std::tanh(cells.at(cell, 2))) / static_cast<float>(lines);
    candidates.add(Box::around(x * unit_x, y * unit_y, sigmoid(cells.at(cell, 3)) * unit_x,
                               sigmoid(cells.at(cell, 4)) * unit_y),
                   score, best.label, cell);
  }
  return candidates.finish();
}

}  // namespace edgeward
