// The plain path: the definition that the vector kernels are tested against.
#include <algorithm>
#include <cmath>

#include "half.hpp"
#include "kernels.hpp"

namespace edgeward {
namespace {

// A byte pair as a Q7 value, rounded as pmulhrsw and vqrdmulh round.
std::int32_t blend(std::uint8_t upper, std::uint8_t lower, std::int32_t weight) {
  const std::int32_t difference = (static_cast<std::int32_t>(lower) - upper) * 128;
  return upper * 128 + ((difference * weight + 0x4000) >> 15);
}

void sample_row(const ResampleTable& table, RowPair rows, std::int32_t* samples) {
  const auto count = static_cast<std::size_t>(table.groups) * 4;
  const std::uint8_t* lower = rows.weight == 0 ? rows.upper : rows.lower;
  const auto blended = [&](std::int32_t at) {
    return blend(std::max(rows.upper[at], table.floor), std::max(lower[at], table.floor), rows.weight);
  };
  for (std::size_t i = 0; i < count; ++i) {
    samples[i] = blended(table.left[i]) * table.weights[2 * i] + blended(table.right[i]) * table.weights[2 * i + 1];
  }
}

void sample_pair(const ResampleTable& table, RowPair rows, std::int32_t* first, std::int32_t* second) {
  sample_row(table, rows, first);
  const std::uint8_t* lower = rows.weight == 0 ? rows.upper : rows.lower;
  sample_row(table, {rows.upper + 1, lower + 1, rows.weight, nullptr, nullptr}, second);
}

struct Float32 {
  using Element = float;
  static Element convert(float value, std::int32_t /*zero_point*/) { return value; }
};
struct Float16 {
  using Element = std::uint16_t;
  static Element convert(float value, std::int32_t /*zero_point*/) { return to_half(value); }
};
struct Quantised8 {
  using Element = std::uint8_t;  // the low byte is the same for int8
  static Element convert(float value, std::int32_t zero_point) {
    return static_cast<Element>(std::lrint(value) + zero_point);
  }
};

template <class Type, bool interleaved>
void colour_row(const ColourTransform& transform, const SampleRows& samples, TensorRow out) {
  using Element = typename Type::Element;
  for (std::size_t c = 0; c < 3; ++c) {
    const auto& gain = transform.gain[c];
    auto* to = static_cast<Element*>(out.channel[interleaved ? 0 : c]) + (interleaved ? c : 0);
    for (int i = 0; i < samples.count; ++i) {
      float value = transform.offset[c];
      for (std::size_t k = 0; k < 3; ++k) {
        value += gain[k] * static_cast<float>(samples.component[k][i]);
      }
      const float pixel = std::floor(std::min(std::max(value, darkest), brightest));
      value = std::min(std::max(pixel * transform.scale[c] + transform.shift[c], transform.low[c]), transform.high[c]);
      to[static_cast<std::ptrdiff_t>(i) * (interleaved ? 3 : 1)] = Type::convert(value, transform.zero_point);
    }
  }
}

}  // namespace

constinit const Kernels scalar_kernels{
    "scalar",
    sample_row,
    sample_pair,
    {{{colour_row<Float32, false>, colour_row<Float16, false>, colour_row<Quantised8, false>},
      {colour_row<Float32, true>, colour_row<Float16, true>, colour_row<Quantised8, true>}}}};

}  // namespace edgeward
