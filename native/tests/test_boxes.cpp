#include <stdexcept>

#include "decoding.hpp"
#include "edgeward/boxes.hpp"

using namespace edgeward;

namespace {

SsdSpec spec(Activation activation) {
  SsdSpec s;
  s.activation = activation;
  s.unit_x = 200.F;
  s.unit_y = 100.F;
  return s;
}

Made priors(std::size_t count) {
  Made made({count, 4});
  for (std::size_t i = 0; i < count; ++i) {
    made.row(i, {0.5F, 0.25F, 0.2F, 0.1F});  // centre y, x, height, width
  }
  return made;
}

}  // namespace

TEST_CASE("ssd: offsets move and scale the prior, in either order") {
  const Made from = priors(2);
  Made boxes({2, 4});
  Made scores({2, 3}, 0.1F);
  scores.row(1, {0.F, 0.2F, 0.9F});
  const double wide = 20 * std::exp(0.6);  // 0.1 * 200
  const double high = 20 * std::exp(-0.2);  // 0.2 * 100
  for (const bool xywh : {false, true}) {
    if (xywh) {
      boxes.row(1, {2.F, 1.F, 3.F, -1.F});
    } else {
      boxes.row(1, {1.F, 2.F, -1.F, 3.F});
    }
    SsdSpec s = spec(Activation::none);
    s.xywh = xywh;
    const auto result = decode_ssd(boxes.output(), scores.output(), from.output(), s, limits(0.5F, 200));
    REQUIRE(result.detections.size() == 1);
    const double x = (0.2 * 0.1 + 0.25) * 200;
    const double y = (0.1 * 0.2 + 0.5) * 100;
    check_box(result.detections[0], {x - wide / 2, y - high / 2, x + wide / 2, y + high / 2});
    CHECK(result.detections[0].label == 1);
    CHECK(result.detections[0].row == 1);
  }
}

TEST_CASE("ssd: scores go through their activation, and the background is no class") {
  const Made from = priors(3);
  const Made boxes({3, 4});
  Made scores({3, 3});
  scores.row(0, {1.F, 2.F, 0.5F});
  scores.row(1, {9.F, 2.F, 0.5F});
  scores.row(2, {-9.F, 0.5F, -3.F});
  DetectSpec all = limits(0.5F, 200);
  all.nms.iou_threshold = 1.F;
  const auto soft = decode_ssd(boxes.output(), scores.output(), from.output(), spec(Activation::softmax), all);
  REQUIRE(soft.detections.size() == 2);
  CHECK(soft.detections[0].score == doctest::Approx(std::exp(0.5) / (std::exp(0.5) + std::exp(-3.) + std::exp(-9.))));
  CHECK(soft.detections[1].score == doctest::Approx(std::exp(2.) / (std::exp(2.) + std::exp(1.) + std::exp(0.5))));
  const auto single = decode_ssd(boxes.output(), scores.output(), from.output(), spec(Activation::sigmoid), all);
  REQUIRE(single.detections.size() == 3);
  CHECK(single.detections[0].score == doctest::Approx(1 / (1 + std::exp(-2.))));
  SsdSpec bare = spec(Activation::softmax);
  bare.background = false;
  const auto three = decode_ssd(boxes.output(), scores.output(), from.output(), bare, all);
  REQUIRE(three.detections.size() == 3);
  CHECK(three.detections[0].label == 0);
  CHECK(three.detections[0].row == 1);
}

TEST_CASE("ssd: what is no number is counted, the background's score too") {
  const Made from = priors(1);
  for (const Activation activation : {Activation::none, Activation::sigmoid, Activation::softmax}) {
    for (const float bad : {not_a_number, std::numeric_limits<float>::infinity()}) {
      for (std::size_t value = 0; value < 6; ++value) {
        Made boxes({1, 4});
        Made scores({1, 2});
        scores.row(0, {0.F, 2.F});
        (value < 4 ? boxes.values[value] : scores.values[value - 4]) = bad;
        const auto result =
            decode_ssd(boxes.output(), scores.output(), from.output(), spec(activation), limits(0.5F, 200));
        CHECK(result.broken == (value == 4 && activation != Activation::softmax ? 0 : 1));
      }
    }
  }
}

TEST_CASE("corners are taken in units, rows with their class") {
  Made boxes({2, 4});
  boxes.row(1, {0.1F, 0.2F, 0.3F, 0.4F});
  Made scores({2, 2}, 0.1F);
  scores.row(1, {0.1F, 0.9F});
  const auto found = decode_corners(boxes.output(), scores.output(), true, 100.F, 200.F, limits(0.7F, 300));
  REQUIRE(found.detections.size() == 1);
  check_box(found.detections[0], {10, 40, 30, 80});
  CHECK(found.detections[0].label == 0);

  Made rows({3, 6});
  rows.row(0, {1.F, 2.F, 3.F, 4.F, 0.8F, 17.F});
  rows.row(2, {1.F, 2.F, 3.F, 4.F, 0.9F, -1.F});
  DetectSpec all = limits(0.5F, 300);
  all.nms.iou_threshold = 1.F;
  const auto ready = decode_rows(rows.output(), 2.F, 2.F, all);
  REQUIRE(ready.detections.size() == 2);
  check_box(ready.detections[1], {2, 4, 6, 8});
  CHECK(ready.detections[1].label == 17);
  CHECK(ready.detections[0].label == -1);
  for (const float bad : {not_a_number, 1e30F}) {
    rows.values[5] = bad;
    CHECK(decode_rows(rows.output(), 2.F, 2.F, all).broken == 1);
  }
}

TEST_CASE("boxes: arbitrary bits never crash, nor leave the frame; shapes that do not fit are refused") {
  const Made from = priors(60);
  for (unsigned round = 0; round < 50; ++round) {
    Made boxes({60, 4});
    Made scores({60, 5});
    Made rows({60, 6});
    boxes.random_bits(round);
    scores.random_bits(round + 500);
    rows.random_bits(round + 1000);
    for (const Activation activation : {Activation::none, Activation::sigmoid, Activation::softmax}) {
      check_sane(decode_ssd(boxes.output(), scores.output(), from.output(), spec(activation), limits(0.F, 64)), 64.F);
    }
    check_sane(decode_corners(boxes.output(), scores.output(), false, 1.F, 1.F, limits(0.F, 64)), 64.F);
    check_sane(decode_rows(rows.output(), 1.F, 1.F, limits(0.F, 64)), 64.F);
  }
  const DetectSpec detect = limits(0.5F, 64);
  const Made boxes({60, 4});
  const Made scores({60, 2});
  const Made thin({60, 1});
  const Made fewer({59, 2});
  const SsdSpec s = spec(Activation::none);
  CHECK_THROWS_AS(decode_ssd(boxes.output(), fewer.output(), from.output(), s, detect), std::invalid_argument);
  CHECK_THROWS_AS(decode_ssd(boxes.output(), thin.output(), from.output(), s, detect), std::invalid_argument);
  CHECK_THROWS_AS(decode_ssd(boxes.output(), scores.output(), priors(59).output(), s, detect), std::invalid_argument);
  CHECK_THROWS_AS(decode_ssd(scores.output(), scores.output(), from.output(), s, detect), std::invalid_argument);
  SsdSpec zero = s;
  zero.scales[2] = 0.F;
  CHECK_THROWS_AS(decode_ssd(boxes.output(), scores.output(), from.output(), zero, detect), std::invalid_argument);
  CHECK_THROWS_AS(decode_rows(boxes.output(), 1.F, 1.F, detect), std::invalid_argument);
}
