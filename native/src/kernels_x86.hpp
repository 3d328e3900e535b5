// What the x86 sets share: weaving three channels into one row, dot products, tables. See kernels_bilinear.hpp
// on namespaces.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "edgeward/resample.hpp"

namespace edgeward {
namespace {

// Shuffle masks that put 16 bytes of channel c in their places among three interleaved channels;
// out of range for the other channels' places, which yields 0.
template <int element_bytes>
struct WeaveMasks {
  alignas(16) std::uint8_t mask[3][3][16];  // [16-byte output][channel][byte]

  constexpr WeaveMasks() : mask{} {
    for (int byte = 0; byte < 48; ++byte) {
      const int element = byte / element_bytes;
      for (int c = 0; c < 3; ++c) {
        const int from = element / 3 * element_bytes + byte % element_bytes;
        mask[byte / 16][c][byte % 16] = static_cast<std::uint8_t>(element % 3 == c ? from : 0x80);
      }
    }
  }
};

template <int element_bytes>
inline __m128i weave(__m128i r, __m128i g, __m128i b, int part) {
  static constexpr WeaveMasks<element_bytes> masks{};
  const auto pick = [part](__m128i from, int c) {
    return _mm_shuffle_epi8(from, _mm_load_si128(reinterpret_cast<const __m128i*>(masks.mask[part][c])));
  };
  return _mm_or_si128(_mm_or_si128(pick(r, 0), pick(g, 1)), pick(b, 2));
}

// Four pixels of three floats.
inline void store_weaved_floats(float* to, __m128 r, __m128 g, __m128 b) {
  const __m128 rg01 = _mm_unpacklo_ps(r, g);
  const __m128 rg23 = _mm_unpackhi_ps(r, g);
  const __m128 b0r1 = _mm_shuffle_ps(b, r, _MM_SHUFFLE(1, 1, 0, 0));
  const __m128 g1b1 = _mm_shuffle_ps(g, b, _MM_SHUFFLE(1, 1, 1, 1));
  const __m128 b2r3 = _mm_shuffle_ps(b, r, _MM_SHUFFLE(3, 3, 2, 2));
  const __m128 g3b3 = _mm_shuffle_ps(g, b, _MM_SHUFFLE(3, 3, 3, 3));
  _mm_storeu_ps(to, _mm_shuffle_ps(rg01, b0r1, _MM_SHUFFLE(2, 0, 1, 0)));
  _mm_storeu_ps(to + 4, _mm_shuffle_ps(g1b1, rg23, _MM_SHUFFLE(1, 0, 2, 0)));
  _mm_storeu_ps(to + 8, _mm_shuffle_ps(b2r3, g3b3, _MM_SHUFFLE(2, 0, 2, 0)));
}

inline void store128(std::uint8_t* to, __m128i v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), v); }

inline __m128i load128(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }

// Four 4-byte words from anywhere in a row.
inline __m128i load_four_words(const std::uint8_t* row, const std::int32_t* base) {
  const auto word = [row](std::int32_t at) {
    std::int32_t value;
    __builtin_memcpy(&value, row + at, sizeof(value));
    return value;
  };
  __m128i words = _mm_cvtsi32_si128(word(base[0]));
  words = _mm_insert_epi32(words, word(base[1]), 1);
  words = _mm_insert_epi32(words, word(base[2]), 2);
  return _mm_insert_epi32(words, word(base[3]), 3);
}

// Four outputs' dot products of eight samples and eight weights, and their sums rounded to samples.
struct Dots128 {
  using Dots = __m128i;
  static Dots dot8(const std::int16_t* samples, const std::int16_t* weights) {
    return _mm_madd_epi16(load128(samples), load128(weights));
  }
  static Dots add_dots(Dots a, Dots b) { return _mm_add_epi32(a, b); }
  static void store_totals(std::int16_t* to, const Dots* dots) {
    const __m128i totals = _mm_hadd_epi32(_mm_hadd_epi32(dots[0], dots[1]), _mm_hadd_epi32(dots[2], dots[3]));
    const __m128i rounded = _mm_srai_epi32(_mm_add_epi32(totals, _mm_set1_epi32(weight_one / 2)), 14);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi32(rounded, rounded));
  }
};

inline void store_weaved_bytes(std::uint8_t* to, __m128i r, __m128i g, __m128i b) {
  store128(to, weave<1>(r, g, b, 0));
  store128(to + 16, weave<1>(r, g, b, 1));
  store128(to + 32, weave<1>(r, g, b, 2));
}

// Sixteen elements of a table of 256: a row of sixteen at a time, which yields 0 for pixels of other rows, whose
// index then has its top bit set.
inline __m128i look_up_rows(const std::uint8_t* table, __m128i pixels) {
  __m128i found = _mm_setzero_si128();
  for (int row = 0; row < 16; ++row) {
    const __m128i column = _mm_xor_si128(pixels, _mm_set1_epi8(static_cast<char>(row << 4)));
    const __m128i index = _mm_adds_epu8(column, _mm_set1_epi8(0x70));
    found = _mm_or_si128(found, _mm_shuffle_epi8(load128(table + 16 * row), index));
  }
  return found;
}

inline void store_weaved_halves(std::uint8_t* to, __m128i r, __m128i g, __m128i b) {
  store128(to, weave<2>(r, g, b, 0));
  store128(to + 16, weave<2>(r, g, b, 1));
  store128(to + 32, weave<2>(r, g, b, 2));
}

}  // namespace
}  // namespace edgeward
