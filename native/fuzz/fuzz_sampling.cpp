// Tables of taps for any geometry, and the kernels that go by them, on rows of exactly their size.
#include <vector>

#include "input.hpp"
#include "kernels.hpp"

using namespace edgeward;
using namespace edgeward::fuzz;

namespace {

struct Axis {
  int begin;
  int length;
  int outputs;
  int subsampling;

  // Samples that the axis may touch.
  int samples() const { return (begin + length - 1) / subsampling + 1; }
};

Axis pick_axis(Input& input) {
  const int most = input.pick(0, 15) == 0 ? 16384 : 400;
  return {input.pick(0, 3), input.pick(1, most), input.pick(1, input.pick(0, 15) == 0 ? 3000 : 200), input.pick(1, 2)};
}

Packing pick_packing(Input& input) {
  const int stride = input.pick(1, 3);
  const bool paired = stride == 2 && input.flip();
  return {stride, paired ? 0 : input.pick(0, stride - 1), paired,
          static_cast<std::uint8_t>(paired ? 0 : input.pick(0, 1) * 16)};
}

void bilinear(const Axis& axis, Packing packing, Input& input) {
  const int bytes = axis.samples() * packing.stride;
  const ResampleTable table =
      resample_table(axis_taps(axis.begin, axis.length, axis.outputs, axis.subsampling), packing, bytes);
  const auto upper = noise<std::uint8_t>(static_cast<std::size_t>(bytes), 1, 256);
  const auto lower = noise<std::uint8_t>(static_cast<std::size_t>(bytes), 2, 256);
  const auto weight = static_cast<std::int16_t>(input.flip() ? 0 : input.pick(0, 32767));
  const bool ask = input.flip();
  const RowPair rows{upper.data(), weight == 0 ? nullptr : lower.data(), weight, ask ? upper.data() : nullptr,
                     ask ? lower.data() : nullptr};
  must_agree(
      [&] {
        const Exact<std::int16_t> first(padded_samples(axis.outputs));
        const Exact<std::int16_t> second(packing.paired ? first.size : 0);
        packing.paired ? kernels().sample_pair(table, rows, first.data(), second.data())
                       : kernels().sample_row(table, rows, first.data());
        std::vector<std::int16_t> samples(first.data(), first.data() + axis.outputs);
        samples.insert(samples.end(), second.data(), second.data() + (packing.paired ? axis.outputs : 0));
        return samples;
      },
      "kernel sets agree on samples");
}

void area_across(const Axis& axis, Packing packing) {
  const AreaTable table =
      area_table(area_taps(axis.begin, axis.length, axis.outputs, axis.subsampling), packing);
  const auto length = static_cast<std::size_t>(axis.samples() * packing.stride + 8 * table.chunks);
  const auto row = noise<std::int16_t>(length, 3, 255 * sample_one + 1);
  must_agree(
      [&] {
        const Exact<std::int16_t> samples(padded_samples(axis.outputs));
        kernels().sum_across(table, row.data(), samples.data());
        return std::vector<std::int16_t>(samples.data(), samples.data() + axis.outputs);
      },
      "kernel sets agree on sums across");
}

void area_down(const Axis& axis, Input& input) {
  const AreaTaps taps = area_taps(axis.begin, axis.length, axis.outputs, axis.subsampling);
  const AreaTaps::Span span = taps.spans[static_cast<std::size_t>(input.pick(0, axis.outputs - 1))];
  const int bytes = input.pick(1, 130);
  const auto stride = static_cast<std::size_t>(bytes + input.pick(0, 20));
  const std::size_t size = stride * static_cast<std::size_t>(span.count - 1) + static_cast<std::size_t>(bytes);
  const auto rows = noise<std::uint8_t>(size, 4, 256);
  must_agree(
      [&] {
        const Exact<std::int16_t> sums(static_cast<std::size_t>(bytes));
        kernels().sum_rows({rows.data(), stride, taps.weights.data() + span.weights, span.count, bytes, 16, 0},
                           sums.data());
        return std::vector<std::int16_t>(sums.span().begin(), sums.span().end());
      },
      "kernel sets agree on sums of rows");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const Axis axis = pick_axis(input);
  const Packing packing = pick_packing(input);
  bilinear(axis, packing, input);
  area_across(axis, packing);
  area_down(axis, input);
  return 0;
}
