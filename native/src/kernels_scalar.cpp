// The plain path: the definition that the vector kernels are tested against.
#include <algorithm>
#include <cstring>

#include "half.hpp"
#include "kernels.hpp"

namespace edgeward {
namespace {

// As pmulhrsw and vqrdmulh round.
std::int32_t multiply_q15(std::int32_t a, std::int32_t b) { return (a * b + 0x4000) >> 15; }

std::int32_t saturated(std::int32_t value) { return std::clamp(value, -32768, 32767); }

std::int32_t blend(std::uint8_t upper, std::uint8_t lower, std::int32_t weight) {
  return upper * sample_one + multiply_q15((static_cast<std::int32_t>(lower) - upper) * sample_one, weight);
}

void sample_row(const ResampleTable& table, RowPair rows, std::int16_t* samples) {
  const std::uint8_t* lower = rows.weight == 0 ? rows.upper : rows.lower;
  const auto blended = [&](std::int32_t at) {
    return blend(std::max(rows.upper[at], table.floor), std::max(lower[at], table.floor), rows.weight);
  };
  for (std::size_t i = 0; i < table.left.size(); ++i) {
    std::int32_t sample = blended(table.left[i]);
    if (!table.exact) {
      sample = (sample * table.weights[2 * i] + blended(table.right[i]) * table.weights[2 * i + 1] + weight_one / 2) /
               weight_one;
    }
    samples[i] = static_cast<std::int16_t>(sample);
  }
}

void sample_pair(const ResampleTable& table, RowPair rows, std::int16_t* first, std::int16_t* second) {
  sample_row(table, rows, first);
  const std::uint8_t* lower = rows.weight == 0 ? rows.upper : rows.lower;
  sample_row(table, {rows.upper + 1, lower + 1, rows.weight, nullptr, nullptr}, second);
}

void sum_rows(const WeightedRows& rows, std::int16_t* sums) {
  for (std::ptrdiff_t x = 0; x < rows.bytes; ++x) {
    std::int32_t sum = 0;
    const std::uint8_t* from = rows.first + x;
    for (int k = 0; k < rows.count; ++k, from += rows.stride) {
      sum += std::max(*from, rows.floor) * rows.weights[k];
    }
    constexpr int unit = weight_one / sample_one;
    sums[x] = static_cast<std::int16_t>((sum + unit / 2) / unit);
  }
}

void sum_across(const AreaTable& table, const std::int16_t* row, std::int16_t* samples) {
  const auto length = static_cast<std::size_t>(table.chunks) * 8;
  const std::int16_t* weights = table.weights.data();
  for (std::size_t i = 0; i < table.first.size(); ++i, weights += length) {
    const std::int16_t* from = row + table.first[i];
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < length; ++k) {
      sum += from[k] * weights[k];
    }
    samples[i] = static_cast<std::int16_t>((sum + weight_one / 2) / weight_one);
  }
}

void widen_halves(const std::byte* halves, std::byte* floats, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t half = 0;
    std::memcpy(&half, halves + 2 * i, sizeof half);
    const float value = from_half(half);
    std::memcpy(floats + 4 * i, &value, sizeof value);
  }
}

// The pixel - 128 in Q7 to the pixel.
std::uint8_t to_pixel(std::int32_t value) { return static_cast<std::uint8_t>(std::clamp(value >> 7, -128, 127) + 128); }

using Samples = std::array<std::int32_t, 3>;
using Pixels = std::array<std::uint8_t, 3>;

std::int32_t luma(const ColourTransform& t, std::int32_t y) {
  return saturated(y + t.offset + multiply_q15(y, t.luma_gain));
}

template <ColourStep step>
Pixels colour(const ColourTransform& t, const Samples& in) {
  if constexpr (step == ColourStep::ycc) {
    const std::int32_t y = luma(t, in[0]);
    const std::int32_t cb = (in[1] - 128 * sample_one) * 2;
    const std::int32_t cr = (in[2] - 128 * sample_one) * 2;
    const std::int32_t red = saturated(y + multiply_q15(cr, t.red_cr));
    const std::int32_t green = saturated(y + multiply_q15(cb, t.green_cb) + multiply_q15(cr, t.green_cr));
    const std::int32_t blue = saturated(saturated(y + cb) + multiply_q15(cb, t.blue_cb_less_1));
    return {to_pixel(red), to_pixel(green), to_pixel(blue)};
  } else if constexpr (step == ColourStep::plain) {
    return {to_pixel(in[0] + t.offset), to_pixel(in[1] + t.offset), to_pixel(in[2] + t.offset)};
  } else if constexpr (step == ColourStep::luma) {
    return {to_pixel(luma(t, in[0])), 0, 0};
  } else {
    std::int32_t sum = t.offset;
    for (std::size_t k = 0; k < 3; ++k) {
      sum += multiply_q15(in[k], t.weights[k]);
    }
    return {to_pixel(sum), 0, 0};
  }
}

template <Element element>
void store(const ColourTransform& t, std::size_t channel, std::uint8_t pixel, void* out, std::size_t at) {
  if constexpr (element == Element::raw8) {
    static_cast<std::uint8_t*>(out)[at] = pixel ^ t.flip;
  } else if constexpr (element == Element::table8) {
    static_cast<std::uint8_t*>(out)[at] = t.table[channel][pixel];
  } else {
    const float value = static_cast<float>(pixel) * t.scale[channel] + t.shift[channel];
    if constexpr (element == Element::float32) {
      static_cast<float*>(out)[at] = value;
    } else {
      static_cast<std::uint16_t*>(out)[at] = to_half(value);
    }
  }
}

template <ColourStep step, bool interleaved, Element element>
void colour_row(const ColourTransform& transform, const SampleRows& samples, TensorRow out) {
  constexpr bool gray = step == ColourStep::luma || step == ColourStep::weighted;
  constexpr std::size_t inputs = step == ColourStep::luma ? 1 : 3;
  constexpr std::size_t channels = gray ? 1 : 3;
  const auto count = static_cast<std::size_t>(samples.count);
  for (std::size_t i = 0; i < count; ++i) {
    Samples in{};
    for (std::size_t k = 0; k < inputs; ++k) {
      in[k] = samples.component[k][i];
    }
    const Pixels pixels = colour<step>(transform, in);
    for (std::size_t c = 0; c < channels; ++c) {
      const std::uint8_t pixel = pixels[!gray && transform.swapped ? 2 - c : c];
      if constexpr (interleaved && !gray) {
        store<element>(transform, c, pixel, out.channel[0], 3 * i + c);
      } else {
        store<element>(transform, c, pixel, out.channel[c], i);
      }
    }
  }
}

template <ColourStep step, bool interleaved>
constexpr ColourRows colour_rows() {
  return {colour_row<step, interleaved, Element::float32>, colour_row<step, interleaved, Element::float16>,
          colour_row<step, interleaved, Element::raw8>, colour_row<step, interleaved, Element::table8>};
}

template <bool interleaved>
constexpr std::array<ColourRows, 4> colour_steps() {
  return {colour_rows<ColourStep::ycc, interleaved>(), colour_rows<ColourStep::plain, interleaved>(),
          colour_rows<ColourStep::luma, false>(), colour_rows<ColourStep::weighted, false>()};
}

}  // namespace

constinit const Kernels scalar_kernels{"scalar", sample_row, sample_pair, sum_rows, sum_across, widen_halves,
                                       colour_steps<false>(), colour_steps<true>()};

}  // namespace edgeward
