// The vector kernels, written once over a set of operations V that each instruction set's file gives.
//
// Everything here lives in an unnamed namespace and calls no standard library function that could be left
// out of line: these files are compiled with flags that the rest of the program must not run with, and the
// linker would otherwise be free to keep their copy of a shared inline function.
//
// V::Samples   V::groups groups of four 16-bit pairs, later four 32-bit sums
// V::Floats    eight floats
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels.hpp"

namespace edgeward {
namespace {

// The tables of one row of taps as bare pointers.
struct Tables {
  const std::int32_t* base;
  const std::uint8_t* shuffle;
  const std::uint8_t* shuffle1;
  const std::int16_t* weights;
  std::size_t groups;
  std::int16_t floor;
};

// Eight taps a group as 16-bit values, or as pairs of bytes where the table is paired.
template <class V, Window window>
inline typename V::Samples fetch(const Tables& t, const std::uint8_t* row, std::size_t group) {
  const auto first = V::load(t.shuffle + 16 * group);
  if constexpr (window == Window::one16) {
    return V::shuffle(V::template load_windows<1>(row, t.base + group), first);
  } else if constexpr (window == Window::two16) {
    const auto second = V::load(t.shuffle1 + 16 * group);
    return V::either(V::shuffle(V::template load_windows<2>(row, t.base + 2 * group), first),
                     V::shuffle(V::template load_windows<2>(row, t.base + 2 * group + 1), second));
  } else {
    return V::shuffle(V::load_words(row, t.base + 4 * group), first);
  }
}

// Asks for the places of the next rows that lie below this step's windows.
template <class V, Window window>
inline void prefetch(const Tables& t, RowPair rows, std::size_t group) {
  if constexpr (window == Window::one16) {  // two groups are at most 32 bytes: one line
    __builtin_prefetch(rows.next_upper + t.base[group]);
    __builtin_prefetch(rows.next_lower + t.base[group]);
  } else {
    constexpr std::size_t windows = window == Window::two16 ? 2 : 4;
    for (std::size_t i = windows * group; i < windows * (group + V::groups); i += windows / 2) {
      __builtin_prefetch(rows.next_upper + t.base[i]);
      __builtin_prefetch(rows.next_lower + t.base[i]);
    }
  }
}

struct Targets {
  std::int32_t* first;
  std::int32_t* second;  // of paired tables only
};

// Both rows' taps to samples: down, then across.
template <class V, bool blend>
inline auto mix(typename V::Samples upper, typename V::Samples lower, typename V::Samples row_weight,
                typename V::Samples weights) {
  auto blended = V::times128(upper);
  if constexpr (blend) {
    blended = V::add16(blended, V::multiply_q15(V::times128(V::sub16(lower, upper)), row_weight));
  }
  return V::pair_sums(blended, weights);
}

template <class V, Window window, bool paired, bool blend>
void sample(const Tables& t, RowPair rows, Targets to) {
  const auto row_weight = V::splat16(rows.weight);
  const auto least = V::splat16(t.floor);
  for (std::size_t group = 0; group < t.groups; group += V::groups) {
    prefetch<V, window>(t, rows, group);
    const auto weights = V::load(t.weights + 8 * group);
    const auto upper = fetch<V, window>(t, rows.upper, group);
    auto lower = upper;
    if constexpr (blend) {
      lower = fetch<V, window>(t, rows.lower, group);
    }
    if constexpr (paired) {
      V::store(to.first + 4 * group,
               mix<V, blend>(V::even_bytes(upper), V::even_bytes(lower), row_weight, weights));
      V::store(to.second + 4 * group, mix<V, blend>(V::odd_bytes(upper), V::odd_bytes(lower), row_weight, weights));
    } else {
      V::store(to.first + 4 * group,
               mix<V, blend>(V::max16(upper, least), V::max16(lower, least), row_weight, weights));
    }
  }
}

template <class V, Window window, bool paired>
void sample_window(const Tables& t, RowPair rows, Targets to) {
  // Exact scale factors (1080 rows to 360) put every output on a source row: half of the work.
  if (rows.weight == 0) {
    sample<V, window, paired, false>(t, rows, to);
  } else {
    sample<V, window, paired, true>(t, rows, to);
  }
}

// False where the table has no windows.
template <class V, bool paired>
bool sample_windows(const ResampleTable& table, RowPair rows, Targets to) {
  const Tables t{table.base.data(), table.shuffle.data(), table.shuffle1.data(), table.weights.data(),
                 static_cast<std::size_t>(table.groups), table.floor};
  switch (table.window) {
    case Window::one16: sample_window<V, Window::one16, paired>(t, rows, to); return true;
    case Window::two16: sample_window<V, Window::two16, paired>(t, rows, to); return true;
    case Window::four4: sample_window<V, Window::four4, paired>(t, rows, to); return true;
    case Window::pixel: break;
  }
  return false;
}

template <class V>
void sample_row(const ResampleTable& table, RowPair rows, std::int32_t* samples) {
  if (!sample_windows<V, false>(table, rows, {samples, nullptr})) {
    scalar_kernels.sample_row(table, rows, samples);
  }
}

template <class V>
void sample_pair(const ResampleTable& table, RowPair rows, std::int32_t* first, std::int32_t* second) {
  if (!sample_windows<V, true>(table, rows, {first, second})) {
    scalar_kernels.sample_pair(table, rows, first, second);
  }
}

template <class V>
struct Pixels {
  typename V::Floats channel[3];
};

template <class V>
struct Transform {
  typename V::Floats gain[3][3];
  typename V::Floats offset[3];
  typename V::Floats scale[3];
  typename V::Floats shift[3];
  typename V::Floats low[3];
  typename V::Floats high[3];
};

template <class V>
inline Transform<V> broadcast(const ColourTransform& from) {
  Transform<V> to;
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t k = 0; k < 3; ++k) {
      to.gain[c][k] = V::splat(from.gain[c][k]);
    }
    to.offset[c] = V::splat(from.offset[c]);
    to.scale[c] = V::splat(from.scale[c]);
    to.shift[c] = V::splat(from.shift[c]);
    to.low[c] = V::splat(from.low[c]);
    to.high[c] = V::splat(from.high[c]);
  }
  return to;
}

// Eight pixels.
template <class V>
inline Pixels<V> colour(const Transform<V>& transform, const SampleRows& samples, std::ptrdiff_t at) {
  typename V::Floats in[3];
  for (std::size_t k = 0; k < 3; ++k) {
    in[k] = V::load_samples(samples.component[k] + at);
  }
  Pixels<V> out;
  for (std::size_t c = 0; c < 3; ++c) {
    auto value = V::multiply_add(transform.gain[c][0], in[0], transform.offset[c]);
    value = V::multiply_add(transform.gain[c][1], in[1], value);
    value = V::multiply_add(transform.gain[c][2], in[2], value);
    const auto pixel = V::floor(V::clamp(value, V::splat(darkest), V::splat(brightest)));
    value = V::multiply_add(pixel, transform.scale[c], transform.shift[c]);
    out.channel[c] = V::clamp(value, transform.low[c], transform.high[c]);
  }
  return out;
}

template <class V>
struct Float32 {
  static constexpr std::ptrdiff_t bytes = 4;
  using Zero = int;
  static Zero zero(std::int32_t) { return 0; }
  static void planar(std::uint8_t* to, const typename V::Floats& v, Zero) { V::store_floats(to, v); }
  static void interleaved(std::uint8_t* to, const Pixels<V>& p, Zero) {
    V::store_floats3(to, p.channel[0], p.channel[1], p.channel[2]);
  }
};

template <class V>
struct Float16 {
  static constexpr std::ptrdiff_t bytes = 2;
  using Zero = int;
  static Zero zero(std::int32_t) { return 0; }
  static void planar(std::uint8_t* to, const typename V::Floats& v, Zero) { V::store_halves(to, V::halves(v)); }
  static void interleaved(std::uint8_t* to, const Pixels<V>& p, Zero) {
    V::store_halves3(to, V::halves(p.channel[0]), V::halves(p.channel[1]), V::halves(p.channel[2]));
  }
};

template <class V>
struct Quantised8 {
  static constexpr std::ptrdiff_t bytes = 1;
  using Zero = std::int32_t;
  static Zero zero(std::int32_t zero_point) { return zero_point; }
  static void planar(std::uint8_t* to, const typename V::Floats& v, Zero zero) {
    V::store_bytes(to, V::rounded_bytes(v, zero));
  }
  static void interleaved(std::uint8_t* to, const Pixels<V>& p, Zero zero) {
    V::store_bytes3(to, V::rounded_bytes(p.channel[0], zero), V::rounded_bytes(p.channel[1], zero),
                    V::rounded_bytes(p.channel[2], zero));
  }
};

// Writes pixels [at, at + 8) of a row.
template <class V, class Type, bool interleaved>
inline void store_pixels(const Pixels<V>& pixels, TensorRow out, std::ptrdiff_t at, typename Type::Zero zero) {
  if constexpr (interleaved) {
    Type::interleaved(static_cast<std::uint8_t*>(out.channel[0]) + at * 3 * Type::bytes, pixels, zero);
  } else {
    for (std::size_t c = 0; c < 3; ++c) {
      Type::planar(static_cast<std::uint8_t*>(out.channel[c]) + at * Type::bytes, pixels.channel[c], zero);
    }
  }
}

// A row of fewer than eight pixels: made aside, then copied.
template <class V, class Type, bool interleaved>
void colour_short_row(const Transform<V>& transform, const SampleRows& samples, TensorRow out,
                      typename Type::Zero zero) {
  std::uint8_t aside[3 * 8 * Type::bytes];
  constexpr std::ptrdiff_t apart = 8 * Type::bytes;
  store_pixels<V, Type, interleaved>(colour<V>(transform, samples, 0), {{aside, aside + apart, aside + 2 * apart}}, 0,
                                     zero);
  const auto size = static_cast<std::size_t>(samples.count * Type::bytes);
  if constexpr (interleaved) {
    std::memcpy(out.channel[0], aside, 3 * size);
  } else {
    for (std::size_t c = 0; c < 3; ++c) {
      std::memcpy(out.channel[c], aside + static_cast<std::ptrdiff_t>(c) * apart, size);
    }
  }
}

template <class V, class Type, bool interleaved>
void colour_row(const ColourTransform& colours, const SampleRows& samples, TensorRow out) {
  const Transform<V> transform = broadcast<V>(colours);
  const auto zero = Type::zero(colours.zero_point);
  if (samples.count < 8) {
    return colour_short_row<V, Type, interleaved>(transform, samples, out, zero);
  }
  std::ptrdiff_t at = 0;
  for (; at + 8 <= samples.count; at += 8) {
    store_pixels<V, Type, interleaved>(colour<V>(transform, samples, at), out, at, zero);
  }
  if (at < samples.count) {  // the last eight again, overlapping what is there already
    at = samples.count - 8;
    store_pixels<V, Type, interleaved>(colour<V>(transform, samples, at), out, at, zero);
  }
}

template <class V>
constexpr Kernels make_kernels(std::string_view name) {
  return {name,
          sample_row<V>,
          sample_pair<V>,
          {{{colour_row<V, Float32<V>, false>, colour_row<V, Float16<V>, false>, colour_row<V, Quantised8<V>, false>},
            {colour_row<V, Float32<V>, true>, colour_row<V, Float16<V>, true>, colour_row<V, Quantised8<V>, true>}}}};
}

}  // namespace
}  // namespace edgeward
