#include <stdexcept>

#include "decoding.hpp"
#include "edgeward/yunet.hpp"

using namespace edgeward;

namespace {

const InputGrids input{40, 24, {8, 16}};  // 15 and, covering, 6 cells

std::vector<Made> made() {
  return {Made({15, 1}), Made({6, 1}), Made({15, 1}), Made({6, 1}), Made({15, 4}), Made({6, 4})};
}

Decoded decode(const std::vector<Made>& parts, const DetectSpec& detect) {
  std::vector<Output> outputs;
  for (const Made& part : parts) {
    outputs.push_back(part.output());
  }
  return decode_yunet(outputs, input, detect);
}

}  // namespace

TEST_CASE("yunet: a cell becomes its box, its score is the root of both") {
  auto parts = made();
  parts[1].values[4] = 0.9F;
  parts[3].values[4] = 1.6F;  // held to 1
  parts[5].row(4, {0.5F, -0.5F, std::log(2.F), 0.F});
  const auto result = decode(parts, limits(0.6F, 100));
  REQUIRE(result.detections.size() == 1);
  check_box(result.detections[0], {8, 0, 40, 16});
  CHECK(result.detections[0].score == doctest::Approx(std::sqrt(0.9)));
  CHECK(result.detections[0].row == 19);
}

TEST_CASE("yunet: what is no number is counted") {
  for (const std::size_t part : {1U, 3U, 5U}) {
    auto parts = made();
    parts[1].values[4] = parts[3].values[4] = 0.9F;
    parts[part].values[part == 5 ? 16 : 4] = not_a_number;
    const auto result = decode(parts, limits(0.6F, 100));
    CHECK(result.broken == 1);
    CHECK(result.detections.empty());
  }
}

TEST_CASE("yunet: arbitrary bits never crash, nor leave the frame; shapes that do not fit are refused") {
  for (unsigned round = 0; round < 100; ++round) {
    auto parts = made();
    for (Made& part : parts) {
      part.random_bits(round++);
    }
    check_sane(decode(parts, limits(0.F, 40)), 40.F);
  }
  for (std::size_t wrong = 0; wrong < 6; ++wrong) {
    auto parts = made();
    parts[wrong] = Made({parts[wrong].shape[0] + 1, parts[wrong].shape[1]});
    CHECK_THROWS_AS(decode(parts, limits(0.5F, 40)), std::invalid_argument);
    parts.pop_back();
    CHECK_THROWS_AS(decode(parts, limits(0.5F, 40)), std::invalid_argument);
  }
}
