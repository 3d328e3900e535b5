// AVX2 with FMA and F16C: Intel from Haswell and Alder Lake-N on, AMD from Zen on.
#include "kernels_vector.hpp"
#include "kernels_x86.hpp"

namespace edgeward {
namespace {

struct Avx2 {
  using Samples = __m256i;
  using Floats = __m256;
  static constexpr std::size_t groups = 2;

  static Samples load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
  static void store(std::int32_t* to, Samples v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v); }

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
  static Samples times128(Samples v) { return _mm256_slli_epi16(v, 7); }
  static Samples add16(Samples a, Samples b) { return _mm256_add_epi16(a, b); }
  static Samples sub16(Samples a, Samples b) { return _mm256_sub_epi16(a, b); }
  static Samples multiply_q15(Samples a, Samples b) { return _mm256_mulhrs_epi16(a, b); }
  static Samples pair_sums(Samples a, Samples b) { return _mm256_madd_epi16(a, b); }

  static Samples max16(Samples a, Samples b) { return _mm256_max_epi16(a, b); }

  static Floats splat(float v) { return _mm256_set1_ps(v); }
  static Floats load_samples(const std::int32_t* from) { return _mm256_cvtepi32_ps(load(from)); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static Floats clamp(Floats v, Floats low, Floats high) { return _mm256_min_ps(_mm256_max_ps(v, low), high); }

  static Floats floor(Floats v) { return _mm256_floor_ps(v); }

  static void store_floats(std::uint8_t* to, Floats v) { _mm256_storeu_ps(reinterpret_cast<float*>(to), v); }
  static void store_floats3(std::uint8_t* to, Floats r, Floats g, Floats b) {
    auto* floats = reinterpret_cast<float*>(to);
    store_weaved_floats(floats, _mm256_castps256_ps128(r), _mm256_castps256_ps128(g), _mm256_castps256_ps128(b));
    store_weaved_floats(floats + 12, _mm256_extractf128_ps(r, 1), _mm256_extractf128_ps(g, 1),
                        _mm256_extractf128_ps(b, 1));
  }

  static __m128i halves(Floats v) { return _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT); }
  static void store_halves(std::uint8_t* to, __m128i v) { store128(to, v); }
  static void store_halves3(std::uint8_t* to, __m128i r, __m128i g, __m128i b) { store_weaved_halves(to, r, g, b); }

  static __m128i rounded_bytes(Floats v, std::int32_t zero) {
    const __m256i whole = _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(zero));
    return low_bytes(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
  }
  static void store_bytes(std::uint8_t* to, __m128i v) { _mm_storel_epi64(reinterpret_cast<__m128i*>(to), v); }
  static void store_bytes3(std::uint8_t* to, __m128i r, __m128i g, __m128i b) { store_weaved_bytes(to, r, g, b); }
};

}  // namespace

constinit const Kernels avx2_kernels = make_kernels<Avx2>("avx2");

}  // namespace edgeward
