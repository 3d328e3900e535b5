// Which instruction set the kernels use: chosen once at run time, and changeable for tests.
#pragma once

#include <string_view>
#include <vector>

namespace edgeward {

// Names of the kernel sets that were built in and that this CPU can run, slowest first.
// "scalar" is always there.
std::vector<std::string_view> available_simd();

// The kernel set in use: "scalar", "sse4", "avx2", "avx512" or "neon".
std::string_view simd();

// Takes a name of available_simd(), or "auto" for the fastest of them.
// Throws std::invalid_argument for any other name. Work that is already running finishes as it began.
void set_simd(std::string_view name);

}  // namespace edgeward
