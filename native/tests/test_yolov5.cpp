#include <stdexcept>

#include "decoding.hpp"
#include "edgeward/yolov5.hpp"

using namespace edgeward;

namespace {

const InputGrids input{32, 16, {8, 16}};
const std::vector<std::vector<float>> anchors{{10, 20, 4, 6}, {16, 8, 2, 2}};

// Raw outputs for two anchors a stride and two classes, nothing seen.
std::vector<Made> heads(bool channels_first) {
  if (channels_first) {
    return {Made({14, 2, 4}, -9.F), Made({14, 1, 2}, -9.F)};
  }
  return {Made({2, 2, 4, 7}, -9.F), Made({2, 1, 2, 7}, -9.F)};
}

Decoded decode(const std::vector<Made>& made, bool channels_first, const DetectSpec& spec) {
  std::vector<Output> outputs;
  for (const Made& head : made) {
    outputs.push_back(head.output());
  }
  return decode_yolov5_heads(outputs, {input, anchors, channels_first}, spec);
}

}  // namespace

TEST_CASE("yolov5: decoded rows are led back in units") {
  Made rows({3, 7});
  rows.row(1, {0.5F, 0.5F, 0.25F, 0.5F, 0.8F, 0.1F, 0.5F});
  const auto result = decode_yolov5(rows.output(), 32.F, 16.F, limits(0.3F, 64));
  REQUIRE(result.detections.size() == 1);
  check_box(result.detections[0], {12, 4, 20, 12});
  CHECK(result.detections[0].score == doctest::Approx(0.4));
  CHECK(result.detections[0].label == 1);
  CHECK(result.detections[0].row == 1);
}

TEST_CASE("yolov5: raw heads of both layouts give the anchor's box") {
  for (const bool first : {true, false}) {
    auto made = heads(first);
    // Stride 8, second anchor (4x6), line 1, column 2: all zero is the cell's middle and the anchor's size.
    for (std::size_t value = 0; value < 7; ++value) {
      const float v = value < 4 ? 0.F : value == 6 ? 3.F : value == 4 ? 2.F : -1.F;
      made[0].values[first ? (7 + value) * 8 + 6 : (8 + 6) * 7 + value] = v;
    }
    const auto result = decode(made, first, limits(0.5F, 64));
    REQUIRE(result.detections.size() == 1);
    check_box(result.detections[0], {18, 9, 22, 15});
    CHECK(result.detections[0].label == 1);
    CHECK(result.detections[0].row == 14);
    CHECK(result.detections[0].score == doctest::Approx(1. / (1 + std::exp(-2.)) / (1 + std::exp(-3.))));
  }
}

TEST_CASE("yolov5: rows that are not finite are counted, where they could pass") {
  for (const bool first : {true, false}) {
    auto made = heads(first);
    made[1].values[first ? 4 * 2 : 4] = not_a_number;  // an objectness
    CHECK(decode(made, first, limits(0.5F, 64)).broken == 1);
    made = heads(first);
    made[1].values[first ? 5 * 2 : 5] = not_a_number;  // a class of a cell that sees nothing
    CHECK(decode(made, first, limits(0.5F, 64)).broken == 0);
  }
}

TEST_CASE("yolov5: arbitrary bits never crash, nor leave the frame") {
  for (unsigned round = 0; round < 100; ++round) {
    for (const bool first : {true, false}) {
      auto made = heads(first);
      made[0].random_bits(round);
      made[1].random_bits(round + 1000);
      check_sane(decode(made, first, limits(0.F, 32)), 32.F);
    }
    Made rows({40, 9});
    rows.random_bits(round);
    check_sane(decode_yolov5(rows.output(), 1.F, 1.F, limits(0.F, 32)), 32.F);
  }
}

TEST_CASE("yolov5: shapes that do not fit are refused") {
  const DetectSpec spec = limits(0.5F, 64);
  auto made = heads(true);
  CHECK_THROWS_AS(decode(made, false, spec), std::invalid_argument);
  made.pop_back();
  CHECK_THROWS_AS(decode(made, true, spec), std::invalid_argument);
  made = heads(true);
  made[1] = Made({14, 2, 1});
  CHECK_THROWS_AS(decode(made, true, spec), std::invalid_argument);
  made[1] = Made({16, 1, 2});  // another number of classes
  CHECK_THROWS_AS(decode(made, true, spec), std::invalid_argument);
  made[1] = Made({15, 1, 2});  // not the same for each anchor
  CHECK_THROWS_AS(decode(made, true, spec), std::invalid_argument);
  const Made thin({3, 5});
  CHECK_THROWS_AS(decode_yolov5(thin.output(), 1.F, 1.F, spec), std::invalid_argument);
  const Made rows({3, 6});
  CHECK_THROWS_AS(decode_yolov5(rows.output(), 0.F, 1.F, spec), std::invalid_argument);
}
