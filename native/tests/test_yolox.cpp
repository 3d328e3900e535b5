#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>

#include "edgeward/yolox.hpp"

using namespace edgeward;

namespace {

constexpr std::size_t columns = 7;
constexpr std::size_t rows = 64 + 16 + 4;

YoloxSpec spec() {
  YoloxSpec s;
  s.input_width = s.input_height = 64;
  s.frame_width = s.frame_height = 64;
  s.score_threshold = 0.25F;
  return s;
}

std::vector<float> empty_head() { return std::vector<float>(rows * columns, 0.F); }

void set(std::vector<float>& head, std::size_t row, std::array<float, columns> values) {
  std::copy(values.begin(), values.end(), head.begin() + static_cast<std::ptrdiff_t>(row * columns));
}

}  // namespace

TEST_CASE("a cell of the second grid is decoded with its stride") {
  auto head = empty_head();
  set(head, 64 + 4 + 1, {0.5F, 0.5F, 0.F, 0.F, 0.5F, 0.1F, 0.9F});  // stride 16, line 1, column 1
  const auto result = decode_yolox(head, rows, columns, spec());
  REQUIRE(result.detections.size() == 1);
  const Detection d = result.detections[0];
  CHECK(d.x1 == 16.F);
  CHECK(d.y2 == 32.F);
  CHECK(d.label == 1);
  CHECK(d.score == doctest::Approx(0.45));
}

TEST_CASE("boxes go back to source pixels and are clipped there") {
  auto head = empty_head();
  set(head, 0, {0.5F, 0.5F, 0.F, std::log(4.F), 1.F, 1.F, 0.F});  // 0..8 x -12..20
  YoloxSpec s = spec();
  s.scale_x = s.scale_y = 0.5;
  s.pad_x = 2.;
  s.crop_x = 100.;
  s.frame_width = s.frame_height = 1000.;
  const auto result = decode_yolox(head, rows, columns, s);
  REQUIRE(result.detections.size() == 1);
  CHECK(result.detections[0].x1 == doctest::Approx(96.));
  CHECK(result.detections[0].x2 == doctest::Approx(112.));
  CHECK(result.detections[0].y1 == 0.F);
  CHECK(result.detections[0].y2 == doctest::Approx(40.));
}

TEST_CASE("rows that are not finite are counted and left out") {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (std::size_t column = 0; column < columns; ++column) {
      auto head = empty_head();
      set(head, 3, {0.F, 0.F, 0.F, 0.F, 0.9F, 0.9F, 0.1F});
      head[3 * columns + column] = bad;
      const auto result = decode_yolox(head, rows, columns, spec());
      CHECK(result.detections.empty());
      CHECK(result.skipped == 1);
    }
  }
}

TEST_CASE("arbitrary bits never crash, nor leave the frame") {
  std::mt19937 rng(7);
  YoloxSpec s = spec();
  s.score_threshold = 0.F;
  for (int round = 0; round < 200; ++round) {
    auto head = empty_head();
    for (float& value : head) {
      value = std::bit_cast<float>(static_cast<std::uint32_t>(rng()));
    }
    for (const Detection& d : decode_yolox(head, rows, columns, s).detections) {
      CHECK(d.x1 >= 0.F);
      CHECK(d.x2 <= 64.F);
      CHECK(d.x1 < d.x2);
      CHECK(d.y1 < d.y2);
    }
  }
}

TEST_CASE("a shape that does not fit is refused") {
  const auto head = empty_head();
  CHECK_THROWS_AS(decode_yolox(head, rows - 1, columns, spec()), std::invalid_argument);
  CHECK_THROWS_AS(decode_yolox(head, rows, 5, spec()), std::invalid_argument);
  YoloxSpec s = spec();
  s.input_width = 60;
  CHECK_THROWS_AS(decode_yolox(head, rows, columns, s), std::invalid_argument);
}
