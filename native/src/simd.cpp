#include "edgeward/simd.hpp"

#include <atomic>
#include <stdexcept>
#include <string>

#include "kernels.hpp"

namespace edgeward {
namespace {

std::vector<const Kernels*> find_available() {
  std::vector<const Kernels*> sets{&scalar_kernels};
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sse4.1")) {
    sets.push_back(&sse41_kernels);
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) {
    sets.push_back(&avx2_kernels);
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vbmi")) {
      sets.push_back(&avx512_kernels);  // takes AVX2's kernels where its own windows do not reach
    }
  }
#elif defined(__aarch64__)
  sets.push_back(&neon_kernels);  // part of every ARMv8-A
#endif
  return sets;
}

const std::vector<const Kernels*>& available() {
  static const std::vector<const Kernels*> sets = find_available();
  return sets;
}

std::atomic<const Kernels*>& active() {
  static std::atomic<const Kernels*> set{available().back()};
  return set;
}

}  // namespace

const Kernels& kernels() { return *active().load(std::memory_order_relaxed); }

bool wide_kernels_available() {
#if defined(__x86_64__)
  return available().back() == &avx512_kernels;
#else
  return false;
#endif
}

std::vector<std::string_view> available_simd() {
  std::vector<std::string_view> names;
  for (const Kernels* set : available()) {
    names.push_back(set->name);
  }
  return names;
}

std::string_view simd() { return kernels().name; }

void set_simd(std::string_view name) {
  if (name == "auto") {
    active() = available().back();
    return;
  }
  std::string known;
  for (const Kernels* set : available()) {
    if (set->name == name) {
      active() = set;
      return;
    }
    known += ", ";
    known += set->name;
  }
  throw std::invalid_argument("simd \"" + std::string(name) + "\" is not available here; available: auto" + known);
}

}  // namespace edgeward
