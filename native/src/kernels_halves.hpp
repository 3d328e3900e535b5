// Halves to floats over V: see kernels_bilinear.hpp on V and on namespaces.
#pragma once

#include <cstddef>

#include "kernels.hpp"

namespace edgeward {
namespace {

template <class V>
void widen_halves(const std::byte* halves, std::byte* floats, std::size_t count) {
  constexpr std::size_t step = 8;
  if (count < step) {
    return scalar_kernels.widen_halves(halves, floats, count);
  }
  for (std::size_t i = 0; i + step <= count; i += step) {
    V::widen8(halves + 2 * i, floats + 4 * i);
  }
  if (count % step != 0) {  // the last eight again, overlapping what is there already
    V::widen8(halves + 2 * (count - step), floats + 4 * (count - step));
  }
}

}  // namespace
}  // namespace edgeward
