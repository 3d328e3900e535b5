// Every kernel set against the scalar one, on exactly sized allocations, so that ASan sees any byte too many.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include "kernels.hpp"
#include "simd_guard.hpp"

using namespace edgeward;

namespace {

using Bytes = std::unique_ptr<std::uint8_t[]>;
using Samples = std::vector<std::int16_t>;

Bytes random_bytes(std::mt19937& rng, std::size_t count) {
  Bytes bytes(new std::uint8_t[count]);
  for (std::size_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<std::uint8_t>(rng());
  }
  return bytes;
}

int pick(std::mt19937& rng, int low, int high) {
  return low + static_cast<int>(rng() % static_cast<unsigned>(high - low + 1));
}

// A half that is not negative.
float from_half(std::uint16_t half) {
  const int exponent = half >> 10;
  const int mantissa = half & 0x3ff;
  return exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                       : std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
}

// What was sampled for outputs; what lies beyond them is nobody's.
Samples sampled(const ResampleTable& table, RowPair rows) {
  Samples samples(padded_samples(table.outputs));
  kernels().sample_row(table, rows, samples.data());
  samples.resize(static_cast<std::size_t>(table.outputs));
  return samples;
}

std::pair<Samples, Samples> sampled_pair(const ResampleTable& table, RowPair rows) {
  Samples first(padded_samples(table.outputs));
  Samples second(first.size());
  kernels().sample_pair(table, rows, first.data(), second.data());
  first.resize(static_cast<std::size_t>(table.outputs));
  second.resize(first.size());
  return {first, second};
}

template <class Make>
void check_alike(const Make& make) {
  set_simd("scalar");
  const auto expected = make();
  for (const auto name : available_simd()) {
    const SimdGuard guard(name);
    CHECK(make() == expected);
  }
}

}  // namespace

TEST_CASE("sampling is the same integers in every kernel set") {
  std::mt19937 rng(1);
  for (int round = 0; round < 600; ++round) {
    const int width = pick(rng, 1, round % 2 == 0 ? 200 : 900);
    const int begin = pick(rng, 0, width - 1);
    const int length = pick(rng, 1, width - begin);
    // Whole scale factors have a way of their own.
    const int outputs = round % 5 == 0 ? (length + 2) / 3 : pick(rng, 1, 130);
    const int pixel_stride = pick(rng, 1, 3);
    const auto floor = static_cast<std::uint8_t>(round % 3 == 0 ? 16 : 0);
    const int row_bytes = width * pixel_stride;
    const auto table = resample_table(axis_taps(begin, length, outputs, 1),
                                      {pixel_stride, pick(rng, 0, pixel_stride - 1), false, floor}, row_bytes);
    const Bytes upper = random_bytes(rng, static_cast<std::size_t>(row_bytes));
    const Bytes lower = random_bytes(rng, static_cast<std::size_t>(row_bytes));
    const auto weight = static_cast<std::int16_t>(round % 4 == 0 ? 0 : rng() % 32768);
    check_alike([&] { return sampled(table, {upper.get(), lower.get(), weight, upper.get(), lower.get()}); });
  }
}

TEST_CASE("a pair of components samples as two single ones") {
  std::mt19937 rng(8);
  for (int round = 0; round < 400; ++round) {
    const int width = pick(rng, 1, round % 2 == 0 ? 200 : 900);
    const auto taps = axis_taps(0, width, round % 5 == 0 ? (width + 2) / 3 : pick(rng, 1, 90), 1);
    const int row_bytes = width * 2;
    const auto paired = resample_table(taps, {2, 0, true, 0}, row_bytes);
    const auto even = resample_table(taps, {2, 0, false, 0}, row_bytes);
    const auto odd = resample_table(taps, {2, 1, false, 0}, row_bytes);
    const Bytes upper = random_bytes(rng, static_cast<std::size_t>(row_bytes));
    const Bytes lower = random_bytes(rng, static_cast<std::size_t>(row_bytes));
    const RowPair rows{upper.get(), lower.get(), static_cast<std::int16_t>(round % 4 == 0 ? 0 : rng() % 32768),
                       nullptr, nullptr};
    for (const auto name : available_simd()) {
      const SimdGuard guard(name);
      const auto [first, second] = sampled_pair(paired, rows);
      CHECK(first == sampled(even, rows));
      CHECK(second == sampled(odd, rows));
    }
  }
}

TEST_CASE("an exact row leaves the lower one unread") {
  const auto table = resample_table(axis_taps(0, 64, 32, 1), {}, 64);
  const std::vector<std::uint8_t> row(64, 7);
  for (const auto name : available_simd()) {
    const SimdGuard guard(name);
    CHECK(sampled(table, {row.data(), nullptr, 0, nullptr, nullptr})[5] == 7 * sample_one);
  }
}

TEST_CASE("sums of rows are the same integers in every kernel set") {
  std::mt19937 rng(11);
  for (int round = 0; round < 300; ++round) {
    const int bytes = pick(rng, 1, 150);
    const auto taps = area_taps(0, pick(rng, 1, 40), 1, 1);
    const int count = taps.spans[0].count;
    const auto stride = static_cast<std::size_t>(bytes + pick(rng, 0, 9));
    const std::size_t last = stride * static_cast<std::size_t>(count - 1);
    const Bytes rows = random_bytes(rng, last + static_cast<std::size_t>(bytes));
    const auto floor = static_cast<std::uint8_t>(round % 3 == 0 ? 16 : 0);
    check_alike([&] {
      const std::unique_ptr<std::int16_t[]> sums(new std::int16_t[static_cast<std::size_t>(bytes)]);
      kernels().sum_rows({rows.get(), stride, taps.weights.data(), count, bytes, floor, 0}, sums.get());
      return Samples(sums.get(), sums.get() + bytes);
    });
  }
}

TEST_CASE("sums across a row are the same integers in every kernel set") {
  std::mt19937 rng(12);
  for (int round = 0; round < 300; ++round) {
    const int width = pick(rng, 1, 300);
    const int pixel_stride = pick(rng, 1, 3);
    const auto table = area_table(area_taps(0, width, pick(rng, 1, 70), 1),
                                  {pixel_stride, pick(rng, 0, pixel_stride - 1), false, 0});
    Samples row(static_cast<std::size_t>(width * pixel_stride + 8 * table.chunks));
    for (auto& sample : row) {
      sample = static_cast<std::int16_t>(rng() % (255 * sample_one + 1));
    }
    check_alike([&] {
      Samples samples(padded_samples(table.outputs));
      kernels().sum_across(table, row.data(), samples.data());
      samples.resize(static_cast<std::size_t>(table.outputs));
      return samples;
    });
  }
}

namespace {

constexpr std::size_t element_bytes[4] = {4, 2, 1, 1};

ColourTransform transform_for(ColourStep step, Element element) {
  const bool packed = step == ColourStep::plain || step == ColourStep::weighted;
  const bool gray = step == ColourStep::luma || step == ColourStep::weighted;
  Normalisation n;
  n.quant_zero_point = element == Element::table8 ? 3 : 0;
  const DType dtypes[] = {DType::float32, DType::float16, DType::uint8, DType::uint8};
  const auto transform = colour_transform({packed ? PixelFormat::bgr24 : PixelFormat::i420, Matrix::bt709, false},
                                          gray ? ChannelOrder::gray : ChannelOrder::rgb,
                                          dtypes[static_cast<std::size_t>(element)], n);
  REQUIRE(transform.step == step);
  REQUIRE(transform.element == element);
  return transform;
}

// Pixel values as whole numbers, whatever the element type.
std::vector<int> coloured(const ColourTransform& transform, bool interleaved, const SampleRows& rows) {
  const auto element = static_cast<std::size_t>(transform.element);
  const bool gray = transform.step == ColourStep::luma || transform.step == ColourStep::weighted;
  const std::size_t elements = static_cast<std::size_t>(rows.count) * (gray ? 1 : 3);
  const std::size_t row = static_cast<std::size_t>(rows.count) * element_bytes[element];
  const Bytes out(new std::uint8_t[elements * element_bytes[element]]);
  std::uint8_t* second = gray ? nullptr : out.get() + row;
  const TensorRow to{{out.get(), second, gray ? nullptr : second + row}};
  const auto& steps = interleaved ? kernels().interleaved : kernels().planar;
  steps[static_cast<std::size_t>(transform.step)][element](transform, rows, to);
  std::vector<int> values;
  for (std::size_t i = 0; i < elements; ++i) {
    if (transform.element == Element::float32) {
      float value = 0.F;
      std::memcpy(&value, out.get() + 4 * i, 4);
      values.push_back(static_cast<int>(value));
    } else if (transform.element == Element::float16) {
      std::uint16_t half = 0;
      std::memcpy(&half, out.get() + 2 * i, 2);
      values.push_back(static_cast<int>(from_half(half)));
    } else {
      values.push_back(out[i]);
    }
  }
  return values;
}

}  // namespace

TEST_CASE("colouring is the same for every count, step, type and layout, and writes nothing beside its row") {
  std::mt19937 rng(2);
  for (int count = 1; count < 80; ++count) {
    const std::size_t padded = padded_samples(count);
    Samples samples(3 * padded);
    for (auto& sample : samples) {
      sample = static_cast<std::int16_t>(rng() % (255 * sample_one + 1));
    }
    const SampleRows rows{{samples.data(), samples.data() + padded, samples.data() + 2 * padded}, count};
    for (const auto step : {ColourStep::ycc, ColourStep::plain, ColourStep::luma, ColourStep::weighted}) {
      for (const auto element : {Element::float32, Element::float16, Element::raw8, Element::table8}) {
        for (const bool interleaved : {false, true}) {
          auto transform = transform_for(step, element);
          transform.swapped = count % 2 == 0;
          check_alike([&] { return coloured(transform, interleaved, rows); });
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
