#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <span>
#include <stdexcept>
#include <vector>

#include "edgeward/halves.hpp"
#include "simd_guard.hpp"

using namespace edgeward;

namespace {

// By the definition of binary16; NaN apart.
float expected(std::uint32_t half) {
  const int exponent = static_cast<int>(half >> 10 & 0x1f);
  const int mantissa = static_cast<int>(half & 0x3ff);
  const float magnitude = exponent == 31  ? HUGE_VALF
                          : exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                                          : std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

bool is_nan(std::uint32_t half) { return (half & 0x7fff) > 0x7c00; }

template <class Element>
std::span<std::byte> bytes(Element* from, std::size_t count) {
  return std::as_writable_bytes(std::span(from, count));
}

}  // namespace

TEST_CASE("every half becomes the same number with every kernel set") {
  constexpr std::size_t count = 65536;
  std::vector<std::uint16_t> halves(count);
  for (std::size_t i = 0; i < count; ++i) {
    halves[i] = static_cast<std::uint16_t>(i);
  }
  for (const auto name : available_simd()) {
    CAPTURE(name);
    const SimdGuard guard(name);
    std::vector<float> floats(count, 7.F);
    widen_halves(bytes(halves.data(), count), bytes(floats.data(), count));
    std::size_t wrong = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const bool same = is_nan(i) ? std::isnan(floats[i])
                                  : floats[i] == expected(i) && std::signbit(floats[i]) == (i >= 0x8000);
      wrong += same ? 0 : 1;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("any number of halves, nowhere aligned, is written to the last one and no further") {
  for (const auto name : available_simd()) {
    CAPTURE(name);
    const SimdGuard guard(name);
    for (std::size_t count = 0; count < 70; ++count) {
      CAPTURE(count);
      const std::unique_ptr<std::byte[]> halves(new std::byte[2 * count + 1]);
      const std::unique_ptr<std::byte[]> floats(new std::byte[4 * count + 1]);
      for (std::size_t i = 0; i < count; ++i) {
        const auto half = static_cast<std::uint16_t>(937 * i + 12345);
        std::memcpy(halves.get() + 1 + 2 * i, &half, sizeof half);
      }
      widen_halves({halves.get() + 1, 2 * count}, {floats.get() + 1, 4 * count});
      for (std::size_t i = 0; i < count; ++i) {
        const auto half = static_cast<std::uint16_t>(937 * i + 12345);
        float value = 0.F;
        std::memcpy(&value, floats.get() + 1 + 4 * i, sizeof value);
        CHECK((is_nan(half) ? std::isnan(value) : value == expected(half)));
      }
    }
  }
}

TEST_CASE("memory of another size is refused") {
  std::vector<std::byte> halves(6);
  std::vector<std::byte> floats(13);
  CHECK_THROWS_AS(widen_halves(halves, floats), std::invalid_argument);
  CHECK_THROWS_AS(widen_halves({halves.data(), 5}, {floats.data(), 10}), std::invalid_argument);
  CHECK_THROWS_AS(widen_halves(halves, {floats.data(), 8}), std::invalid_argument);
}
