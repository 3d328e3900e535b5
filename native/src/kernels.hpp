// The two inner loops, once per instruction set: sample a row, colour a row.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "edgeward/colour.hpp"
#include "edgeward/resample.hpp"

namespace edgeward {

struct RowPair {
  const std::uint8_t* upper;
  const std::uint8_t* lower;
  std::int16_t weight;  // Q15, of the lower row; 0 leaves it unread
  // What the next call will read. Rows that are sampled lie too far apart for hardware prefetchers, and
  // asking for a whole row at once only fills the queue: vector kernels ask as they go along.
  const std::uint8_t* next_upper;
  const std::uint8_t* next_lower;
};

// Blends two rows and resamples them: groups * 4 samples with sample_fraction_bits of fraction.
using SampleRow = void (*)(const ResampleTable& table, RowPair rows, std::int32_t* samples);

// The same for a paired table: the first component's samples, and the second's.
using SamplePair = void (*)(const ResampleTable& table, RowPair rows, std::int32_t* first, std::int32_t* second);

// Three rows of samples. Readable up to the next multiple of eight past `count`.
struct SampleRows {
  std::array<const std::int32_t*, 3> component;
  int count;
};

// Where a row of the tensor goes: three places for planar layouts, the first only for interleaved ones.
struct TensorRow {
  std::array<void*, 3> channel;
};

using ColourRow = void (*)(const ColourTransform& transform, const SampleRows& samples, TensorRow out);

struct Kernels {
  std::string_view name;
  SampleRow sample_row;
  SamplePair sample_pair;
  // [layout: nchw, nhwc][dtype: float32, float16, uint8 and int8]
  std::array<std::array<ColourRow, 3>, 2> colour_row;
};

extern const Kernels scalar_kernels;
#if defined(__x86_64__)
extern const Kernels sse41_kernels;
extern const Kernels avx2_kernels;
#elif defined(__aarch64__)
extern const Kernels neon_kernels;
#endif

// The set that simd() names.
const Kernels& kernels();

}  // namespace edgeward
