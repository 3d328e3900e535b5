#include <cmath>
#include <stdexcept>

#include "decoding.hpp"
#include "edgeward/yolox.hpp"

using namespace edgeward;

namespace {

constexpr std::size_t columns = 7;
constexpr std::size_t rows = 64 + 16 + 4;
const InputGrids input{64, 64, {8, 16, 32}};

}  // namespace

TEST_CASE("yolox: a cell of the second grid is decoded with its stride") {
  Made head({rows, columns});
  head.row(64 + 4 + 1, {0.5F, 0.5F, 0.F, std::log(0.5F), 0.5F, 0.1F, 0.9F});  // stride 16, line 1, column 1
  const auto result = decode_yolox(head.output(), input, limits(0.25F, 64));
  REQUIRE(result.detections.size() == 1);
  check_box(result.detections[0], {16, 20, 32, 28});
  CHECK(result.detections[0].label == 1);
  CHECK(result.detections[0].row == 69);
  CHECK(result.detections[0].score == doctest::Approx(0.45));
}

TEST_CASE("boxes go back to source pixels and are clipped there") {
  Made head({rows, columns});
  head.row(0, {0.5F, 0.5F, 0.F, std::log(4.F), 1.F, 1.F, 0.F});  // 0..8 x -12..20
  DetectSpec spec = limits(0.25F, 1000);
  spec.place.scale_x = spec.place.scale_y = 0.5;
  spec.place.pad_x = 2.;
  spec.place.crop_x = 100.;
  const auto result = decode_yolox(head.output(), input, spec);
  REQUIRE(result.detections.size() == 1);
  check_box(result.detections[0], {96, 0, 112, 40});
}

TEST_CASE("yolox: rows that are not finite are counted and left out") {
  for (const float bad : {not_a_number, std::numeric_limits<float>::infinity()}) {
    for (std::size_t column = 0; column < columns; ++column) {
      Made head({rows, columns});
      head.row(3, {0.F, 0.F, 0.F, 0.F, 0.9F, 0.9F, 0.1F});
      head.values[3 * columns + column] = bad;
      const auto result = decode_yolox(head.output(), input, limits(0.25F, 64));
      CHECK(result.detections.empty());
      CHECK(result.broken == 1);
    }
  }
}

TEST_CASE("yolox: arbitrary bits never crash, nor leave the frame") {
  for (unsigned round = 0; round < 200; ++round) {
    Made head({rows, columns});
    head.random_bits(round);
    check_sane(decode_yolox(head.output(), input, limits(0.F, 64)), 64.F);
  }
}

TEST_CASE("yolox: a shape that does not fit is refused") {
  const auto decode = [](std::vector<std::size_t> shape, const InputGrids& of) {
    const Made head(std::move(shape));
    return decode_yolox(head.output(), of, limits(0.25F, 64));
  };
  CHECK_THROWS_AS(decode({rows - 1, columns}, input), std::invalid_argument);
  CHECK_THROWS_AS(decode({rows, 5}, input), std::invalid_argument);
  CHECK_THROWS_AS(decode({1, rows, columns}, input), std::invalid_argument);
  CHECK_THROWS_AS(decode({rows, columns}, {60, 64, {8, 16, 32}}), std::invalid_argument);
  CHECK_THROWS_AS(decode({rows, columns}, {64, 64, {8, 0}}), std::invalid_argument);
}
