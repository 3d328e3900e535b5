// float to IEEE 754 binary16 in integer arithmetic, rounding halves to even, and back: what F16C and NEON do.
#pragma once

#include <bit>
#include <cstdint>

namespace edgeward {

inline std::uint16_t to_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint32_t>((bits >> 16) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude >= 0x7f800000U) {  // infinity or NaN
    return static_cast<std::uint16_t>(sign | 0x7c00U | (magnitude > 0x7f800000U ? 0x200U : 0U));
  }
  if (magnitude >= 0x477ff000U) {  // rounds to above 65504
    return static_cast<std::uint16_t>(sign | 0x7c00U);
  }
  if (magnitude < 0x38800000U) {  // subnormal: adding 0.5 lines the bits up and lets the FPU round
    const float aligned = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(aligned) - 0x3f000000U));
  }
  const std::uint32_t odd = (magnitude >> 13) & 1U;
  const std::uint32_t rounded = magnitude - 0x38000000U + 0xfffU + odd;
  return static_cast<std::uint16_t>(sign | (rounded >> 13));
}

inline float from_half(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t magnitude = half & 0x7fffU;
  if (magnitude < 0x400U) {  // subnormal: as a float it is none, whatever the thread does with those
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(static_cast<float>(magnitude) * 0x1p-24F));
  }
  std::uint32_t bits = (magnitude << 13) + 0x38000000U;
  if (magnitude >= 0x7c00U) {  // infinity or NaN, which comes out quiet
    bits += 0x38000000U + (magnitude > 0x7c00U ? (~bits & 0x400000U) : 0U);
  }
  return std::bit_cast<float>(sign | bits);
}

}  // namespace edgeward
