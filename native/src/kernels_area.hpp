// Area sampling over V: rows are summed first, which goes along memory, then neighbours in the summed row. See
// kernels_bilinear.hpp on V and on namespaces.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels.hpp"

namespace edgeward {
namespace {

// Eight columns for each group. Rows go in pairs, as the multiply-adds take them.
template <class V>
inline typename V::Samples sum_columns(const WeightedRows& rows, const std::uint8_t* from,
                                       typename V::Samples least) {
  // One line of each row is used up in one or two steps.
  if (rows.ahead != 0) {
    for (int k = 0; k < rows.count; ++k) {
      __builtin_prefetch(from + static_cast<std::size_t>(k) * rows.stride + rows.ahead);
    }
  }
  auto low = V::zero_sums();
  auto high = V::zero_sums();
  for (int k = 0; k < rows.count; k += 2) {
    const bool both = k + 1 < rows.count;
    const auto weights = V::splat_pair(rows.weights[k], both ? rows.weights[k + 1] : std::int16_t{0});
    const auto first = V::max16(V::load_bytes(from), least);
    const auto second = both ? V::max16(V::load_bytes(from + rows.stride), least) : first;
    low = V::add_sums(low, V::pair_sums(V::zip_low(first, second), weights));
    high = V::add_sums(high, V::pair_sums(V::zip_high(first, second), weights));
    from += both ? 2 * rows.stride : 0;
  }
  return V::packed_zip(V::rounded7(low), V::rounded7(high));
}

template <class V>
void sum_rows(const WeightedRows& rows, std::int16_t* sums) {
  constexpr std::ptrdiff_t step = 8 * V::groups;
  if (rows.bytes < step) {
    return scalar_kernels.sum_rows(rows, sums);
  }
  const auto least = V::splat16(rows.floor);
  std::ptrdiff_t x = 0;
  for (; x + step <= rows.bytes; x += step) {
    V::store(sums + x, sum_columns<V>(rows, rows.first + x, least));
  }
  if (x < rows.bytes) {  // the last columns again, overlapping what is there already
    x = rows.bytes - step;
    V::store(sums + x, sum_columns<V>(rows, rows.first + x, least));
  }
}

// One output's eight sums are apart in V::Dots; four outputs' are put together at once.
template <class V, bool one_chunk>
void sum_chunks(const AreaTable& table, const std::int16_t* row, std::int16_t* samples) {
  const std::ptrdiff_t chunks = one_chunk ? 1 : table.chunks;
  const std::int16_t* weights = table.weights.data();
  const std::int32_t* first = table.first.data();
  const auto outputs = static_cast<std::size_t>(table.outputs);
  for (std::size_t i = 0; i < outputs; i += 4) {
    typename V::Dots dots[4];
    for (std::size_t k = 0; k < 4; ++k) {
      const std::int16_t* from = row + first[i + k];
      dots[k] = V::dot8(from, weights);
      for (std::ptrdiff_t chunk = 1; chunk < chunks; ++chunk) {
        dots[k] = V::add_dots(dots[k], V::dot8(from + 8 * chunk, weights + 8 * chunk));
      }
      weights += 8 * chunks;
    }
    V::store_totals(samples + i, dots);
  }
}

template <class V>
void sum_across(const AreaTable& table, const std::int16_t* row, std::int16_t* samples) {
  // Up to a scale of seven one chunk does; without its loop the four outputs go in parallel.
  table.chunks == 1 ? sum_chunks<V, true>(table, row, samples) : sum_chunks<V, false>(table, row, samples);
}

}  // namespace
}  // namespace edgeward
