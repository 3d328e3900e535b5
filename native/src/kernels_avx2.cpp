// AVX2 with FMA and F16C: Intel from Haswell and Alder Lake-N on, AMD from Zen on.
#include "kernels_area.hpp"
#include "kernels_bilinear.hpp"
#include "kernels_colour.hpp"
#include "kernels_halves.hpp"
#include "kernels_x86.hpp"

namespace edgeward {
namespace {

struct Avx2 : Dots128 {
  using Samples = __m256i;
  using Sums = __m256i;
  using Bytes = __m128i;
  using Float = __m256;
  struct Floats {
    __m256 low;
    __m256 high;
  };
  static constexpr std::size_t groups = 2;
  static constexpr std::ptrdiff_t lanes = 16;

  static Samples load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
  static void store(std::int16_t* to, Samples v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v); }

  // One 16-byte window for each of two groups, whose offsets lie `step` apart.
  template <int step>
  static Samples load_windows(const std::uint8_t* row, const std::int32_t* base) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load128(row + base[0])), load128(row + base[step]), 1);
  }
  static Samples load_words(const std::uint8_t* row, const std::int32_t* base) {
    // Not vpgatherdd: slower than loads on AMD, and on Intel since its Downfall microcode.
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load_four_words(row, base)),
                                   load_four_words(row, base + 4), 1);
  }
  static Samples shuffle(Samples v, Samples mask) { return _mm256_shuffle_epi8(v, mask); }
  static Samples either(Samples a, Samples b) { return _mm256_or_si256(a, b); }
  static Samples even_bytes(Samples v) { return _mm256_and_si256(v, _mm256_set1_epi16(0xff)); }
  static Samples odd_bytes(Samples v) { return _mm256_srli_epi16(v, 8); }

  static Samples splat16(std::int16_t v) { return _mm256_set1_epi16(v); }
  static Samples splat_pair(std::int16_t a, std::int16_t b) { return _mm256_set1_epi32((b << 16) | (a & 0xffff)); }
  static Samples twice(Samples v) { return _mm256_slli_epi16(v, 1); }
  static Samples times128(Samples v) { return _mm256_slli_epi16(v, 7); }
  static Samples add16(Samples a, Samples b) { return _mm256_add_epi16(a, b); }
  static Samples adds16(Samples a, Samples b) { return _mm256_adds_epi16(a, b); }
  static Samples sub16(Samples a, Samples b) { return _mm256_sub_epi16(a, b); }
  static Samples max16(Samples a, Samples b) { return _mm256_max_epi16(a, b); }
  static Samples multiply_q15(Samples a, Samples b) { return _mm256_mulhrs_epi16(a, b); }

  static Sums pair_sums(Samples a, Samples b) { return _mm256_madd_epi16(a, b); }
  static Sums rounded14(Sums v) { return _mm256_srai_epi32(_mm256_add_epi32(v, _mm256_set1_epi32(1 << 13)), 14); }
  static Sums rounded7(Sums v) { return _mm256_srai_epi32(_mm256_add_epi32(v, _mm256_set1_epi32(1 << 6)), 7); }
  // Packing works within halves: the middle quarters change places.
  static Samples packed(Sums a, Sums b) { return _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8); }

  static Samples load_bytes(const std::uint8_t* from) { return _mm256_cvtepu8_epi16(load128(from)); }
  static Sums zero_sums() { return _mm256_setzero_si256(); }
  static Sums add_sums(Sums a, Sums b) { return _mm256_add_epi32(a, b); }
  // These too, so that zipping and packing undo each other.
  static Samples zip_low(Samples a, Samples b) { return _mm256_unpacklo_epi16(a, b); }
  static Samples zip_high(Samples a, Samples b) { return _mm256_unpackhi_epi16(a, b); }
  static Samples packed_zip(Sums low, Sums high) { return _mm256_packs_epi32(low, high); }

  static Bytes splat8(std::uint8_t v) { return _mm_set1_epi8(static_cast<char>(v)); }
  static Bytes exclusive_or(Bytes a, Bytes b) { return _mm_xor_si128(a, b); }
  static Bytes pixels(Samples v) {
    const __m256i whole = _mm256_srai_epi16(v, 7);
    const __m128i packed = _mm_packs_epi16(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    return exclusive_or(packed, splat8(0x80));
  }

  static Float splat(float v) { return _mm256_set1_ps(v); }
  static Float multiply_add(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }
  static Floats floats(Bytes v) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(v)),
            _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_unpackhi_epi64(v, v)))};
  }
  static void store_floats(std::uint8_t* to, Floats v) {
    _mm256_storeu_ps(reinterpret_cast<float*>(to), v.low);
    _mm256_storeu_ps(reinterpret_cast<float*>(to) + 8, v.high);
  }
  static void store_8floats3(float* to, __m256 r, __m256 g, __m256 b) {
    store_weaved_floats(to, _mm256_castps256_ps128(r), _mm256_castps256_ps128(g), _mm256_castps256_ps128(b));
    store_weaved_floats(to + 12, _mm256_extractf128_ps(r, 1), _mm256_extractf128_ps(g, 1),
                        _mm256_extractf128_ps(b, 1));
  }
  static void store_floats3(std::uint8_t* to, Floats r, Floats g, Floats b) {
    store_8floats3(reinterpret_cast<float*>(to), r.low, g.low, b.low);
    store_8floats3(reinterpret_cast<float*>(to) + 24, r.high, g.high, b.high);
  }

  struct Halves {
    __m128i low;
    __m128i high;
  };
  static Halves halves(Floats v) {
    return {_mm256_cvtps_ph(v.low, _MM_FROUND_TO_NEAREST_INT), _mm256_cvtps_ph(v.high, _MM_FROUND_TO_NEAREST_INT)};
  }
  static void store_halves(std::uint8_t* to, Halves v) {
    store128(to, v.low);
    store128(to + 16, v.high);
  }
  static void store_halves3(std::uint8_t* to, Halves r, Halves g, Halves b) {
    store_weaved_halves(to, r.low, g.low, b.low);
    store_weaved_halves(to + 48, r.high, g.high, b.high);
  }

  static void widen8(const std::byte* halves, std::byte* floats) {
    _mm256_storeu_ps(reinterpret_cast<float*>(floats), _mm256_cvtph_ps(load128(halves)));
  }

  static void store_bytes(std::uint8_t* to, Bytes v) { store128(to, v); }
  static void store_bytes3(std::uint8_t* to, Bytes r, Bytes g, Bytes b) { store_weaved_bytes(to, r, g, b); }

  using Table = const std::uint8_t*;
  static Table table(Table from) { return from; }
  static Bytes look_up(Table table, Bytes v) { return look_up_rows(table, v); }
};

}  // namespace

constinit const Kernels avx2_kernels{"avx2",
                                     sample_row<Avx2>,
                                     sample_pair<Avx2>,
                                     sum_rows<Avx2>,
                                     sum_across<Avx2>,
                                     widen_halves<Avx2>,
                                     colour_steps<Avx2, false>(),
                                     colour_steps<Avx2, true>()};

}  // namespace edgeward
