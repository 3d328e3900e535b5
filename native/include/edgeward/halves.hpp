// IEEE 754 binary16 to float32, many at a time: what decoders read of models that put out float16.
#pragma once

#include <cstddef>
#include <span>

namespace edgeward {

// Writes a float for each half; exact, a NaN stays one. Nothing need be aligned; the two must not overlap.
// Throws std::invalid_argument unless `floats` has twice the bytes of `halves`, which are whole halves.
void widen_halves(std::span<const std::byte> halves, std::span<std::byte> floats);

}  // namespace edgeward
