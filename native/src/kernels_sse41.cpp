// SSE4.1: the small Intel boards without AVX (Apollo, Gemini and Jasper Lake).
#include "half.hpp"
#include "kernels_area.hpp"
#include "kernels_bilinear.hpp"
#include "kernels_colour.hpp"
#include "kernels_halves.hpp"
#include "kernels_x86.hpp"

namespace edgeward {
namespace {

struct Sse41 : Dots128 {
  using Samples = __m128i;
  using Sums = __m128i;
  using Bytes = __m128i;  // the low eight
  using Float = __m128;
  struct Floats {
    __m128 low;
    __m128 high;
  };
  static constexpr std::size_t groups = 1;
  static constexpr std::ptrdiff_t lanes = 8;

  static Samples load(const void* from) { return load128(from); }
  static void store(std::int16_t* to, Samples v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), v); }

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
  static Samples splat_pair(std::int16_t a, std::int16_t b) { return _mm_set1_epi32((b << 16) | (a & 0xffff)); }
  static Samples twice(Samples v) { return _mm_slli_epi16(v, 1); }
  static Samples times128(Samples v) { return _mm_slli_epi16(v, 7); }
  static Samples add16(Samples a, Samples b) { return _mm_add_epi16(a, b); }
  static Samples adds16(Samples a, Samples b) { return _mm_adds_epi16(a, b); }
  static Samples sub16(Samples a, Samples b) { return _mm_sub_epi16(a, b); }
  static Samples max16(Samples a, Samples b) { return _mm_max_epi16(a, b); }
  static Samples multiply_q15(Samples a, Samples b) { return _mm_mulhrs_epi16(a, b); }

  static Sums pair_sums(Samples a, Samples b) { return _mm_madd_epi16(a, b); }
  static Sums rounded14(Sums v) { return _mm_srai_epi32(_mm_add_epi32(v, _mm_set1_epi32(1 << 13)), 14); }
  static Sums rounded7(Sums v) { return _mm_srai_epi32(_mm_add_epi32(v, _mm_set1_epi32(1 << 6)), 7); }
  static Samples packed(Sums a, Sums b) { return _mm_packs_epi32(a, b); }

  static Samples load_bytes(const std::uint8_t* from) {
    return _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  }
  static Sums zero_sums() { return _mm_setzero_si128(); }
  static Sums add_sums(Sums a, Sums b) { return _mm_add_epi32(a, b); }
  static Samples zip_low(Samples a, Samples b) { return _mm_unpacklo_epi16(a, b); }
  static Samples zip_high(Samples a, Samples b) { return _mm_unpackhi_epi16(a, b); }
  static Samples packed_zip(Sums low, Sums high) { return _mm_packs_epi32(low, high); }

  static Bytes splat8(std::uint8_t v) { return _mm_set1_epi8(static_cast<char>(v)); }
  static Bytes exclusive_or(Bytes a, Bytes b) { return _mm_xor_si128(a, b); }
  static Bytes pixels(Samples v) {
    const __m128i whole = _mm_srai_epi16(v, 7);
    return exclusive_or(_mm_packs_epi16(whole, whole), splat8(0x80));
  }

  static Float splat(float v) { return _mm_set1_ps(v); }
  static Float multiply_add(Float a, Float b, Float c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
  static Floats floats(Bytes v) {
    return {_mm_cvtepi32_ps(_mm_cvtepu8_epi32(v)), _mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_srli_si128(v, 4)))};
  }
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

  // from_half() of four, each in 32 bits.
  static __m128 widened(__m128i halves) {
    const __m128i magnitude = _mm_and_si128(halves, _mm_set1_epi32(0x7fff));
    const __m128i rebased = _mm_set1_epi32(0x38000000);
    const __m128i special = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7bff));
    const __m128i quiet = _mm_and_si128(_mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7c00)), _mm_set1_epi32(0x400000));
    __m128i bits = _mm_add_epi32(_mm_slli_epi32(magnitude, 13), rebased);
    bits = _mm_or_si128(_mm_add_epi32(bits, _mm_and_si128(special, rebased)), quiet);
    const __m128 subnormal = _mm_mul_ps(_mm_cvtepi32_ps(magnitude), _mm_set1_ps(0x1p-24F));
    const __m128i is_subnormal = _mm_cmplt_epi32(magnitude, _mm_set1_epi32(0x400));
    const __m128 positive = _mm_blendv_ps(_mm_castsi128_ps(bits), subnormal, _mm_castsi128_ps(is_subnormal));
    const __m128i sign = _mm_slli_epi32(_mm_xor_si128(halves, magnitude), 16);
    return _mm_or_ps(positive, _mm_castsi128_ps(sign));
  }
  static void widen8(const std::byte* halves, std::byte* floats) {
    const __m128i from = load128(halves);
    auto* to = reinterpret_cast<float*>(floats);
    _mm_storeu_ps(to, widened(_mm_cvtepu16_epi32(from)));
    _mm_storeu_ps(to + 4, widened(_mm_cvtepu16_epi32(_mm_srli_si128(from, 8))));
  }

  static void store_bytes(std::uint8_t* to, Bytes v) { _mm_storel_epi64(reinterpret_cast<__m128i*>(to), v); }
  static void store_bytes3(std::uint8_t* to, Bytes r, Bytes g, Bytes b) {
    store128(to, weave<1>(r, g, b, 0));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to + 16), weave<1>(r, g, b, 1));
  }

  using Table = const std::uint8_t*;
  static Table table(Table from) { return from; }
  static Bytes look_up(Table table, Bytes v) {  // sixteen shuffles would take longer for eight pixels
    alignas(16) std::uint8_t pixels[16];
    _mm_store_si128(reinterpret_cast<__m128i*>(pixels), v);
    for (int i = 0; i < 8; ++i) {
      pixels[i] = table[pixels[i]];
    }
    return load128(pixels);
  }
};

}  // namespace

constinit const Kernels sse41_kernels{"sse4",
                                      sample_row<Sse41>,
                                      sample_pair<Sse41>,
                                      sum_rows<Sse41>,
                                      sum_across<Sse41>,
                                      widen_halves<Sse41>,
                                      colour_steps<Sse41, false>(),
                                      colour_steps<Sse41, true>()};

}  // namespace edgeward
