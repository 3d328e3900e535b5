#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "edgeward/colour.hpp"
#include "edgeward/resample.hpp"
#include "half.hpp"

using namespace edgeward;

namespace {

std::array<float, 3> apply(const ColourTransform& t, float y, float u, float v) {
  const std::array<float, 3> in{y, u, v};
  std::array<float, 3> out{};
  for (std::size_t c = 0; c < 3; ++c) {
    float value = t.offset[c];
    for (std::size_t k = 0; k < 3; ++k) {
      value += t.gain[c][k] * in[k] * static_cast<float>(1 << sample_fraction_bits);
    }
    const float pixel = std::floor(std::clamp(value, darkest, brightest));
    out[c] = std::clamp(pixel * t.scale[c] + t.shift[c], t.low[c], t.high[c]);
  }
  return out;
}

void check_rgb(const ColourTransform& t, std::array<float, 3> yuv, std::array<float, 3> rgb, double epsilon) {
  const auto out = apply(t, yuv[0], yuv[1], yuv[2]);
  for (std::size_t c = 0; c < 3; ++c) {
    CHECK(std::abs(out[c] - rgb[c]) < epsilon);
  }
}

ColourTransform plain(Matrix matrix, bool full_range) {
  return colour_transform({PixelFormat::i420, matrix, full_range}, ChannelOrder::rgb, DType::float32, {});
}

}  // namespace

TEST_CASE("known colours of BT.601 and BT.709, both ranges") {
  // Y'CbCr of pure colours, rounded to bytes as encoders do: hence the epsilon.
  check_rgb(plain(Matrix::bt601, false), {82, 90, 240}, {255, 0, 0}, 2.);
  check_rgb(plain(Matrix::bt601, false), {145, 54, 34}, {0, 255, 0}, 2.);
  check_rgb(plain(Matrix::bt601, false), {41, 240, 110}, {0, 0, 255}, 2.);
  check_rgb(plain(Matrix::bt709, false), {63, 102, 240}, {255, 0, 0}, 2.);
  check_rgb(plain(Matrix::bt709, false), {173, 42, 26}, {0, 255, 0}, 2.);
  check_rgb(plain(Matrix::bt601, true), {76, 85, 255}, {254, 0, 0}, 2.);
  check_rgb(plain(Matrix::bt601, false), {16, 128, 128}, {0, 0, 0}, 1e-3);
  check_rgb(plain(Matrix::bt709, false), {235, 128, 128}, {255, 255, 255}, 1e-3);
}

TEST_CASE("a quantised type clips to its own range in front of rounding") {
  Normalisation n;
  n.quant_zero_point = -128;
  const auto t = colour_transform({PixelFormat::bgr24, Matrix::bt601, false}, ChannelOrder::bgr, DType::int8, n);
  CHECK(t.low[0] == 0.F);
  CHECK(t.high[0] == 255.F);
  n.quant_zero_point = 0;
  const auto narrow = colour_transform({PixelFormat::bgr24, Matrix::bt601, false}, ChannelOrder::bgr, DType::int8, n);
  CHECK(narrow.high[0] == 127.F);
}

TEST_CASE("values that cannot be divided by are refused") {
  Normalisation n;
  n.std[1] = 0.F;
  CHECK_THROWS_AS(colour_transform({}, ChannelOrder::rgb, DType::float32, n), std::invalid_argument);
  n = {};
  n.quant_scale = -1.F;
  CHECK_THROWS_AS(colour_transform({}, ChannelOrder::rgb, DType::uint8, n), std::invalid_argument);
}

TEST_CASE("halves round to even and overflow to infinity") {
  CHECK(to_half(0.F) == 0);
  CHECK(to_half(1.F) == 0x3c00);
  CHECK(to_half(-2.F) == 0xc000);
  CHECK(to_half(65504.F) == 0x7bff);
  CHECK(to_half(65519.F) == 0x7bff);
  CHECK(to_half(65520.F) == 0x7c00);
  CHECK(to_half(1.F + 0x1p-11F) == 0x3c00);        // half way: to even
  CHECK(to_half(1.F + 3.F * 0x1p-11F) == 0x3c02);  // half way: to even
  CHECK(to_half(0x1p-24F) == 1);                   // the smallest subnormal
  CHECK(to_half(0x1p-25F) == 0);
}
