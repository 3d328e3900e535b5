// Area taps: for each output position all the samples that lie under it, and what each of them counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "edgeward/resample.hpp"

namespace edgeward {

// The samples [first, first + weights.size()) under each output of an axis. Weights have 14 bits and sum to 1.
struct AreaTaps {
  struct Span {
    int first = 0;
    int count = 0;
    std::size_t weights = 0;  // where they begin
  };
  std::vector<Span> spans;
  std::vector<std::int16_t> weights;
};

// As axis_taps(), but an output counts what it covers of [begin, begin + length). Where there are more outputs
// than positions that would repeat them, and the taps are the bilinear ones.
AreaTaps area_taps(int begin, int length, int outputs, int subsampling);

// Whether area_taps() of an axis differ from the bilinear ones.
constexpr bool is_averaged(int length, int outputs) { return length > outputs; }

// The same across a row of samples, as the kernels take it: each output is the sum of `chunks` dot products of
// eight neighbouring samples and eight weights, 0 for those that it does not count.
struct AreaTable {
  int outputs = 0;
  int chunks = 0;                     // so many times eight samples must be readable past the end of the row
  std::vector<std::int32_t> first;    // offset of the first sample, for padded_samples(outputs)
  std::vector<std::int16_t> weights;  // [outputs * chunks * 8]
};

AreaTable area_table(const AreaTaps& taps, Packing packing);

}  // namespace edgeward
