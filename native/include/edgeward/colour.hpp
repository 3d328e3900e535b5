// One colour step: from sampled components to the pixels of the tensor's channels, and from these to its elements.
#pragma once

#include <array>
#include <cstdint>

namespace edgeward {

enum class PixelFormat { i420, nv12, bgr24 };
enum class Matrix { bt601, bt709 };
enum class ChannelOrder { rgb, bgr, gray };
enum class DType { float32, float16, uint8, int8 };

constexpr int bytes_per_element(DType dtype) {
  switch (dtype) {
    case DType::float32: return 4;
    case DType::float16: return 2;
    default: return 1;
  }
}

constexpr std::size_t channels_of(ChannelOrder order) { return order == ChannelOrder::gray ? 1 : 3; }

// value = (pixel * scale - mean) / std, in the tensor's channel order; for the integer types then
// q = clamp(round_half_even(value / quant_scale) + zero_point). A gray tensor takes the first of each three.
struct Normalisation {
  std::array<float, 3> mean{0.F, 0.F, 0.F};
  std::array<float, 3> std{1.F, 1.F, 1.F};
  float scale = 1.F;
  float quant_scale = 1.F;
  int quant_zero_point = 0;
};

// What the three components, or the first of them, are and what becomes of them.
enum class ColourStep : std::uint8_t {
  ycc,       // Y, Cb, Cr to three channels
  plain,     // three components are the three channels
  luma,      // Y to gray
  weighted,  // B, G, R to gray
};

// How pixels become elements.
enum class Element : std::uint8_t {
  float32,
  float16,
  raw8,    // the pixel, or the pixel - 128
  table8,  // by a table of 256
};

// Pixels are whole numbers of 0..255, as in the 8-bit pictures that models are made with. They are made of
// samples in integer arithmetic, so that every CPU makes the same ones; sums saturate and products are
// rounded as pmulhrsw and vqrdmulh do. The last sum is the pixel - 128 in Q7, and its fraction is cut off.
struct ColourTransform {
  ColourStep step = ColourStep::plain;
  Element element = Element::float32;
  bool swapped = false;  // ycc and plain: the components are those of the last channel first
  // Of ycc and luma: pixel = luma + luma * (luma_gain / 2^15) + offset + the part of chroma
  std::int16_t luma_gain = 0;
  std::int16_t offset = 0;
  // Of ycc, in Q15, for centred chroma in Q8 and sums in Q7: half of the gain; that of blue is given less 1,
  // since it would be above 1.
  std::int16_t red_cr = 0;
  std::int16_t green_cb = 0;
  std::int16_t green_cr = 0;
  std::int16_t blue_cb_less_1 = 0;
  // Of weighted, in Q15.
  std::array<std::int16_t, 3> weights{};
  // For float elements: pixel * scale + shift.
  std::array<float, 3> scale{};
  std::array<float, 3> shift{};
  // For raw8: what to flip of a pixel. For table8: an element for each pixel of each channel.
  std::uint8_t flip = 0;
  std::array<std::array<std::uint8_t, 256>, 3> table{};
};

struct ColourSource {
  PixelFormat format = PixelFormat::i420;
  Matrix matrix = Matrix::bt601;
  bool full_range = false;
};

// What is added before the fraction is cut off. OpenCV's 8-bit conversion and resize cut off fractions on their
// way and come out 0.08 lower than plain rounding, on average of real pictures; so does this. Models are
// tested with those pictures, and scores near a threshold follow such a bias.
constexpr double rounding = 0.42;

// The least luma that a picture of limited range is taken to have: below it a byte is noise around black.
constexpr std::uint8_t luma_floor(const ColourSource& source) {
  return source.format == PixelFormat::bgr24 || source.full_range ? 0 : 16;
}

// Throws std::invalid_argument where a value is not finite, std or quant_scale is 0, or the zero point
// lies outside the dtype.
ColourTransform colour_transform(const ColourSource& source, ChannelOrder order, DType dtype,
                                 const Normalisation& normalisation);

// The tensor value of one pixel colour (0..255 units) of channel c, for an integer type its element: what
// padding is made of.
float normalised(const Normalisation& normalisation, DType dtype, std::size_t channel, float pixel);

}  // namespace edgeward
