#include "edgeward/yunet.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "candidates.hpp"

namespace edgeward {
namespace {

void check_rows(const Output& output, const Grid& grid, std::size_t values, const InputGrids& input) {
  check(output, 2, "an output", "cells, values");
  if (output.shape[0] != grid.cells() || output.shape[1] != values) {
    throw std::invalid_argument("an output has the shape (" + std::to_string(output.shape[0]) + ", " +
                                std::to_string(output.shape[1]) + "), but an input of " + describe(input) +
                                " gives (" + std::to_string(grid.cells()) + ", " + std::to_string(values) + ")");
  }
}

Box box(const float* values, std::size_t cell, const Grid& grid) {
  const float x = (static_cast<float>(cell % grid.columns) + values[0]) * grid.stride;
  const float y = (static_cast<float>(cell / grid.columns) + values[1]) * grid.stride;
  return Box::around(x, y, std::exp(values[2]) * grid.stride, std::exp(values[3]) * grid.stride);
}

}  // namespace

Decoded decode_yunet(std::span<const Output> outputs, const InputGrids& input, const DetectSpec& detect) {
  Candidates candidates(detect);
  const std::vector<Grid> grids = make_grids(input, Cells::covering);
  const std::size_t strides = grids.size();
  if (outputs.size() < 3 * strides) {
    throw std::invalid_argument("there are " + std::to_string(outputs.size()) + " outputs, expected " +
                                std::to_string(3 * strides) + " or more: classes, objectness, boxes of each stride");
  }
  // A hair low: what passes is compared as a root.
  const float floor = candidates.threshold() * candidates.threshold() * 0.9999F;
  std::size_t first = 0;
  for (std::size_t i = 0; i < strides; ++i) {
    const Grid& grid = grids[i];
    check_rows(outputs[i], grid, 1, input);
    check_rows(outputs[strides + i], grid, 1, input);
    check_rows(outputs[2 * strides + i], grid, 4, input);
    for (std::size_t cell = 0; cell < grid.cells(); ++cell) {
      const float likely = outputs[i].values[cell];
      const float objectness = outputs[strides + i].values[cell];
      const float product = std::clamp(likely, 0.F, 1.F) * std::clamp(objectness, 0.F, 1.F);
      if (product < floor) {
        continue;
      }
      if (!std::isfinite(likely) || !std::isfinite(objectness)) {  // held to 0..1 infinity would pass for certainty
        candidates.add_broken();
        continue;
      }
      const float score = std::sqrt(product);
      if (!(score < candidates.threshold())) {  // NaN goes on, to be counted
        candidates.add(box(outputs[2 * strides + i].values.data() + 4 * cell, cell, grid), score, 0, first + cell);
      }
    }
    first += grid.cells();
  }
  return candidates.finish();
}

}  // namespace edgeward
