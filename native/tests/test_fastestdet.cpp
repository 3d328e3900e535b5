#include <stdexcept>

#include "decoding.hpp"
#include "edgeward/fastestdet.hpp"

using namespace edgeward;

TEST_CASE("fastestdet: a cell becomes its box and its weighed score") {
  Made head({7, 4, 8});
  // Line 1, column 2 of a 4 x 8 grid: tanh(0.5), tanh(0), sigmoid(0) wide, sigmoid(-2) high.
  head.column(10, {0.9F, 0.5F, 0.F, 0.F, -2.F, 0.2F, 0.8F});
  const auto result = decode_fastestdet(head.output(), 80.F, 40.F, limits(0.65F, 80));
  REQUIRE(result.detections.size() == 1);
  const double x = (2 + std::tanh(0.5)) / 8 * 80;
  const double high = 40 / (1 + std::exp(2.));
  check_box(result.detections[0], {x - 20, 10 - high / 2, x + 20, 10 + high / 2});
  CHECK(result.detections[0].score == doctest::Approx(std::pow(0.9, 0.6) * std::pow(0.8, 0.4)));
  CHECK(result.detections[0].label == 1);
  CHECK(result.detections[0].row == 10);
}

TEST_CASE("fastestdet: no cell that passes is rejected by its objectness alone") {
  for (const float threshold : {0.F, 0.1F, 0.35F, 0.65F, 0.9F, 1.F}) {
    Made head({6, 1, 1});
    // The least objectness with which a certain class passes.
    head.values = {std::pow(threshold, 1.F / 0.6F), 0.F, 0.F, 0.F, 0.F, 1.F};
    while (std::pow(head.values[0], 0.6F) < threshold) {
      head.values[0] = std::nextafter(head.values[0], 2.F);
    }
    CHECK(decode_fastestdet(head.output(), 8.F, 8.F, limits(threshold, 8)).detections.size() == 1);
  }
}

TEST_CASE("fastestdet: what is no number is counted") {
  for (const std::size_t value : {0U, 1U, 2U, 3U, 4U, 5U, 6U}) {
    Made head({7, 2, 2});
    head.column(1, {0.9F, 0.F, 0.F, 0.F, 0.F, 0.9F, 0.1F});
    head.values[value * 4 + 1] = not_a_number;
    const auto result = decode_fastestdet(head.output(), 8.F, 8.F, limits(0.5F, 8));
    CHECK(result.broken == 1);
    CHECK(result.detections.empty());
  }
}

TEST_CASE("fastestdet: arbitrary bits never crash, nor leave the frame; a wrong shape is refused") {
  for (unsigned round = 0; round < 50; ++round) {
    Made head({9, 5, 6});
    head.random_bits(round);
    check_sane(decode_fastestdet(head.output(), 64.F, 64.F, limits(0.F, 64)), 64.F);
  }
  const Made thin({5, 2, 2});
  CHECK_THROWS_AS(decode_fastestdet(thin.output(), 8.F, 8.F, limits(0.5F, 8)), std::invalid_argument);
  const Made flat({7, 4});
  CHECK_THROWS_AS(decode_fastestdet(flat.output(), 8.F, 8.F, limits(0.5F, 8)), std::invalid_argument);
}
