#include <doctest/doctest.h>

#include "edgeward/resample.hpp"

using namespace edgeward;

TEST_CASE("the same size takes each sample as it is") {
  const auto taps = axis_taps(0, 7, 7, 1);
  for (int i = 0; i < 7; ++i) {
    CHECK(taps[static_cast<std::size_t>(i)].left == i);
    CHECK(taps[static_cast<std::size_t>(i)].fraction == 0.);
  }
}

TEST_CASE("a third of the size falls on every third sample's centre") {
  const auto taps = axis_taps(0, 1080, 360, 1);
  for (int i = 0; i < 360; ++i) {
    CHECK(taps[static_cast<std::size_t>(i)].left == 3 * i + 1);
    CHECK(taps[static_cast<std::size_t>(i)].fraction == 0.);
  }
}

TEST_CASE("half the size blends neighbours evenly") {
  const auto taps = axis_taps(0, 8, 4, 1);
  CHECK(taps[1].left == 2);
  CHECK(taps[1].right == 3);
  CHECK(taps[1].fraction == doctest::Approx(0.5));
}

TEST_CASE("enlarging clamps at both ends") {
  const auto taps = axis_taps(0, 2, 8, 1);
  CHECK(taps.front().left == 0);
  CHECK(taps.front().fraction == 0.);
  CHECK(taps.back().left == 1);
  CHECK(taps.back().right == 1);
}

TEST_CASE("taps stay inside the crop") {
  for (const Tap& tap : axis_taps(5, 3, 20, 1)) {
    CHECK(tap.left >= 5);
    CHECK(tap.right <= 7);
  }
}

TEST_CASE("a chroma sample counts for both pixels that it covers") {
  // Half way between luma 2 and 3 and between luma 3 and 4; luma 2 and 3 belong to chroma 1, luma 4 to chroma 2.
  const auto inside = axis_taps(2, 2, 1, 2);
  CHECK(inside[0].left == 1);
  CHECK(inside[0].right == 1);
  CHECK(inside[0].fraction == 0.);
  const auto across = axis_taps(3, 2, 1, 2);
  CHECK(across[0].left == 1);
  CHECK(across[0].right == 2);
  CHECK(across[0].fraction == doctest::Approx(0.5));
}

TEST_CASE("a crop at an odd offset keeps chroma in register") {
  const auto taps = axis_taps(3, 5, 5, 2);  // luma 3..7, chroma 1..3
  CHECK(taps.front().left == 1);
  CHECK(taps.front().fraction == 0.);
  CHECK(taps.back().right == 3);
}

TEST_CASE("an odd width's last chroma sample covers one pixel") {
  const auto taps = axis_taps(0, 5, 5, 2);
  CHECK(taps.back().right == 2);
  CHECK(taps.back().left == 2);
}

TEST_CASE("windows grow with the scale") {
  CHECK(resample_table(axis_taps(0, 1920, 640, 1), {}, 1920).window == Window::one16);
  CHECK(resample_table(axis_taps(0, 1920, 416, 1), {}, 1920).window == Window::one16);
  CHECK(resample_table(axis_taps(0, 1920, 320, 1), {}, 1920).window == Window::two16);
  CHECK(resample_table(axis_taps(0, 1920, 100, 1), {}, 1920).window == Window::four4);
  CHECK(resample_table(axis_taps(0, 3, 3, 1), {}, 3).window == Window::pixel);
}

TEST_CASE("a table is exact where every output falls on a sample, of luma and of chroma") {
  CHECK(resample_table(axis_taps(0, 1920, 640, 1), {}, 1920).exact);
  CHECK(resample_table(axis_taps(0, 1920, 640, 2), {}, 960).exact);
  CHECK_FALSE(resample_table(axis_taps(0, 1920, 416, 1), {}, 1920).exact);
}

TEST_CASE("a weight never reaches one") {
  CHECK(weight_of(0.) == 0);
  CHECK(weight_of(0.5) == weight_one / 2);
  CHECK(weight_of(0.99999) == weight_one - 1);
}

TEST_CASE("no window reaches past the row") {
  for (int width = 1; width < 150; ++width) {
    for (int outputs = 1; outputs < 40; outputs += 3) {
      for (int pixel_stride = 1; pixel_stride <= 3; ++pixel_stride) {
        const int row_bytes = width * pixel_stride;
        const auto table = resample_table(axis_taps(0, width, outputs, 1),
                                          {pixel_stride, pixel_stride - 1, false, 0}, row_bytes);
        const int bytes = table.window == Window::four4 ? 4 : 16;
        for (const std::int32_t base : table.base) {
          CHECK(base >= 0);
          CHECK(base + bytes <= row_bytes);
        }
        for (const std::int32_t base : table.wide_base) {
          CHECK(base >= 0);
          CHECK(base + (table.wide == WideWindow::one64 ? 64 : 128) <= row_bytes);
        }
      }
    }
  }
}
