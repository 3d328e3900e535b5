// Runs a test with one kernel set after the other, and puts the fastest back.
#pragma once

#include <string_view>

#include "edgeward/simd.hpp"

struct SimdGuard {
  explicit SimdGuard(std::string_view name) { edgeward::set_simd(name); }
  ~SimdGuard() { edgeward::set_simd("auto"); }
  SimdGuard(const SimdGuard&) = delete;
  SimdGuard& operator=(const SimdGuard&) = delete;
};
