#include <stdexcept>

#include "decoding.hpp"
#include "edgeward/yolov8.hpp"

using namespace edgeward;

TEST_CASE("yolov8: both layouts give centre and size in units, and the best class") {
  for (const bool first : {true, false}) {
    Made head(first ? std::vector<std::size_t>{9, 600} : std::vector<std::size_t>{600, 9});
    const auto row = {0.5F, 0.25F, 0.5F, 0.1F, 0.2F, 0.9F, 0.3F, 77.F, 78.F};
    if (first) {
      head.column(555, row);
    } else {
      head.row(555, row);
    }
    const auto result = decode_yolov8(head.output(), {3, first, 100.F, 200.F}, limits(0.5F, 300));
    REQUIRE(result.detections.size() == 1);
    check_box(result.detections[0], {25, 40, 75, 60});
    CHECK(result.detections[0].label == 1);
    CHECK(result.detections[0].row == 555);
    CHECK(result.detections[0].score == 0.9F);
  }
}

TEST_CASE("yolov8: a score that is no number is counted, a box only where it passed, extra values never") {
  for (const std::size_t value : {0U, 3U, 4U, 6U, 7U}) {
    Made head({8, 20}, 0.1F);
    head.column(3, {9.F, 9.F, 2.F, 2.F, 0.1F, 0.8F, 0.2F, 5.F});
    head.values[value * 20 + 3] = not_a_number;   // passes
    head.values[value * 20 + 10] = not_a_number;  // sees nothing
    const std::size_t expected = value < 4 ? 1 : value < 7 ? 2 : 0;
    CHECK(decode_yolov8(head.output(), {3, true, 1.F, 1.F}, limits(0.5F, 300)).broken == expected);
  }
}

TEST_CASE("yolov8: arbitrary bits never crash, nor leave the frame") {
  for (unsigned round = 0; round < 50; ++round) {
    Made head({9, 700});
    head.random_bits(round);
    check_sane(decode_yolov8(head.output(), {4, true, 1.F, 1.F}, limits(0.F, 64)), 64.F);
    Made rows({700, 9});
    rows.random_bits(round);
    check_sane(decode_yolov8(rows.output(), {5, false, 1.F, 1.F}, limits(0.F, 64)), 64.F);
  }
}

TEST_CASE("yolov8: shapes that do not fit are refused, no rows are none") {
  const DetectSpec spec = limits(0.5F, 64);
  const Made head({9, 20});
  CHECK_THROWS_AS(decode_yolov8(head.output(), {6, true, 1.F, 1.F}, spec), std::invalid_argument);
  CHECK_THROWS_AS(decode_yolov8(head.output(), {0, true, 1.F, 1.F}, spec), std::invalid_argument);
  CHECK_THROWS_AS(decode_yolov8(head.output(), {3, true, not_a_number, 1.F}, spec), std::invalid_argument);
  const Made thin({3, 20});
  CHECK_THROWS_AS(decode_yolov8(thin.output(), {1, true, 1.F, 1.F}, spec), std::invalid_argument);
  const Made empty({9, 0});
  CHECK(decode_yolov8(empty.output(), {5, true, 1.F, 1.F}, spec).detections.empty());
}
