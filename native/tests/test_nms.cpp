#include <doctest/doctest.h>

#include "edgeward/nms.hpp"

using namespace edgeward;

namespace {

Detection at(float x, float y, float score, int label, int row) { return {x, y, x + 10, y + 10, score, label, row}; }

}  // namespace

TEST_CASE("overlap is shared over united area") {
  CHECK(intersection_over_union(at(0, 0, 1, 0, 0), at(0, 0, 1, 0, 0)) == doctest::Approx(1.));
  CHECK(intersection_over_union(at(0, 0, 1, 0, 0), at(5, 0, 1, 0, 0)) == doctest::Approx(1. / 3));
  CHECK(intersection_over_union(at(0, 0, 1, 0, 0), at(10, 0, 1, 0, 0)) == 0.F);
  const Detection point{3, 3, 3, 3, 1, 0, 0};
  CHECK(intersection_over_union(point, point) == 0.F);  // no area: no division by it
}

TEST_CASE("the best of an overlapping heap stays") {
  const auto kept = suppress({at(0, 0, 0.5F, 1, 0), at(1, 0, 0.9F, 1, 1), at(50, 0, 0.1F, 1, 2)}, {});
  REQUIRE(kept.size() == 2);
  CHECK(kept[0].row == 1);
  CHECK(kept[1].row == 2);
}

TEST_CASE("a box that was suppressed suppresses none") {
  // In a row of three, the middle one falls to the first; the last overlaps the middle one only.
  NmsLimits limits;
  limits.iou_threshold = 0.3F;
  const auto kept = suppress({at(0, 0, 0.9F, 0, 0), at(5, 0, 0.8F, 0, 1), at(10, 0, 0.7F, 0, 2)}, limits);
  REQUIRE(kept.size() == 2);
  CHECK(kept[1].row == 2);
}

TEST_CASE("classes are apart unless agnostic") {
  NmsLimits limits;
  CHECK(suppress({at(0, 0, 0.9F, 0, 0), at(0, 0, 0.8F, 1, 1)}, limits).size() == 2);
  limits.class_agnostic = true;
  CHECK(suppress({at(0, 0, 0.9F, 0, 0), at(0, 0, 0.8F, 1, 1)}, limits).size() == 1);
}

TEST_CASE("limits keep the best, and equal scores go by row") {
  std::vector<Detection> many;
  for (int i = 0; i < 50; ++i) {
    many.push_back(at(static_cast<float>(20 * (49 - i)), 0, 0.5F, 0, 49 - i));
  }
  NmsLimits limits;
  limits.max_candidates = 20;
  limits.max_detections = 5;
  const auto kept = suppress(many, limits);
  REQUIRE(kept.size() == 5);
  for (int i = 0; i < 5; ++i) {
    CHECK(kept[static_cast<std::size_t>(i)].row == i);
  }
  CHECK(suppress({}, limits).empty());
}

TEST_CASE("an overlap threshold of one suppresses nothing, not even equal boxes") {
  NmsLimits limits;
  limits.iou_threshold = 1.F;
  // Sizes whose areas are rounded, so that the overlap of equal boxes may come out above 1.
  std::vector<Detection> same;
  for (int i = 0; i < 20; ++i) {
    same.push_back({0.1F, 0.3F, 33.37F, 71.93F, 0.5F, 0, i});
  }
  CHECK(suppress(same, limits).size() == 20);
}
