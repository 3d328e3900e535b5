// What SSE4.1 and AVX2 share: weaving three channels into one row. See kernels_vector.hpp on namespaces.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

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

// The low byte of each of eight 32-bit values.
inline __m128i low_bytes(__m128i first, __m128i second) {
  const __m128i pick = _mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  return _mm_unpacklo_epi32(_mm_shuffle_epi8(first, pick), _mm_shuffle_epi8(second, pick));
}

inline void store_weaved_bytes(std::uint8_t* to, __m128i r, __m128i g, __m128i b) {
  store128(to, weave<1>(r, g, b, 0));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to + 16), weave<1>(r, g, b, 1));
}

inline void store_weaved_halves(std::uint8_t* to, __m128i r, __m128i g, __m128i b) {
  store128(to, weave<2>(r, g, b, 0));
  store128(to + 16, weave<2>(r, g, b, 1));
  store128(to + 32, weave<2>(r, g, b, 2));
}

}  // namespace
}  // namespace edgeward
