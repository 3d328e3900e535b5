#include "edgeward/yolov5.hpp"

#include <cmath>

#include "objectness.hpp"

namespace edgeward {
namespace {

struct Anchor {
  float width;
  float height;
};

// One anchor's cells on one grid: the view of their rows, and where they stand in the output.
struct Head {
  RowsView rows;
  std::size_t classes;
  std::size_t first_row;
};

Head head(const Output& output, const Grid& grid, std::size_t anchors, std::size_t anchor, bool channels_first) {
  const std::size_t values = channels_first ? output.shape[0] / anchors : output.shape[3];
  const std::size_t cells = grid.cells();
  const float* data = output.values.data() + anchor * values * cells;
  return {channels_first ? RowsView{data, cells, 1, cells} : RowsView{data, cells, values, 1},
          values - classes_at, anchor * cells};
}

void check_head(const Output& output, const Grid& grid, std::size_t anchors, const Yolov5HeadsSpec& spec) {
  const bool first = spec.channels_first;
  check(output, first ? 3 : 4, "an output", first ? "anchors * (5 + classes), H, W" : "anchors, H, W, 5 + classes");
  const std::size_t values = first ? output.shape[0] / anchors : output.shape[3];
  const bool fits = first ? output.shape[0] == values * anchors : output.shape[0] == anchors;
  if (!fits || output.shape[1] != grid.lines || output.shape[2] != grid.columns) {
    throw std::invalid_argument("an output does not fit " + std::to_string(anchors) + " anchors on a grid of " +
                                std::to_string(grid.columns) + "x" + std::to_string(grid.lines) +
                                " cells, that of an input of " + describe(spec.input));
  }
  classes_beside_objectness(values);
}

Box box(const Head& head, std::size_t cell, const Grid& grid, Anchor anchor) {
  const auto twice = [&](std::size_t value) { return 2.F * sigmoid(head.rows.at(cell, value)); };
  const float x = (twice(0) - 0.5F + static_cast<float>(cell % grid.columns)) * grid.stride;
  const float y = (twice(1) - 0.5F + static_cast<float>(cell / grid.columns)) * grid.stride;
  return Box::around(x, y, twice(2) * twice(2) * anchor.width, twice(3) * twice(3) * anchor.height);
}

void scan_head(const Head& head, const Grid& grid, Anchor anchor, std::size_t before, Candidates& candidates) {
  const float floor = logit_floor(candidates.threshold());
  const RowsView scores = head.rows.after(classes_at);
  for (std::size_t cell = 0; cell < head.rows.rows; ++cell) {
    const float objectness = head.rows.at(cell, objectness_at);
    if (objectness < floor) {
      continue;
    }
    const Best best = best_class(scores, cell, head.classes);
    if (!best.finite || !std::isfinite(objectness)) {
      candidates.add_broken();
      continue;
    }
    const float score = sigmoid(objectness) * sigmoid(best.score);
    if (score >= candidates.threshold()) {
      candidates.add(box(head, cell, grid, anchor), score, best.label, before + head.first_row + cell);
    }
  }
}

}  // namespace

Decoded decode_yolov5(const Output& output, float unit_x, float unit_y, const DetectSpec& detect) {
  Candidates candidates(detect);
  check_units(unit_x, unit_y);
  check(output, 2, "output", "rows, 5 + classes");
  const std::size_t classes = classes_beside_objectness(output.shape[1]);
  const RowsView rows = view(output, false);
  scan_objectness(rows, classes, 0, candidates, [&](std::size_t row) {
    return Box::around(rows.at(row, 0) * unit_x, rows.at(row, 1) * unit_y, rows.at(row, 2) * unit_x,
                       rows.at(row, 3) * unit_y);
  });
  return candidates.finish();
}

Decoded decode_yolov5_heads(std::span<const Output> outputs, const Yolov5HeadsSpec& spec, const DetectSpec& detect) {
  Candidates candidates(detect);
  const std::vector<Grid> grids = make_grids(spec.input, Cells::whole);
  if (outputs.size() != grids.size() || spec.anchors.size() != grids.size()) {
    throw std::invalid_argument("there must be one output and one row of anchors for each of the " +
                                std::to_string(grids.size()) + " strides");
  }
  std::size_t classes = 0;
  std::size_t before = 0;
  for (std::size_t i = 0; i < grids.size(); ++i) {
    const std::vector<float>& sizes = spec.anchors[i];
    if (sizes.empty() || sizes.size() % 2 != 0) {
      throw std::invalid_argument("a row of anchors must be pairs of width and height");
    }
    const std::size_t anchors = sizes.size() / 2;
    check_head(outputs[i], grids[i], anchors, spec);
    for (std::size_t a = 0; a < anchors; ++a) {
      const Head of = head(outputs[i], grids[i], anchors, a, spec.channels_first);
      if (classes != 0 && classes != of.classes) {
        throw std::invalid_argument("outputs differ in their number of classes");
      }
      classes = of.classes;
      scan_head(of, grids[i], {sizes[2 * a], sizes[2 * a + 1]}, before, candidates);
    }
    before += anchors * grids[i].cells();
  }
  return candidates.finish();
}

}  // namespace edgeward
