#include "edgeward/colour.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "edgeward/resample.hpp"

namespace edgeward {
namespace {

std::int16_t q15(double value) { return static_cast<std::int16_t>(std::lround(value * 32768.)); }
std::int16_t q7(double value) { return static_cast<std::int16_t>(std::lround(value * sample_one)); }

// Y'CbCr to R'G'B' in 0..255 units, from the luma weights (ITU-R BT.601-7 and BT.709-6, section 3).
void set_ycbcr(ColourTransform& to, const ColourSource& source) {
  const double kr = source.matrix == Matrix::bt601 ? 0.299 : 0.2126;
  const double kb = source.matrix == Matrix::bt601 ? 0.114 : 0.0722;
  const double kg = 1. - kr - kb;
  const double luma = source.full_range ? 1. : 255. / 219.;
  const double chroma = source.full_range ? 1. : 255. / 224.;
  const double black = source.full_range ? 0. : 16.;
  to.luma_gain = q15(luma - 1.);
  to.offset = q7(-black * luma - 128. + rounding);
  to.red_cr = q15((1. - kr) * chroma);
  to.green_cb = q15(-(1. - kb) * kb / kg * chroma);
  to.green_cr = q15(-(1. - kr) * kr / kg * chroma);
  to.blue_cb_less_1 = q15((1. - kb) * chroma - 1.);
}

struct Range {
  int low;
  int high;
};

bool is_integer(DType dtype) { return dtype == DType::uint8 || dtype == DType::int8; }
Range range_of(DType dtype) { return dtype == DType::uint8 ? Range{0, 255} : Range{-128, 127}; }

void check(const Normalisation& n, DType dtype) {
  for (std::size_t c = 0; c < 3; ++c) {
    if (!std::isfinite(n.mean[c]) || !std::isfinite(n.std[c]) || n.std[c] == 0.F) {
      throw std::invalid_argument("mean must be finite and std finite and not 0");
    }
  }
  if (!std::isfinite(n.scale)) {
    throw std::invalid_argument("scale must be finite");
  }
  if (!std::isfinite(n.quant_scale) || n.quant_scale <= 0.F) {
    throw std::invalid_argument("quant_scale must be finite and above 0");
  }
  const Range range = range_of(dtype);
  if (is_integer(dtype) && (n.quant_zero_point < range.low || n.quant_zero_point > range.high)) {
    throw std::invalid_argument("quant_zero_point must lie within the range of the dtype");
  }
}

// The formula step by step in float32, as NumPy evaluates it: elements that lie between two integers are then
// the same ones.
float quantised(const Normalisation& n, DType dtype, std::size_t channel, float pixel) {
  const float scaled = pixel * n.scale;
  const float centred = scaled - n.mean[channel];
  const float value = centred / n.std[channel];
  const float steps = std::nearbyint(value / n.quant_scale);
  const Range range = range_of(dtype);
  return std::clamp(steps + static_cast<float>(n.quant_zero_point), static_cast<float>(range.low),
                    static_cast<float>(range.high));
}

// Where the quantised pixel is the pixel itself, or the pixel - 128, nothing has to be looked up.
bool is_raw(const ColourTransform& transform, std::uint8_t flip) {
  return std::ranges::all_of(transform.table, [flip](const auto& table) {
    for (std::size_t pixel = 0; pixel < table.size(); ++pixel) {
      if (table[pixel] != (pixel ^ flip)) {
        return false;
      }
    }
    return true;
  });
}

void set_elements(ColourTransform& to, DType dtype, const Normalisation& n) {
  to.element = dtype == DType::float16 ? Element::float16 : Element::float32;
  for (std::size_t c = 0; c < 3; ++c) {
    to.scale[c] = static_cast<float>(static_cast<double>(n.scale) / static_cast<double>(n.std[c]));
    // + 0: a mean of 0 must not make a shift of -0.
    to.shift[c] = static_cast<float>(-static_cast<double>(n.mean[c]) / static_cast<double>(n.std[c]) + 0.);
  }
  if (!is_integer(dtype)) {
    return;
  }
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t pixel = 0; pixel < 256; ++pixel) {
      const float element = quantised(n, dtype, c, static_cast<float>(pixel));
      to.table[c][pixel] = static_cast<std::uint8_t>(static_cast<int>(element));
    }
  }
  to.flip = dtype == DType::uint8 ? 0 : 0x80;
  to.element = is_raw(to, to.flip) ? Element::raw8 : Element::table8;
}

}  // namespace

ColourTransform colour_transform(const ColourSource& source, ChannelOrder order, DType dtype,
                                 const Normalisation& normalisation) {
  check(normalisation, dtype);
  ColourTransform transform;
  const bool packed = source.format == PixelFormat::bgr24;
  if (packed) {
    transform.offset = q7(-128. + rounding);
    transform.weights = {3736, 19234, 9798};  // BT.601, of B, G, R, as cvtColor has them; their sum is 1
  } else {
    set_ycbcr(transform, source);
  }
  if (order == ChannelOrder::gray) {
    transform.step = packed ? ColourStep::weighted : ColourStep::luma;
  } else {
    transform.step = packed ? ColourStep::plain : ColourStep::ycc;
    transform.swapped = (order == ChannelOrder::bgr) != packed;
  }
  set_elements(transform, dtype, normalisation);
  return transform;
}

float normalised(const Normalisation& normalisation, DType dtype, std::size_t channel, float pixel) {
  if (is_integer(dtype)) {
    return quantised(normalisation, dtype, channel, pixel);
  }
  const double value = static_cast<double>(pixel) * static_cast<double>(normalisation.scale) -
                       static_cast<double>(normalisation.mean[channel]);
  return static_cast<float>(value / static_cast<double>(normalisation.std[channel]));
}

}  // namespace edgeward
