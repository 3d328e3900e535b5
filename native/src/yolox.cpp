#include "edgeward/yolox.hpp"

#include <cmath>

#include "objectness.hpp"

namespace edgeward {
namespace {

// One grid cell's box, in tensor pixels. Section 2.1 of the paper, "anchor-free".
Box box(const float* row, std::size_t column, std::size_t line, float stride) {
  const float x = (row[0] + static_cast<float>(column)) * stride;
  const float y = (row[1] + static_cast<float>(line)) * stride;
  return Box::around(x, y, std::exp(row[2]) * stride, std::exp(row[3]) * stride);
}

}  // namespace

Decoded decode_yolox(const Output& output, const InputGrids& input, const DetectSpec& detect) {
  Candidates candidates(detect);
  const std::vector<Grid> grids = make_grids(input, Cells::whole);
  check(output, 2, "output", "rows, 5 + classes");
  const std::size_t classes = classes_beside_objectness(output.shape[1]);
  std::size_t expected = 0;
  for (const Grid& grid : grids) {
    expected += grid.cells();
  }
  if (output.shape[0] != expected) {
    throw std::invalid_argument("output has " + std::to_string(output.shape[0]) + " rows, but an input of " +
                                describe(input) + " gives " + std::to_string(expected));
  }
  std::size_t first = 0;
  for (const Grid& grid : grids) {
    const RowsView rows{output.values.data() + first * output.shape[1], grid.cells(), output.shape[1], 1};
    scan_objectness(rows, classes, first, candidates, [&](std::size_t cell) {
      return box(rows.data + cell * rows.row_step, cell % grid.columns, cell / grid.columns, grid.stride);
    });
    first += grid.cells();
  }
  return candidates.finish();
}

}  // namespace edgeward
