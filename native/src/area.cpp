#include "edgeward/area.hpp"

#include <algorithm>
#include <cmath>

namespace edgeward {
namespace {

// The part [from, to) of the axis that outputs cover, in units of 1 / outputs so that it is whole numbers.
struct Cover {
  std::int64_t from;
  std::int64_t to;
};

// One output's samples. Rounding what has been given so far, and not each weight, keeps their sum 1.
void add_span(AreaTaps& taps, Cover cover, int begin, int last, std::int64_t unit, int subsampling) {
  const int low = begin + static_cast<int>(cover.from / unit);
  const int high = std::min(begin + static_cast<int>((cover.to - 1) / unit), last);
  AreaTaps::Span span{low / subsampling, 0, taps.weights.size()};
  span.count = high / subsampling - span.first + 1;
  const std::int64_t size = cover.to - cover.from;
  std::int64_t given = 0;
  for (int k = 0; k < span.count; ++k) {
    // Up to where the sample reaches; the last one takes all that is left.
    const std::int64_t edge = (static_cast<std::int64_t>(span.first + k + 1) * subsampling - begin) * unit;
    const std::int64_t covered = std::min(edge, cover.to) - cover.from;
    const std::int64_t total = (covered * weight_one + size / 2) / size;
    taps.weights.push_back(static_cast<std::int16_t>(total - given));
    given = total;
  }
  taps.spans.push_back(span);
}

AreaTaps bilinear(const std::vector<Tap>& from) {
  AreaTaps taps;
  for (const Tap& tap : from) {
    const std::int16_t weight = weight_of(tap.fraction);
    taps.spans.push_back({tap.left, weight == 0 ? 1 : 2, taps.weights.size()});
    taps.weights.push_back(static_cast<std::int16_t>(weight_one - weight));
    if (weight != 0) {
      taps.weights.push_back(weight);
    }
  }
  return taps;
}

}  // namespace

AreaTaps area_taps(int begin, int length, int outputs, int subsampling) {
  if (!is_averaged(length, outputs)) {
    return bilinear(axis_taps(begin, length, outputs, subsampling));
  }
  AreaTaps taps;
  taps.spans.reserve(static_cast<std::size_t>(outputs));
  taps.weights.reserve(static_cast<std::size_t>(length) + 2 * static_cast<std::size_t>(outputs));
  for (int i = 0; i < outputs; ++i) {
    const std::int64_t from = static_cast<std::int64_t>(i) * length;
    add_span(taps, {from, from + length}, begin, begin + length - 1, outputs, subsampling);
  }
  return taps;
}

AreaTable area_table(const AreaTaps& taps, Packing packing) {
  AreaTable table;
  table.outputs = static_cast<int>(taps.spans.size());
  int most = 0;
  for (const auto& span : taps.spans) {
    most = std::max(most, (span.count - 1) * packing.stride + 1);
  }
  table.chunks = (most + 7) / 8;
  const std::size_t count = padded_samples(table.outputs);
  const auto length = static_cast<std::size_t>(table.chunks) * 8;
  table.first.reserve(count);
  table.weights.assign(count * length, 0);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& span = taps.spans[std::min(i, taps.spans.size() - 1)];
    table.first.push_back(span.first * packing.stride + packing.offset);
    for (int k = 0; k < span.count; ++k) {
      table.weights[i * length + static_cast<std::size_t>(k * packing.stride)] =
          taps.weights[span.weights + static_cast<std::size_t>(k)];
    }
  }
  return table;
}

}  // namespace edgeward
