// One affine colour step: from three sampled components to three normalised channels.
#pragma once

#include <array>
#include <cstdint>

namespace edgeward {

enum class PixelFormat { i420, nv12, bgr24 };
enum class Matrix { bt601, bt709 };
enum class ChannelOrder { rgb, bgr };
enum class DType { float32, float16, uint8, int8 };

constexpr int bytes_per_element(DType dtype) {
  switch (dtype) {
    case DType::float32: return 4;
    case DType::float16: return 2;
    default: return 1;
  }
}

// value = (pixel * scale - mean) / std, in the tensor's channel order; for the integer types then
// q = clamp(round_half_even(value / quant_scale) + zero_point).
struct Normalisation {
  std::array<float, 3> mean{0.F, 0.F, 0.F};
  std::array<float, 3> std{1.F, 1.F, 1.F};
  float scale = 1.F;
  float quant_scale = 1.F;
  int quant_zero_point = 0;
};

// pixel[c] = floor(clamp(sum over k of gain[c][k] * sample[k] + offset[c], darkest, brightest))
// out[c]   = clamp(pixel[c] * scale[c] + shift[c], low[c], high[c])
//
// Samples are integers with sample_fraction_bits of fraction. The pixel is a whole number of 0..255, as in
// the 8-bit pictures that models are made with; `rounding` is in the offset.
struct ColourTransform {
  std::array<std::array<float, 3>, 3> gain{};
  std::array<float, 3> offset{};
  std::array<float, 3> scale{};
  std::array<float, 3> shift{};
  std::array<float, 3> low{};
  std::array<float, 3> high{};
  std::int32_t zero_point = 0;
};

struct ColourSource {
  PixelFormat format = PixelFormat::i420;
  Matrix matrix = Matrix::bt601;
  bool full_range = false;
};

// What is added before the fraction is cut off. OpenCV's 8-bit conversion and resize cut off fractions on their
// way and come out 0.08 lower than plain rounding, on average of real pictures; so does this. Models are
// tested with those pictures, and scores near a threshold follow such a bias.
constexpr float rounding = 0.42F;
constexpr float darkest = rounding;
constexpr float brightest = 255.F + rounding;

// The least luma that a picture of limited range is taken to have: below it a byte is noise around black.
constexpr std::uint8_t luma_floor(const ColourSource& source) {
  return source.format == PixelFormat::bgr24 || source.full_range ? 0 : 16;
}

// Throws std::invalid_argument where a value is not finite, std or quant_scale is 0, or the zero point
// lies outside the dtype.
ColourTransform colour_transform(const ColourSource& source, ChannelOrder order, DType dtype,
                                 const Normalisation& normalisation);

// The tensor value of one pixel colour (0..255 units) of channel c: what padding is made of.
float normalised(const Normalisation& normalisation, DType dtype, int channel, float pixel);

}  // namespace edgeward
