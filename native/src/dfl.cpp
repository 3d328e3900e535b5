#include "edgeward/dfl.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "candidates.hpp"
#include "scan.hpp"

namespace edgeward {
namespace {

// The part of the outputs that belongs to one stride.
struct Level {
  RowsView scores;
  RowsView distances;
  Grid grid;
};

void expect_size(std::size_t found, std::size_t expected, const char* what, const DflSpec& spec) {
  if (found != expected) {
    throw std::invalid_argument("an output has " + std::to_string(found) + " " + what + ", but " +
                                std::to_string(spec.classes) + " classes, reg_max " + std::to_string(spec.reg_max) +
                                " and an input of " + describe(spec.input) + " give " + std::to_string(expected));
  }
}

std::vector<Level> levels_of_rows(const Output& output, const std::vector<Grid>& grids, const DflSpec& spec,
                                  std::size_t values) {
  check(output, 2, "output", "rows, classes + 4 * (reg_max + 1)");
  expect_size(output.shape[1], spec.classes + values, "columns", spec);
  std::vector<Level> levels;
  std::size_t first = 0;
  for (const Grid& grid : grids) {
    const RowsView rows{output.values.data() + first * output.shape[1], grid.cells(), output.shape[1], 1};
    levels.push_back({rows, rows.after(spec.classes), grid});
    first += grid.cells();
  }
  expect_size(output.shape[0], first, "rows", spec);
  return levels;
}

RowsView split(const Output& output, const Grid& grid, std::size_t values, const DflSpec& spec) {
  check(output, 2, "an output", "cells, classes or 4 * (reg_max + 1)");
  expect_size(output.shape[0], grid.cells(), "rows", spec);
  expect_size(output.shape[1], values, "columns", spec);
  return view(output, false);
}

RowsView map(const Output& output, const Grid& grid, std::size_t values, const DflSpec& spec) {
  check(output, 3, "an output", "classes or 4 * (reg_max + 1), h, w");
  expect_size(output.shape[0], values, "channels", spec);
  expect_size(output.shape[1], grid.lines, "lines", spec);
  expect_size(output.shape[2], grid.columns, "columns", spec);
  return {output.values.data(), grid.cells(), 1, grid.cells()};
}

std::vector<Level> make_levels(std::span<const Output> outputs, const std::vector<Grid>& grids, const DflSpec& spec) {
  const std::size_t values = 4 * (static_cast<std::size_t>(spec.reg_max) + 1);
  const std::size_t strides = grids.size();
  const std::size_t expected = spec.layout == DflLayout::rows ? 1 : 2 * strides;
  if (outputs.size() != expected) {
    throw std::invalid_argument("there are " + std::to_string(outputs.size()) + " outputs, expected " +
                                std::to_string(expected));
  }
  if (spec.layout == DflLayout::rows) {
    return levels_of_rows(outputs[0], grids, spec, values);
  }
  std::vector<Level> levels;
  for (std::size_t i = 0; i < strides; ++i) {
    const Grid& grid = grids[i];
    if (spec.layout == DflLayout::split_rows) {
      levels.push_back({split(outputs[i], grid, spec.classes, spec), split(outputs[strides + i], grid, values, spec), grid});
    } else {
      levels.push_back({map(outputs[2 * i + 1], grid, spec.classes, spec), map(outputs[2 * i], grid, values, spec), grid});
    }
  }
  return levels;
}

// The mean of softmax(bins); what is not finite stays so.
float expected_distance(const RowsView& distances, std::size_t row, std::size_t first, std::size_t bins) {
  float most = distances.at(row, first);
  for (std::size_t i = 1; i < bins; ++i) {
    most = std::max(most, distances.at(row, first + i));
  }
  float total = 0.F;
  float weighted = 0.F;
  for (std::size_t i = 0; i < bins; ++i) {
    const float weight = std::exp(distances.at(row, first + i) - most);
    total += weight;
    weighted += weight * static_cast<float>(i);
  }
  return weighted / total;
}

Box box(const Level& level, std::size_t cell, std::size_t bins, float cell_offset) {
  std::array<float, 4> distance;
  for (std::size_t side = 0; side < 4; ++side) {
    distance[side] = expected_distance(level.distances, cell, side * bins, bins) * level.grid.stride;
  }
  const float x = (static_cast<float>(cell % level.grid.columns) + cell_offset) * level.grid.stride;
  const float y = (static_cast<float>(cell / level.grid.columns) + cell_offset) * level.grid.stride;
  return {x - distance[0], y - distance[1], x + distance[2], y + distance[3]};
}

}  // namespace

Decoded decode_dfl(std::span<const Output> outputs, const DflSpec& spec, const DetectSpec& detect) {
  Candidates candidates(detect);
  if (spec.classes < 1 || spec.reg_max < 1 || spec.reg_max > 1000 || !std::isfinite(spec.cell_offset)) {
    throw std::invalid_argument("classes must be 1 or more, reg_max 1..1000, cell_offset finite");
  }
  const auto bins = static_cast<std::size_t>(spec.reg_max) + 1;
  const float floor = spec.sigmoid ? logit_floor(candidates.threshold()) : candidates.threshold();
  std::size_t first = 0;
  for (const Level& level : make_levels(outputs, make_grids(spec.input, Cells::covering), spec)) {
    scan(level.scores, spec.classes, floor, [&](std::size_t cell, const Best& best) {
      if (!best.finite) {
        candidates.add_broken();
        return;
      }
      const float score = spec.sigmoid ? sigmoid(best.score) : best.score;
      if (score >= candidates.threshold()) {
        candidates.add(box(level, cell, bins, spec.cell_offset), score, best.label, first + cell);
      }
    });
    first += level.grid.cells();
  }
  return candidates.finish();
}

}  // namespace edgeward
