#include <stdexcept>

#include "decoding.hpp"
#include "edgeward/dfl.hpp"

using namespace edgeward;

namespace {

constexpr std::size_t classes = 2;
constexpr int reg_max = 3;
constexpr std::size_t distances = 16;
const InputGrids input{40, 24, {8, 16}};  // 5x3 and, covering, 3x2 cells

DflSpec spec(DflLayout layout) {
  DflSpec s;
  s.input = input;
  s.classes = classes;
  s.reg_max = reg_max;
  s.layout = layout;
  s.cell_offset = 0.5F;
  return s;
}

std::vector<Made> made(DflLayout layout) {
  switch (layout) {
    case DflLayout::rows:
      return {Made({21, classes + distances})};
    case DflLayout::split_rows:
      return {Made({15, classes}), Made({6, classes}), Made({15, distances}), Made({6, distances})};
    case DflLayout::maps:
      break;
  }
  return {Made({distances, 3, 5}), Made({classes, 3, 5}), Made({distances, 2, 3}), Made({classes, 2, 3})};
}

// A place in the outputs: the score of class `value`, or of a bin, of a cell of the second stride.
float& at(std::vector<Made>& outputs, DflLayout layout, std::size_t cell, bool distance, std::size_t value) {
  switch (layout) {
    case DflLayout::rows:
      return outputs[0].values[(15 + cell) * (classes + distances) + (distance ? classes : 0) + value];
    case DflLayout::split_rows:
      return outputs[distance ? 3 : 1].values[cell * (distance ? distances : classes) + value];
    case DflLayout::maps:
      break;
  }
  return outputs[distance ? 2 : 3].values[value * 6 + cell];
}

Decoded decode(const std::vector<Made>& made, const DflSpec& s, const DetectSpec& detect) {
  std::vector<Output> outputs;
  for (const Made& one : made) {
    outputs.push_back(one.output());
  }
  return decode_dfl(outputs, s, detect);
}

constexpr std::array layouts{DflLayout::rows, DflLayout::split_rows, DflLayout::maps};

}  // namespace

TEST_CASE("dfl: every layout gives the mean of the distributions from the cell's place") {
  for (const DflLayout layout : layouts) {
    auto outputs = made(layout);
    at(outputs, layout, 4, false, 1) = 0.75F;  // line 1, column 1: (24, 24)
    for (std::size_t side = 0; side < 3; ++side) {
      at(outputs, layout, 4, true, side * 4 + side) = 50.F;  // left 0, top 1, right 2 strides for certain
    }
    const auto result = decode(outputs, spec(layout), limits(0.5F, 1000));  // below: uniform, 1.5 strides
    REQUIRE(result.detections.size() == 1);
    check_box(result.detections[0], {24, 8, 56, 48});
    CHECK(result.detections[0].label == 1);
    CHECK(result.detections[0].row == 19);
    CHECK(result.detections[0].score == 0.75F);
  }
}

TEST_CASE("dfl: logits pass by their sigmoid") {
  for (const DflLayout layout : layouts) {
    auto outputs = made(layout);
    for (std::size_t cell = 0; cell < 6; ++cell) {
      at(outputs, layout, cell, false, 0) = -1.F + static_cast<float>(cell);
    }
    DflSpec s = spec(layout);
    s.sigmoid = true;
    const float threshold = 1.F / (1.F + std::exp(-2.F));
    DetectSpec detect = limits(threshold, 1000);
    detect.nms.iou_threshold = 1.F;
    const auto result = decode(outputs, s, detect);
    REQUIRE(result.detections.size() == 3);
    CHECK(result.detections[2].score == doctest::Approx(threshold));
  }
}

TEST_CASE("dfl: what is no number is counted") {
  for (const DflLayout layout : layouts) {
    auto outputs = made(layout);
    at(outputs, layout, 2, false, 0) = not_a_number;
    at(outputs, layout, 3, false, 0) = 0.9F;
    at(outputs, layout, 3, true, 5) = not_a_number;
    at(outputs, layout, 4, false, 0) = 0.9F;
    at(outputs, layout, 4, true, 9) = std::numeric_limits<float>::infinity();
    at(outputs, layout, 5, true, 9) = not_a_number;  // sees nothing
    const auto result = decode(outputs, spec(layout), limits(0.5F, 1000));
    CHECK(result.broken == 3);
    CHECK(result.detections.empty());
  }
}

TEST_CASE("dfl: arbitrary bits never crash, nor leave the frame; a shape that does not fit is refused") {
  for (const DflLayout layout : layouts) {
    for (unsigned round = 0; round < 50; ++round) {
      auto outputs = made(layout);
      for (Made& one : outputs) {
        one.random_bits(round++);
      }
      check_sane(decode(outputs, spec(layout), limits(0.F, 64)), 64.F);
    }
    const DetectSpec detect = limits(0.5F, 64);
    for (std::size_t wrong = 0; wrong < made(layout).size(); ++wrong) {
      auto outputs = made(layout);
      ++outputs[wrong].shape[0];
      outputs[wrong] = Made(outputs[wrong].shape);
      CHECK_THROWS_AS(decode(outputs, spec(layout), detect), std::invalid_argument);
      outputs.pop_back();
      CHECK_THROWS_AS(decode(outputs, spec(layout), detect), std::invalid_argument);
    }
    DflSpec bad = spec(layout);
    bad.reg_max = 0;
    CHECK_THROWS_AS(decode(made(layout), bad, detect), std::invalid_argument);
  }
}
