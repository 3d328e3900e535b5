// SSE4.1: the small Intel boards without AVX (Apollo, Gemini and Jasper Lake).
#include "half.hpp"
#include "kernels_vector.hpp"
#include "kernels_x86.hpp"

namespace edgeward {
namespace {

struct Sse41 {
  using Samples = __m128i;
  struct Floats {
    __m128 low;
    __m128 high;
  };
  static constexpr std::size_t groups = 1;

  static Samples load(const void* from) { return load128(from); }
  static void store(std::int32_t* to, Samples v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), v); }

  template <int step>
  static Samples load_windows(const std::uint8_t* row, const std::int32_t* base) {
    return load128(row + base[0]);
  }
  static Samples load_words(const std::uint8_t* row, const std::int32_t* base) { return load_four_words(row, base); }
  static Samples shuffle(Samples v, Samples mask) { return _mm_shuffle_epi8(v, mask); }
  static Samples either(Samples a, Samples b) { return _mm_or_si128(a, b); }
  static Samples even_bytes(Samples v) { return _mm_and_si128(v, _mm_set1_epi16(0xff)); }
  static Samples odd_bytes(Samples v) { return _mm_srli_epi16(v, 8); }
  static Samples splat16(std::int16_t v) { return _mm_set1_epi16(v); }
  static Samples times128(Samples v) { return _mm_slli_epi16(v, 7); }
  static Samples add16(Samples a, Samples b) { return _mm_add_epi16(a, b); }
  static Samples sub16(Samples a, Samples b) { return _mm_sub_epi16(a, b); }
  static Samples multiply_q15(Samples a, Samples b) { return _mm_mulhrs_epi16(a, b); }
  static Samples pair_sums(Samples a, Samples b) { return _mm_madd_epi16(a, b); }

  static Samples max16(Samples a, Samples b) { return _mm_max_epi16(a, b); }

  static Floats splat(float v) { return {_mm_set1_ps(v), _mm_set1_ps(v)}; }
  static Floats load_samples(const std::int32_t* from) {
    return {_mm_cvtepi32_ps(load(from)), _mm_cvtepi32_ps(load(from + 4))};
  }
  static Floats multiply_add(Floats a, Floats b, Floats c) {
    return {_mm_add_ps(_mm_mul_ps(a.low, b.low), c.low), _mm_add_ps(_mm_mul_ps(a.high, b.high), c.high)};
  }
  static Floats clamp(Floats v, Floats low, Floats high) {
    return {_mm_min_ps(_mm_max_ps(v.low, low.low), high.low), _mm_min_ps(_mm_max_ps(v.high, low.high), high.high)};
  }

  static Floats floor(Floats v) { return {_mm_floor_ps(v.low), _mm_floor_ps(v.high)}; }

  static void store_floats(std::uint8_t* to, Floats v) {
    _mm_storeu_ps(reinterpret_cast<float*>(to), v.low);
    _mm_storeu_ps(reinterpret_cast<float*>(to) + 4, v.high);
  }
  static void store_floats3(std::uint8_t* to, Floats r, Floats g, Floats b) {
    store_weaved_floats(reinterpret_cast<float*>(to), r.low, g.low, b.low);
    store_weaved_floats(reinterpret_cast<float*>(to) + 12, r.high, g.high, b.high);
  }

  static __m128i halves(Floats v) {  // no F16C here
    alignas(16) float from[8];
    alignas(16) std::uint16_t to[8];
    store_floats(reinterpret_cast<std::uint8_t*>(from), v);
    for (int i = 0; i < 8; ++i) {
      to[i] = to_half(from[i]);
    }
    return load128(to);
  }
  static void store_halves(std::uint8_t* to, __m128i v) { store128(to, v); }
  static void store_halves3(std::uint8_t* to, __m128i r, __m128i g, __m128i b) { store_weaved_halves(to, r, g, b); }

  static __m128i rounded_bytes(Floats v, std::int32_t zero) {
    const __m128i offset = _mm_set1_epi32(zero);
    return low_bytes(_mm_add_epi32(_mm_cvtps_epi32(v.low), offset), _mm_add_epi32(_mm_cvtps_epi32(v.high), offset));
  }
  static void store_bytes(std::uint8_t* to, __m128i v) { _mm_storel_epi64(reinterpret_cast<__m128i*>(to), v); }
  static void store_bytes3(std::uint8_t* to, __m128i r, __m128i g, __m128i b) { store_weaved_bytes(to, r, g, b); }
};

}  // namespace

constinit const Kernels sse41_kernels = make_kernels<Sse41>("sse4");

}  // namespace edgeward
