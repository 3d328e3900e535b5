// Every kernel set against the scalar one, on exactly sized allocations, so that ASan sees any byte too many.
#include <doctest/doctest.h>

#include <cmath>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include "kernels.hpp"
#include "simd_guard.hpp"

using namespace edgeward;

namespace {

using Bytes = std::unique_ptr<std::uint8_t[]>;

Bytes random_bytes(std::mt19937& rng, int count) {
  Bytes bytes(new std::uint8_t[static_cast<std::size_t>(count)]);
  for (int i = 0; i < count; ++i) {
    bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(rng());
  }
  return bytes;
}

// A half that is not negative.
float from_half(std::uint16_t half) {
  const int exponent = half >> 10;
  const int mantissa = half & 0x3ff;
  return exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                       : std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
}

std::vector<std::int32_t> sampled(const ResampleTable& table, RowPair rows) {
  std::vector<std::int32_t> samples(static_cast<std::size_t>(table.groups) * 4);
  kernels().sample_row(table, rows, samples.data());
  return samples;
}

}  // namespace

TEST_CASE("sampling is the same integers in every kernel set") {
  std::mt19937 rng(1);
  for (int round = 0; round < 400; ++round) {
    const int width = 1 + static_cast<int>(rng() % 200);
    const int begin = static_cast<int>(rng() % static_cast<unsigned>(width));
    const int length = 1 + static_cast<int>(rng() % static_cast<unsigned>(width - begin));
    const int outputs = 1 + static_cast<int>(rng() % 90);
    const int pixel_stride = 1 + static_cast<int>(rng() % 3);
    const int component = static_cast<int>(rng() % static_cast<unsigned>(pixel_stride));
    const int row_bytes = width * pixel_stride;
    const auto table = resample_table(axis_taps(begin, length, outputs, 1), {pixel_stride, component, false, static_cast<std::uint8_t>(round % 3 == 0 ? 16 : 0)}, row_bytes);
    const Bytes upper = random_bytes(rng, row_bytes);
    const Bytes lower = random_bytes(rng, row_bytes);
    const auto weight = static_cast<std::int16_t>(round % 4 == 0 ? 0 : rng() % 32768);
    std::vector<std::int32_t> expected;
    {
      const SimdGuard scalar("scalar");
      expected = sampled(table, {upper.get(), lower.get(), weight, upper.get(), lower.get()});
    }
    for (const auto name : available_simd()) {
      const SimdGuard guard(name);
      CHECK(sampled(table, {upper.get(), lower.get(), weight, upper.get(), lower.get()}) == expected);
    }
  }
}

TEST_CASE("a pair of components samples as two single ones") {
  std::mt19937 rng(8);
  for (int round = 0; round < 300; ++round) {
    const int width = 1 + static_cast<int>(rng() % 200);
    const int outputs = 1 + static_cast<int>(rng() % 90);
    const auto taps = axis_taps(0, width, outputs, 1);
    const int row_bytes = width * 2;
    const auto paired = resample_table(taps, {2, 0, true, 0}, row_bytes);
    const Bytes upper = random_bytes(rng, row_bytes);
    const Bytes lower = random_bytes(rng, row_bytes);
    const RowPair rows{upper.get(), lower.get(), static_cast<std::int16_t>(round % 4 == 0 ? 0 : rng() % 32768),
                       upper.get(), lower.get()};
    for (const auto name : available_simd()) {
      const SimdGuard guard(name);
      std::vector<std::int32_t> first(static_cast<std::size_t>(paired.groups) * 4);
      std::vector<std::int32_t> second(first.size());
      kernels().sample_pair(paired, rows, first.data(), second.data());
      CHECK(first == sampled(resample_table(taps, {2, 0, false, 0}, row_bytes), rows));
      CHECK(second == sampled(resample_table(taps, {2, 1, false, 0}, row_bytes), rows));
    }
  }
}

TEST_CASE("an exact row leaves the lower one unread") {
  const auto table = resample_table(axis_taps(0, 64, 32, 1), {}, 64);
  const std::vector<std::uint8_t> row(64, 7);
  for (const auto name : available_simd()) {
    const SimdGuard guard(name);
    CHECK(sampled(table, {row.data(), nullptr, 0, row.data(), row.data()})[5] == 7 << sample_fraction_bits);
  }
}

TEST_CASE("colouring agrees for every count, type and layout, and writes nothing beside its row") {
  std::mt19937 rng(2);
  const auto transform = colour_transform({}, ChannelOrder::rgb, DType::float32, {});
  Normalisation quantised;
  quantised.quant_zero_point = 3;
  const auto transform8 = colour_transform({}, ChannelOrder::rgb, DType::uint8, quantised);
  constexpr std::size_t element_bytes[3] = {4, 2, 1};
  for (std::size_t count = 1; count < 40; ++count) {
    const std::size_t padded = (count + 7) / 8 * 8;
    std::vector<std::int32_t> samples(3 * padded);
    for (auto& sample : samples) {
      sample = static_cast<std::int32_t>(rng() % (255U << sample_fraction_bits));
    }
    const SampleRows rows{{samples.data(), samples.data() + padded, samples.data() + 2 * padded},
                          static_cast<int>(count)};
    for (std::size_t layout = 0; layout < 2; ++layout) {
      for (std::size_t type = 0; type < 3; ++type) {
        const std::size_t row = count * element_bytes[type];
        std::vector<std::vector<std::uint8_t>> outs;
        for (const auto name : available_simd()) {
          const SimdGuard guard(name);
          // Apart for ASan: three exactly sized rows when planar, one when interleaved.
          std::vector<std::uint8_t> whole(3 * row, 0xee);
          const TensorRow out{{whole.data(), whole.data() + row, whole.data() + 2 * row}};
          kernels().colour_row[layout][type](type == 2 ? transform8 : transform, rows, out);
          outs.push_back(whole);
        }
        for (const auto& out : outs) {
          for (std::size_t i = 0; i < 3 * count; ++i) {
            if (type == 0) {
              const auto* a = reinterpret_cast<const float*>(out.data());
              const auto* b = reinterpret_cast<const float*>(outs[0].data());
              CHECK(std::abs(a[i] - b[i]) <= 1.F);  // a pixel near a half, rounded either way
            } else if (type == 1) {
              const auto* a = reinterpret_cast<const std::uint16_t*>(out.data());
              const auto* b = reinterpret_cast<const std::uint16_t*>(outs[0].data());
              CHECK(std::abs(from_half(a[i]) - from_half(b[i])) <= 1.F);
            } else {
              CHECK(std::abs(out[i] - outs[0][i]) <= 1);
            }
          }
        }
      }
    }
  }
}

TEST_CASE("scalar is always there and other names are refused") {
  CHECK(available_simd().front() == "scalar");
  CHECK_THROWS_AS(set_simd("mmx"), std::invalid_argument);
  set_simd("auto");
  CHECK(simd() == available_simd().back());
}
