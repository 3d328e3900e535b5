#include "edgeward/yolov8.hpp"

#include <stdexcept>

#include "candidates.hpp"
#include "scan.hpp"

namespace edgeward {

Decoded decode_yolov8(const Output& output, const Yolov8Spec& spec, const DetectSpec& detect) {
  Candidates candidates(detect);
  check_units(spec.unit_x, spec.unit_y);
  check(output, 2, "output", spec.channels_first ? "4 + classes + extra, rows" : "rows, 4 + classes + extra");
  const std::size_t values = output.shape[spec.channels_first ? 0 : 1];
  if (spec.classes < 1 || values < 4 || spec.classes > values - 4) {
    throw std::invalid_argument("output has " + std::to_string(values) + " values a row, too few for 4 and " +
                                std::to_string(spec.classes) + " classes");
  }
  const RowsView rows = view(output, spec.channels_first);
  scan(rows.after(4), spec.classes, candidates.threshold(), [&](std::size_t row, const Best& best) {
    if (!best.finite) {
      candidates.add_broken();
      return;
    }
    const Box box = Box::around(rows.at(row, 0) * spec.unit_x, rows.at(row, 1) * spec.unit_y,
                                rows.at(row, 2) * spec.unit_x, rows.at(row, 3) * spec.unit_y);
    candidates.add(box, best.score, best.label, row);
  });
  return candidates.finish();
}

}  // namespace edgeward
