#include "edgeward/boxes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "candidates.hpp"
#include "scan.hpp"

namespace edgeward {
namespace {

// Class scores (N, [1 +] classes), checked against boxes (N, 4).
struct Scores {
  RowsView rows;  // with the background, if there is one
  std::size_t background;
  std::size_t classes;
};

Scores check_boxes(const Output& boxes, const Output& scores, bool background) {
  check(boxes, 2, "boxes", "N, 4");
  check(scores, 2, "scores", background ? "N, 1 + classes" : "N, classes");
  const std::size_t skipped = background ? 1 : 0;
  if (boxes.shape[1] != 4 || scores.shape[0] != boxes.shape[0] || scores.shape[1] <= skipped) {
    throw std::invalid_argument("boxes (" + std::to_string(boxes.shape[0]) + ", " + std::to_string(boxes.shape[1]) +
                                ") and scores (" + std::to_string(scores.shape[0]) + ", " +
                                std::to_string(scores.shape[1]) + ") do not fit: expected (N, 4) and (N, " +
                                (background ? "1 + " : "") + "classes)");
  }
  return {view(scores, false), skipped, scores.shape[1] - skipped};
}

// Rows whose best score passes, as they are or after the sigmoid.
template <class ToBox>
void scan_scores(const Scores& scores, bool logits, Candidates& candidates, ToBox to_box) {
  const float floor = logits ? logit_floor(candidates.threshold()) : candidates.threshold();
  scan(scores.rows.after(scores.background), scores.classes, floor, [&](std::size_t row, const Best& best) {
    const float score = logits ? sigmoid(best.score) : best.score;
    if (!best.finite) {
      candidates.add_broken();
    } else if (score >= candidates.threshold()) {
      candidates.add(to_box(row), score, best.label, row);
    }
  });
}

// Rows whose best class passes after a softmax over all scores, the background's too.
template <class ToBox>
void scan_softmax(const Scores& scores, Candidates& candidates, ToBox to_box) {
  const std::size_t all = scores.background + scores.classes;
  // The best class is at most 1 / (1 + exp(background - best)): most rows need no softmax.
  const float floor = scores.background == 0 ? -std::numeric_limits<float>::infinity()
                                             : logit_floor(candidates.threshold());
  for (std::size_t row = 0; row < scores.rows.rows; ++row) {
    const float* logits = scores.rows.data + row * scores.rows.row_step;
    const Extent whole = extent(logits + scores.background, scores.classes);
    if (whole.max - logits[0] < floor && std::isfinite(whole.sum + logits[0])) {
      continue;
    }
    const Best best = best_class(scores.rows.after(scores.background), row, scores.classes);
    if (!best.finite || !std::isfinite(logits[0])) {
      candidates.add_broken();
      continue;
    }
    const float most = std::max(best.score, logits[0]);
    float total = 0.F;
    for (std::size_t c = 0; c < all; ++c) {
      total += std::exp(logits[c] - most);
    }
    const float score = std::exp(best.score - most) / total;
    if (score >= candidates.threshold()) {
      candidates.add(to_box(row), score, best.label, row);
    }
  }
}

}  // namespace

Decoded decode_ssd(const Output& boxes, const Output& scores, const Output& priors, const SsdSpec& spec,
                   const DetectSpec& detect) {
  Candidates candidates(detect);
  check_units(spec.unit_x, spec.unit_y);
  const Scores checked = check_boxes(boxes, scores, spec.background);
  check(priors, 2, "priors", "N, 4");
  if (priors.shape != boxes.shape) {
    throw std::invalid_argument("there are " + std::to_string(priors.shape[0]) + " priors for " +
                                std::to_string(boxes.shape[0]) + " boxes");
  }
  for (const float scale : spec.scales) {
    if (!std::isfinite(scale) || scale == 0.F) {
      throw std::invalid_argument("scales must be finite and not 0");
    }
  }
  const std::array<std::size_t, 4> at = spec.xywh ? std::array<std::size_t, 4>{1, 0, 3, 2}
                                                  : std::array<std::size_t, 4>{0, 1, 2, 3};
  const auto to_box = [&](std::size_t row) {
    const float* offset = boxes.values.data() + row * 4;
    const float* prior = priors.values.data() + row * 4;
    const auto scaled = [&](std::size_t i) { return offset[at[i]] / spec.scales[i]; };
    return Box::around((scaled(1) * prior[3] + prior[1]) * spec.unit_x, (scaled(0) * prior[2] + prior[0]) * spec.unit_y,
                       std::exp(scaled(3)) * prior[3] * spec.unit_x, std::exp(scaled(2)) * prior[2] * spec.unit_y);
  };
  if (spec.activation == Activation::softmax) {
    scan_softmax(checked, candidates, to_box);
  } else {
    scan_scores(checked, spec.activation == Activation::sigmoid, candidates, to_box);
  }
  return candidates.finish();
}

Decoded decode_corners(const Output& boxes, const Output& scores, bool background, float unit_x, float unit_y,
                       const DetectSpec& detect) {
  Candidates candidates(detect);
  check_units(unit_x, unit_y);
  scan_scores(check_boxes(boxes, scores, background), false, candidates, [&](std::size_t row) {
    const float* corner = boxes.values.data() + row * 4;
    return Box{corner[0] * unit_x, corner[1] * unit_y, corner[2] * unit_x, corner[3] * unit_y};
  });
  return candidates.finish();
}

Decoded decode_rows(const Output& output, float unit_x, float unit_y, const DetectSpec& detect) {
  Candidates candidates(detect);
  check_units(unit_x, unit_y);
  check(output, 2, "output", "N, 6");
  if (output.shape[1] != 6) {
    throw std::invalid_argument("output has " + std::to_string(output.shape[1]) + " columns, expected 6");
  }
  constexpr float most = 16777216.F;  // whole numbers up to here are exact
  for (std::size_t row = 0; row < output.shape[0]; ++row) {
    const float* values = output.values.data() + row * 6;
    if (values[4] < candidates.threshold()) {
      continue;
    }
    if (!(std::fabs(values[5]) < most)) {
      candidates.add_broken();
      continue;
    }
    candidates.add({values[0] * unit_x, values[1] * unit_y, values[2] * unit_x, values[3] * unit_y}, values[4],
                   static_cast<std::int32_t>(std::lrint(values[5])), row);
  }
  return candidates.finish();
}

}  // namespace edgeward
