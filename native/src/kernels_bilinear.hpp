// Bilinear sampling, written once over a set of operations V that each instruction set's file gives.
//
// Everything in the vector headers lives in an unnamed namespace and calls no standard library function that
// could be left out of line: these files are compiled with flags that the rest of the program must not run
// with, and the linker would otherwise be free to keep their copy of a shared inline function.
//
// V::Samples   V::groups groups of four 16-bit pairs, or eight 16-bit samples
// V::Sums      V::groups groups of four 32-bit sums
#pragma once

#include <cstddef>
#include <cstdint>

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

// Asks for the places of the next rows that lie below the windows of V::groups groups.
template <class V, Window window>
inline void prefetch(const Tables& t, RowPair rows, std::size_t group) {
  const auto ask = [&rows](std::int32_t at) {
    __builtin_prefetch(rows.next_upper + at);
    if (rows.next_lower != rows.next_upper) {
      __builtin_prefetch(rows.next_lower + at);
    }
  };
  if constexpr (window == Window::one16) {  // two groups are at most 32 bytes: one line
    ask(t.base[group]);
  } else {
    constexpr std::size_t windows = window == Window::two16 ? 2 : 4;
    for (std::size_t i = windows * group; i < windows * (group + V::groups); i += windows / 2) {
      ask(t.base[i]);
    }
  }
}

// Both rows' taps to sums: down, then across. An exact table has nothing to blend across.
template <class V, bool exact, bool blend>
inline auto mix(typename V::Samples upper, typename V::Samples lower, typename V::Samples row_weight,
                typename V::Samples weights) {
  auto blended = V::times128(upper);
  if constexpr (blend) {
    blended = V::add16(blended, V::multiply_q15(V::times128(V::sub16(lower, upper)), row_weight));
  }
  const auto sums = V::pair_sums(blended, weights);
  if constexpr (exact) {
    return sums;
  } else {
    return V::rounded14(sums);
  }
}

template <class V>
struct Pair {
  typename V::Sums first;
  typename V::Sums second;
};

// V::groups groups of outputs, of one component or of two.
template <class V, Window window, bool paired, bool exact, bool blend>
inline Pair<V> sample_groups(const Tables& t, RowPair rows, typename V::Samples row_weight, std::size_t group) {
  // Of an exact table's pairs only the left one counts.
  const auto weights = exact ? V::splat_pair(1, 0) : V::load(t.weights + 8 * group);
  const auto upper = fetch<V, window>(t, rows.upper, group);
  auto lower = upper;
  if constexpr (blend) {
    lower = fetch<V, window>(t, rows.lower, group);
  }
  if constexpr (paired) {
    return {mix<V, exact, blend>(V::even_bytes(upper), V::even_bytes(lower), row_weight, weights),
            mix<V, exact, blend>(V::odd_bytes(upper), V::odd_bytes(lower), row_weight, weights)};
  } else {
    const auto least = V::splat16(t.floor);
    const auto sums = mix<V, exact, blend>(V::max16(upper, least), V::max16(lower, least), row_weight, weights);
    return {sums, sums};
  }
}

struct Targets {
  std::int16_t* first;
  std::int16_t* second;  // of paired tables only
};

template <class V, Window window, bool paired, bool exact, bool blend>
void sample(const Tables& t, RowPair rows, Targets to) {
  const auto row_weight = V::splat16(rows.weight);
  for (std::size_t group = 0; group < t.groups; group += 2 * V::groups) {
    if (rows.next_upper != nullptr) {
      prefetch<V, window>(t, rows, group);
      prefetch<V, window>(t, rows, group + V::groups);
    }
    const auto a = sample_groups<V, window, paired, exact, blend>(t, rows, row_weight, group);
    const auto b = sample_groups<V, window, paired, exact, blend>(t, rows, row_weight, group + V::groups);
    V::store(to.first + 4 * group, V::packed(a.first, b.first));
    if constexpr (paired) {
      V::store(to.second + 4 * group, V::packed(a.second, b.second));
    }
  }
}

template <class V, Window window, bool paired>
void sample_window(const Tables& t, bool exact, RowPair rows, Targets to) {
  // Exact scale factors (1080 rows to 360) put every output on a source row: half of the work.
  if (rows.weight == 0) {
    exact ? sample<V, window, paired, true, false>(t, rows, to) : sample<V, window, paired, false, false>(t, rows, to);
  } else {
    exact ? sample<V, window, paired, true, true>(t, rows, to) : sample<V, window, paired, false, true>(t, rows, to);
  }
}

// False where the table has no windows.
template <class V, bool paired>
bool sample_windows(const ResampleTable& table, RowPair rows, Targets to) {
  const Tables t{table.base.data(),
                 table.shuffle.data(),
                 table.shuffle1.data(),
                 table.weights.data(),
                 (static_cast<std::size_t>(table.outputs) + 3) / 4,
                 table.floor};
  switch (table.window) {
    case Window::one16: sample_window<V, Window::one16, paired>(t, table.exact, rows, to); return true;
    case Window::two16: sample_window<V, Window::two16, paired>(t, table.exact, rows, to); return true;
    case Window::four4: sample_window<V, Window::four4, paired>(t, table.exact, rows, to); return true;
    case Window::pixel: break;
  }
  return false;
}

template <class V>
void sample_row(const ResampleTable& table, RowPair rows, std::int16_t* samples) {
  if (!sample_windows<V, false>(table, rows, {samples, nullptr})) {
    scalar_kernels.sample_row(table, rows, samples);
  }
}

template <class V>
void sample_pair(const ResampleTable& table, RowPair rows, std::int16_t* first, std::int16_t* second) {
  if (!sample_windows<V, true>(table, rows, {first, second})) {
    scalar_kernels.sample_pair(table, rows, first, second);
  }
}

}  // namespace
}  // namespace edgeward
