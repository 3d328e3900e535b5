#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <stdexcept>

#include "edgeward/colour.hpp"
#include "edgeward/resample.hpp"
#include "half.hpp"
#include "kernels.hpp"

using namespace edgeward;

namespace {

// One pixel of the given components, through the definition of the kernels.
std::array<float, 3> apply(const ColourTransform& t, float y, float u, float v) {
  const auto sample = [](float value) { return static_cast<std::int16_t>(value * sample_one); };
  const std::array<std::int16_t, 3> in{sample(y), sample(u), sample(v)};
  std::array<float, 3> out{};
  const auto step = static_cast<std::size_t>(t.step);
  scalar_kernels.interleaved[step][static_cast<std::size_t>(t.element)](t, {{&in[0], &in[1], &in[2]}, 1},
                                                                        {{out.data(), nullptr, nullptr}});
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

TEST_CASE("luma alone is gray, of both ranges") {
  const auto gray = [](bool full_range, float y) {
    const ColourSource source{PixelFormat::i420, Matrix::bt601, full_range};
    return apply(colour_transform(source, ChannelOrder::gray, DType::float32, {}), y, 0, 0)[0];
  };
  CHECK(gray(false, 16) == 0.F);
  CHECK(gray(false, 235) == 255.F);
  CHECK(gray(false, 255) == 255.F);
  CHECK(gray(true, 0) == 0.F);
  CHECK(gray(true, 77) == 77.F);
}

TEST_CASE("gray of packed colour is the weighted sum") {
  const auto t = colour_transform({PixelFormat::bgr24, Matrix::bt601, false}, ChannelOrder::gray, DType::float32, {});
  CHECK(apply(t, 255, 255, 255)[0] == 255.F);
  CHECK(apply(t, 255, 0, 0)[0] == 29.F);
  CHECK(apply(t, 0, 255, 0)[0] == 150.F);
  CHECK(apply(t, 0, 0, 255)[0] == 76.F);
}

TEST_CASE("a quantised type clips to its own range") {
  Normalisation n;
  const auto narrow = colour_transform({PixelFormat::bgr24, Matrix::bt601, false}, ChannelOrder::bgr, DType::int8, n);
  CHECK(narrow.table[0][127] == 127);
  CHECK(narrow.table[0][255] == 127);
}

TEST_CASE("what is the pixel, or the pixel - 128, is not looked up") {
  const ColourSource source{PixelFormat::bgr24, Matrix::bt601, false};
  Normalisation n;
  CHECK(colour_transform(source, ChannelOrder::bgr, DType::uint8, n).element == Element::raw8);
  CHECK(colour_transform(source, ChannelOrder::bgr, DType::int8, n).element == Element::table8);
  n.quant_zero_point = -128;
  n.scale = n.quant_scale = 1.F / 255.F;
  CHECK(colour_transform(source, ChannelOrder::bgr, DType::int8, n).element == Element::raw8);
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
