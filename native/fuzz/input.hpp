// What the fuzzers share: choices made from the bytes of an input, and memory of exactly the size asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "edgeward/simd.hpp"

namespace edgeward::fuzz {

// Choices from an input's bytes, from front to back; all of them the lowest once it is used up.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data, size) {}

  // low..high, both included.
  int pick(int low, int high) {
    const auto range = static_cast<std::uint64_t>(static_cast<std::int64_t>(high) - low) + 1;
    std::uint64_t value = 0;
    for (std::uint64_t reach = 1; reach < range; reach <<= 8) {
      value = value << 8 | byte();
    }
    return static_cast<int>(low + static_cast<std::int64_t>(value % range));
  }

  template <class Enum>
  Enum choose(int count) {
    return static_cast<Enum>(pick(0, count - 1));
  }

  bool flip() { return pick(0, 1) == 1; }

  // Any float, NaN and infinities included.
  float any_float() {
    const auto bits = static_cast<std::uint32_t>(pick(0, 0xffff)) << 16 | static_cast<std::uint32_t>(pick(0, 0xffff));
    float value = 0.F;
    static_assert(sizeof(value) == sizeof(bits));
    __builtin_memcpy(&value, &bits, sizeof(value));
    return value;
  }

  bool used_up() const { return at_ >= data_.size(); }

 private:
  std::uint8_t byte() { return at_ < data_.size() ? data_[at_++] : 0; }

  std::span<const std::uint8_t> data_;
  std::size_t at_ = 0;
};

// An allocation of its own, so that the sanitizer sees the first element beyond it.
template <class Element>
struct Exact {
  std::unique_ptr<Element[]> memory;
  std::size_t size;

  explicit Exact(std::size_t count) : memory(new Element[count]()), size(count) {}
  Element* data() const { return memory.get(); }
  std::span<Element> span() const { return {memory.get(), size}; }
};

// Elements that differ from place to place, from a seed: nothing depends on which they are, but on their number.
template <class Element>
Exact<Element> noise(std::size_t count, std::uint32_t seed, std::uint32_t below) {
  Exact<Element> result(count);
  for (Element& element : result.span()) {
    seed = seed * 1664525U + 1013904223U;
    element = static_cast<Element>((seed >> 8) % below);
  }
  return result;
}

// A promise that a fuzzer holds the kernels to.
inline void must(bool holds, const char* promise) {
  if (!holds) {
    std::fprintf(stderr, "broken: %s\n", promise);
    std::abort();
  }
}

// Calls make() with each kernel set; all must come to the same.
template <class Make>
void must_agree(const Make& make, const char* promise) {
  set_simd("scalar");
  const auto expected = make();
  for (const std::string_view name : available_simd()) {
    set_simd(name);
    must(make() == expected, promise);
  }
  set_simd("auto");
}

}  // namespace edgeward::fuzz
