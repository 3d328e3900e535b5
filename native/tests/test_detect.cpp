#include <stdexcept>

#include "candidates.hpp"
#include "decoding.hpp"

using namespace edgeward;

TEST_CASE("limits out of range are refused") {
  const auto refused = [](auto change) {
    DetectSpec spec = limits(0.5F, 10);
    change(spec);
    CHECK_THROWS_AS(check(spec), std::invalid_argument);
  };
  check(limits(0.5F, 10));
  refused([](DetectSpec& s) { s.score_threshold = not_a_number; });
  refused([](DetectSpec& s) { s.nms.iou_threshold = 1.1F; });
  refused([](DetectSpec& s) { s.nms.max_candidates = 0; });
  refused([](DetectSpec& s) { s.nms.max_detections = 0; });
  refused([](DetectSpec& s) { s.place.scale_x = 0.; });
  refused([](DetectSpec& s) { s.place.frame_height = -1.; });
  refused([](DetectSpec& s) { s.place.pad_y = std::numeric_limits<double>::infinity(); });
}

TEST_CASE("a shape whose values do not number what it says is refused, also one that overflows") {
  const std::vector<float> values(6);
  check(Output{values, {2, 3}}, 2, "output", "a, b");
  CHECK_THROWS_AS(check(Output{values, {2, 3}}, 3, "output", "a, b, c"), std::invalid_argument);
  CHECK_THROWS_AS(check(Output{values, {2, 4}}, 2, "output", "a, b"), std::invalid_argument);
  const std::size_t huge = std::size_t{1} << 33;
  CHECK_THROWS_AS(check(Output{values, {huge, huge}}, 2, "output", "a, b"), std::invalid_argument);
  CHECK_THROWS_AS(check(Output{values, {std::size_t{1} << 32, 1}}, 2, "output", "a, b"), std::invalid_argument);
}

TEST_CASE("grids cover the input, or divide it") {
  const auto covering = make_grids({100, 60, {8, 64}}, Cells::covering);
  REQUIRE(covering.size() == 2);
  CHECK(covering[0].columns == 13);
  CHECK(covering[0].lines == 8);
  CHECK(covering[1].cells() == 2);
  CHECK_THROWS_AS(make_grids({100, 60, {8}}, Cells::whole), std::invalid_argument);
  CHECK_THROWS_AS(make_grids({100, 60, {0}}, Cells::covering), std::invalid_argument);
  CHECK_THROWS_AS(make_grids({100, 60, {2147483647}}, Cells::covering), std::invalid_argument);
  CHECK_THROWS_AS(make_grids({100000, 60, {8}}, Cells::covering), std::invalid_argument);
}

TEST_CASE("many candidates are thinned out on the way, and the best of all stay") {
  DetectSpec spec = limits(0.F, 1e6);
  spec.nms = {1.F, false, 10, 10};
  Candidates candidates(spec);
  constexpr int many = 20'000;
  for (int i = 0; i < many; ++i) {
    const auto score = static_cast<float>((i * 7919) % many) / many;  // each once, in no order
    candidates.add(Box::around(5.F, 5.F, 4.F, 4.F), score, 0, static_cast<std::size_t>(i));
  }
  candidates.add_broken();
  const Decoded decoded = candidates.finish();
  REQUIRE(decoded.detections.size() == 10);
  CHECK(decoded.broken == 1);
  for (int i = 0; i < 10; ++i) {
    CHECK(decoded.detections[static_cast<std::size_t>(i)].score == static_cast<float>(many - 1 - i) / many);
  }
}

TEST_CASE("a box in the padding is no place in the frame, and suppresses none that is") {
  DetectSpec spec = limits(0.F, 100);
  spec.place.pad_x = 50.;
  spec.nms.max_detections = 1;
  Candidates candidates(spec);
  candidates.add({0.F, 10.F, 40.F, 20.F}, 0.9F, 0, 0);
  candidates.add({60.F, 10.F, 52.F, 20.F}, 0.9F, 0, 1);  // inside out
  candidates.add({0.F, 10.F, 60.F, 20.F}, 0.8F, 0, 2);
  const Decoded decoded = candidates.finish();
  REQUIRE(decoded.detections.size() == 1);
  check_box(decoded.detections[0], {0, 10, 10, 20});
}
