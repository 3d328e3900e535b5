#include "edgeward/colour.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "edgeward/resample.hpp"

namespace edgeward {
namespace {

using Row = std::array<double, 3>;

struct Affine {
  std::array<Row, 3> gain{};
  Row offset{};
};

// Y'CbCr to R'G'B' in 0..255 units, from the luma weights (ITU-R BT.601-7 and BT.709-6, section 3).
Affine ycbcr_to_rgb(Matrix matrix, bool full_range) {
  const double kr = matrix == Matrix::bt601 ? 0.299 : 0.2126;
  const double kb = matrix == Matrix::bt601 ? 0.114 : 0.0722;
  const double kg = 1. - kr - kb;
  const double luma = full_range ? 1. : 255. / 219.;
  const double chroma = full_range ? 1. : 255. / 224.;
  const double black = full_range ? 0. : 16.;
  const double red_cr = 2. * (1. - kr) * chroma;
  const double blue_cb = 2. * (1. - kb) * chroma;
  const double green_cb = -2. * (1. - kb) * kb / kg * chroma;
  const double green_cr = -2. * (1. - kr) * kr / kg * chroma;
  Affine affine;
  affine.gain = {Row{luma, 0., red_cr}, Row{luma, green_cb, green_cr}, Row{luma, blue_cb, 0.}};
  for (std::size_t c = 0; c < 3; ++c) {
    affine.offset[c] = -black * luma - 128. * (affine.gain[c][1] + affine.gain[c][2]);
  }
  return affine;
}

Affine bgr_to_rgb() { return {{Row{0., 0., 1.}, Row{0., 1., 0.}, Row{1., 0., 0.}}, {}}; }

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

// pixel -> tensor value, before rounding and the zero point.
struct Line {
  double gain;
  double offset;
};

Line normalising_line(const Normalisation& n, DType dtype, std::size_t c) {
  const double quant = is_integer(dtype) ? static_cast<double>(n.quant_scale) : 1.;
  const double divisor = static_cast<double>(n.std[c]) * quant;
  // + 0: a mean of 0 must not make an offset of -0.
  return {static_cast<double>(n.scale) / divisor, -static_cast<double>(n.mean[c]) / divisor + 0.};
}

}  // namespace

ColourTransform colour_transform(const ColourSource& source, ChannelOrder order, DType dtype,
                                 const Normalisation& normalisation) {
  check(normalisation, dtype);
  const Affine rgb =
      source.format == PixelFormat::bgr24 ? bgr_to_rgb() : ycbcr_to_rgb(source.matrix, source.full_range);
  const double sample_unit = std::ldexp(1., -sample_fraction_bits);
  const Range range = range_of(dtype);
  ColourTransform transform;
  for (std::size_t c = 0; c < 3; ++c) {
    const std::size_t from = order == ChannelOrder::rgb ? c : 2 - c;
    const Line line = normalising_line(normalisation, dtype, c);
    for (std::size_t k = 0; k < 3; ++k) {
      transform.gain[c][k] = static_cast<float>(rgb.gain[from][k] * sample_unit);
    }
    transform.offset[c] = static_cast<float>(rgb.offset[from] + static_cast<double>(rounding));
    transform.scale[c] = static_cast<float>(line.gain);
    transform.shift[c] = static_cast<float>(line.offset);
    double low = std::min(line.offset, 255. * line.gain + line.offset);
    double high = std::max(line.offset, 255. * line.gain + line.offset);
    if (is_integer(dtype)) {
      // The clamp of the quantised type, moved in front of rounding: both bounds are integers.
      low = std::clamp<double>(low, range.low - normalisation.quant_zero_point,
                               range.high - normalisation.quant_zero_point);
      high = std::clamp<double>(high, range.low - normalisation.quant_zero_point,
                                range.high - normalisation.quant_zero_point);
      transform.zero_point = normalisation.quant_zero_point;
    }
    transform.low[c] = static_cast<float>(low);
    transform.high[c] = static_cast<float>(high);
  }
  return transform;
}

float normalised(const Normalisation& normalisation, DType dtype, int channel, float pixel) {
  const Line line = normalising_line(normalisation, dtype, static_cast<std::size_t>(channel));
  const double value = static_cast<double>(pixel) * line.gain + line.offset;
  if (!is_integer(dtype)) {
    return static_cast<float>(value);
  }
  const Range range = range_of(dtype);
  const double quantised = std::nearbyint(value) + normalisation.quant_zero_point;
  return static_cast<float>(std::clamp<double>(quantised, range.low, range.high));
}

}  // namespace edgeward
