// The inner loops, once per instruction set: sample a row, colour a row. All sets give the same pixels.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "edgeward/area.hpp"
#include "edgeward/colour.hpp"
#include "edgeward/resample.hpp"

namespace edgeward {

struct RowPair {
  const std::uint8_t* upper;
  const std::uint8_t* lower;
  std::int16_t weight;  // Q15, of the lower row; 0 leaves it unread
  // What the next call will read, or null. Rows that are sampled lie too far apart for hardware prefetchers, and
  // asking for a whole row at once only fills the queue: vector kernels ask as they go along.
  const std::uint8_t* next_upper;
  const std::uint8_t* next_lower;
};

// Blends two rows and resamples them: padded_samples(outputs) samples.
using SampleRow = void (*)(const ResampleTable& table, RowPair rows, std::int16_t* samples);

// The same for a paired table: the first component's samples, and the second's.
using SamplePair = void (*)(const ResampleTable& table, RowPair rows, std::int16_t* first, std::int16_t* second);

// Neighbouring rows, and what each of them counts: Q14, at most 1 together.
struct WeightedRows {
  const std::uint8_t* first;
  std::size_t stride;
  const std::int16_t* weights;
  int count;
  int bytes;
  std::uint8_t floor;
  // From each row to one that the next call will read, 0 for none: see RowPair.
  std::size_t ahead;
};

// Their sum, as samples.
using SumRows = void (*)(const WeightedRows& rows, std::int16_t* sums);

// Sums a row of samples across: padded_samples(outputs) samples.
using SumAcross = void (*)(const AreaTable& table, const std::int16_t* row, std::int16_t* samples);

// One or three rows of samples. Readable up to padded_samples(count).
struct SampleRows {
  std::array<const std::int16_t*, 3> component;
  int count;
};

// Where a row of the tensor goes: three places for planar layouts, the first only for interleaved ones.
struct TensorRow {
  std::array<void*, 3> channel;
};

using ColourRow = void (*)(const ColourTransform& transform, const SampleRows& samples, TensorRow out);

// edgeward/halves.hpp
using WidenHalves = void (*)(const std::byte* halves, std::byte* floats, std::size_t count);

// [Element]
using ColourRows = std::array<ColourRow, 4>;

struct Kernels {
  std::string_view name;
  SampleRow sample_row;
  SamplePair sample_pair;
  SumRows sum_rows;
  SumAcross sum_across;
  WidenHalves widen_halves;
  // [ColourStep]. Gray has no interleaved layout of its own: its kernels are there twice.
  std::array<ColourRows, 4> planar;
  std::array<ColourRows, 4> interleaved;
};

extern const Kernels scalar_kernels;
#if defined(__x86_64__)
extern const Kernels sse41_kernels;
extern const Kernels avx2_kernels;
extern const Kernels avx512_kernels;
#elif defined(__aarch64__)
extern const Kernels neon_kernels;
#endif

// The set that simd() names.
const Kernels& kernels();

// Whether there is a set that takes the units of tables.
bool wide_kernels_available();

}  // namespace edgeward
