#include <doctest/doctest.h>

#include <numeric>

#include "edgeward/area.hpp"

using namespace edgeward;

namespace {

std::vector<double> shares(const AreaTaps& taps, std::size_t output) {
  const auto& span = taps.spans[output];
  std::vector<double> result;
  for (std::size_t k = 0; k < static_cast<std::size_t>(span.count); ++k) {
    result.push_back(static_cast<double>(taps.weights[span.weights + k]) / weight_one);
  }
  return result;
}

}  // namespace

TEST_CASE("an output counts what it covers") {
  const auto taps = area_taps(0, 5, 2, 1);  // 2.5 positions each
  CHECK(taps.spans[0].first == 0);
  CHECK(taps.spans[1].first == 2);
  const auto first = shares(taps, 0);
  REQUIRE(first.size() == 3);
  CHECK(first[0] == doctest::Approx(0.4).epsilon(1e-3));
  CHECK(first[2] == doctest::Approx(0.2).epsilon(1e-3));
}

TEST_CASE("weights always sum to one") {
  for (int length = 1; length < 90; ++length) {
    for (int outputs = 1; outputs < 70; outputs += 3) {
      for (int subsampling = 1; subsampling <= 2; ++subsampling) {
        for (int begin = 0; begin < 2; ++begin) {
          const auto taps = area_taps(begin, length, outputs, subsampling);
          for (const auto& span : taps.spans) {
            const auto from = taps.weights.begin() + static_cast<std::ptrdiff_t>(span.weights);
            CHECK(std::accumulate(from, from + span.count, 0) == weight_one);
            CHECK(span.first >= begin / subsampling);
            CHECK(span.first + span.count - 1 <= (begin + length - 1) / subsampling);
          }
        }
      }
    }
  }
}

TEST_CASE("a chroma sample counts for what is covered of its two pixels") {
  const auto taps = area_taps(1, 4, 2, 2);  // luma 1..4: chroma 0 covers 1, chroma 1 covers 2 and 3, chroma 2 covers 4
  CHECK(shares(taps, 0) == std::vector<double>{0.5, 0.5});
  CHECK(taps.spans[1].first == 1);
  CHECK(shares(taps, 1) == std::vector<double>{0.5, 0.5});
}

TEST_CASE("enlarging takes the bilinear taps") {
  const auto taps = area_taps(0, 4, 8, 1);
  CHECK(taps.spans[0].count == 1);
  CHECK(shares(taps, 1) == std::vector<double>{0.75, 0.25});
}
