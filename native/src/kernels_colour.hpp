// Samples to pixels to elements, over V. See kernels_bilinear.hpp on V and on namespaces.
//
// V::Samples  V::lanes 16-bit samples
// V::Bytes    V::lanes pixels
// V::Floats   V::lanes floats, in two registers
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels.hpp"

namespace edgeward {
namespace {

template <class V>
struct Pixels {
  typename V::Bytes channel[3];
};

constexpr bool is_gray(ColourStep step) { return step == ColourStep::luma || step == ColourStep::weighted; }

// The constants of a colour step in registers.
template <class V, ColourStep step>
struct Colours {
  typename V::Samples offset, luma_gain, red_cr, green_cb, green_cr, blue_cb, weights[3];
  bool swapped;

  explicit Colours(const ColourTransform& t)
      : offset(V::splat16(t.offset)),
        luma_gain(V::splat16(t.luma_gain)),
        red_cr(V::splat16(t.red_cr)),
        green_cb(V::splat16(t.green_cb)),
        green_cr(V::splat16(t.green_cr)),
        blue_cb(V::splat16(t.blue_cb_less_1)),
        weights{V::splat16(t.weights[0]), V::splat16(t.weights[1]), V::splat16(t.weights[2])},
        swapped(t.swapped) {}

  typename V::Samples luma(const std::int16_t* from) const {
    const auto y = V::load(from);
    return V::adds16(V::add16(y, offset), V::multiply_q15(y, luma_gain));
  }

  // Centred on 0, in Q8.
  static typename V::Samples chroma(const std::int16_t* from) {
    return V::twice(V::sub16(V::load(from), V::splat16(128 * sample_one)));
  }

  // V::lanes pixels, from `at` on; those of gray are in the first channel.
  Pixels<V> operator()(const SampleRows& samples, std::ptrdiff_t at) const {
    const auto* const* in = samples.component.data();
    if constexpr (step == ColourStep::ycc) {
      const auto y = luma(in[0] + at);
      const auto cb = chroma(in[1] + at);
      const auto cr = chroma(in[2] + at);
      const auto red = V::adds16(y, V::multiply_q15(cr, red_cr));
      const auto green = V::adds16(y, V::add16(V::multiply_q15(cb, green_cb), V::multiply_q15(cr, green_cr)));
      const auto blue = V::adds16(V::adds16(y, cb), V::multiply_q15(cb, blue_cb));
      return {{V::pixels(red), V::pixels(green), V::pixels(blue)}};
    } else if constexpr (step == ColourStep::plain) {
      return {{V::pixels(V::add16(V::load(in[0] + at), offset)), V::pixels(V::add16(V::load(in[1] + at), offset)),
               V::pixels(V::add16(V::load(in[2] + at), offset))}};
    } else if constexpr (step == ColourStep::luma) {
      const auto gray = V::pixels(luma(in[0] + at));
      return {{gray, gray, gray}};
    } else {
      const auto blue = V::multiply_q15(V::load(in[0] + at), weights[0]);
      const auto green = V::multiply_q15(V::load(in[1] + at), weights[1]);
      const auto red = V::multiply_q15(V::load(in[2] + at), weights[2]);
      const auto gray = V::pixels(V::add16(V::add16(blue, green), V::add16(red, offset)));
      return {{gray, gray, gray}};
    }
  }
};

template <class V>
struct Lines {
  typename V::Float scale[3], shift[3];
  explicit Lines(const ColourTransform& t)
      : scale{V::splat(t.scale[0]), V::splat(t.scale[1]), V::splat(t.scale[2])},
        shift{V::splat(t.shift[0]), V::splat(t.shift[1]), V::splat(t.shift[2])} {}
  typename V::Floats values(typename V::Bytes pixels, std::size_t c) const {
    const typename V::Floats floats = V::floats(pixels);
    return {V::multiply_add(floats.low, scale[c], shift[c]), V::multiply_add(floats.high, scale[c], shift[c])};
  }
};

template <class V>
struct Float32 : Lines<V> {
  using Lines<V>::Lines;
  static constexpr std::ptrdiff_t bytes = 4;
  void planar(std::uint8_t* to, typename V::Bytes pixels, std::size_t c) const {
    V::store_floats(to, this->values(pixels, c));
  }
  void interleaved(std::uint8_t* to, const typename V::Bytes* p) const {
    V::store_floats3(to, this->values(p[0], 0), this->values(p[1], 1), this->values(p[2], 2));
  }
};

template <class V>
struct Float16 : Lines<V> {
  using Lines<V>::Lines;
  static constexpr std::ptrdiff_t bytes = 2;
  void planar(std::uint8_t* to, typename V::Bytes pixels, std::size_t c) const {
    V::store_halves(to, V::halves(this->values(pixels, c)));
  }
  void interleaved(std::uint8_t* to, const typename V::Bytes* p) const {
    V::store_halves3(to, V::halves(this->values(p[0], 0)), V::halves(this->values(p[1], 1)),
                     V::halves(this->values(p[2], 2)));
  }
};

template <class V>
struct Raw8 {
  static constexpr std::ptrdiff_t bytes = 1;
  typename V::Bytes flip;
  explicit Raw8(const ColourTransform& t) : flip(V::splat8(t.flip)) {}
  void planar(std::uint8_t* to, typename V::Bytes pixels, std::size_t) const {
    V::store_bytes(to, V::exclusive_or(pixels, flip));
  }
  void interleaved(std::uint8_t* to, const typename V::Bytes* p) const {
    V::store_bytes3(to, V::exclusive_or(p[0], flip), V::exclusive_or(p[1], flip), V::exclusive_or(p[2], flip));
  }
};

template <class V>
struct Table8 {
  static constexpr std::ptrdiff_t bytes = 1;
  typename V::Table table[3];
  explicit Table8(const ColourTransform& t)
      : table{V::table(t.table[0].data()), V::table(t.table[1].data()), V::table(t.table[2].data())} {}
  void planar(std::uint8_t* to, typename V::Bytes pixels, std::size_t c) const {
    V::store_bytes(to, V::look_up(table[c], pixels));
  }
  void interleaved(std::uint8_t* to, const typename V::Bytes* p) const {
    V::store_bytes3(to, V::look_up(table[0], p[0]), V::look_up(table[1], p[1]), V::look_up(table[2], p[2]));
  }
};

// Writes pixels [at, at + V::lanes) of a row.
template <class V, ColourStep step, bool interleaved, class Type>
inline void write_pixels(const Colours<V, step>& colours, const Type& type, const SampleRows& samples, TensorRow out,
                         std::ptrdiff_t at) {
  Pixels<V> p = colours(samples, at);
  if constexpr (is_gray(step)) {
    type.planar(static_cast<std::uint8_t*>(out.channel[0]) + at * Type::bytes, p.channel[0], 0);
    return;
  }
  if (colours.swapped) {
    const auto first = p.channel[0];
    p.channel[0] = p.channel[2];
    p.channel[2] = first;
  }
  if constexpr (interleaved) {
    type.interleaved(static_cast<std::uint8_t*>(out.channel[0]) + at * 3 * Type::bytes, p.channel);
  } else {
    for (std::size_t c = 0; c < 3; ++c) {
      type.planar(static_cast<std::uint8_t*>(out.channel[c]) + at * Type::bytes, p.channel[c], c);
    }
  }
}

// A row of fewer than V::lanes pixels: made aside, then copied.
template <class V, ColourStep step, bool interleaved, class Type>
void colour_short_row(const Colours<V, step>& colours, const Type& type, const SampleRows& samples, TensorRow out) {
  std::uint8_t aside[3 * V::lanes * Type::bytes];
  constexpr std::ptrdiff_t apart = V::lanes * Type::bytes;
  write_pixels<V, step, interleaved>(colours, type, samples, {{aside, aside + apart, aside + 2 * apart}}, 0);
  const auto size = static_cast<std::size_t>(samples.count * Type::bytes);
  if constexpr (interleaved) {
    std::memcpy(out.channel[0], aside, 3 * size);
  } else {
    for (std::size_t c = 0; c < (is_gray(step) ? 1 : 3); ++c) {
      std::memcpy(out.channel[c], aside + static_cast<std::ptrdiff_t>(c) * apart, size);
    }
  }
}

template <class V, ColourStep step, bool interleaved, class Type>
void colour_row(const ColourTransform& transform, const SampleRows& samples, TensorRow out) {
  const Colours<V, step> colours(transform);
  const Type type(transform);
  if (samples.count < V::lanes) {
    return colour_short_row<V, step, interleaved>(colours, type, samples, out);
  }
  std::ptrdiff_t at = 0;
  for (; at + V::lanes <= samples.count; at += V::lanes) {
    write_pixels<V, step, interleaved>(colours, type, samples, out, at);
  }
  if (at < samples.count) {  // the last ones again, overlapping what is there already
    at = samples.count - V::lanes;
    write_pixels<V, step, interleaved>(colours, type, samples, out, at);
  }
}

template <class V, ColourStep step, bool interleaved>
constexpr ColourRows colour_rows() {
  return {colour_row<V, step, interleaved, Float32<V>>, colour_row<V, step, interleaved, Float16<V>>,
          colour_row<V, step, interleaved, Raw8<V>>, colour_row<V, step, interleaved, Table8<V>>};
}

template <class V, bool interleaved>
constexpr std::array<ColourRows, 4> colour_steps() {
  return {colour_rows<V, ColourStep::ycc, interleaved>(), colour_rows<V, ColourStep::plain, interleaved>(),
          colour_rows<V, ColourStep::luma, false>(), colour_rows<V, ColourStep::weighted, false>()};
}

}  // namespace
}  // namespace edgeward
