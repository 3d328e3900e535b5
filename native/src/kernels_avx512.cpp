// AVX-512 with VBMI: Intel from Ice Lake on, AMD from Zen 4 on. What has AVX-512 without VBMI takes AVX2.
#include "kernels_area.hpp"
#include "kernels_colour.hpp"
#include "kernels_halves.hpp"
#include "kernels_x86.hpp"

namespace edgeward {
namespace {

// Indices that put the elements of three channels in their places among three interleaved ones: `first` picks
// from channels 0 and 1, `second` from these and channel 2.
template <class Index, int count>
struct WeaveIndices {
  alignas(64) Index first[3][count];
  alignas(64) Index second[3][count];

  constexpr WeaveIndices() : first{}, second{} {
    for (int at = 0; at < 3 * count; ++at) {
      const int pixel = at / 3;
      const int channel = at % 3;
      first[at / count][at % count] = static_cast<Index>(channel == 1 ? count + pixel : pixel);
      second[at / count][at % count] = static_cast<Index>(channel == 2 ? count + pixel : at % count);
    }
  }
};
constexpr WeaveIndices<std::int32_t, 16> weave_floats;
constexpr WeaveIndices<std::int16_t, 32> weave_halves;
constexpr WeaveIndices<std::uint8_t, 64> weave_bytes;

inline __m512i load512(const void* from) { return _mm512_loadu_si512(from); }

struct Avx512 : Dots128 {
  using Samples = __m512i;
  using Sums = __m512i;
  using Bytes = __m256i;
  using Float = __m512;
  struct Floats {
    __m512 low;
    __m512 high;
  };
  static constexpr std::size_t groups = 4;
  static constexpr std::ptrdiff_t lanes = 32;

  static Samples load(const void* from) { return load512(from); }
  static void store(std::int16_t* to, Samples v) { _mm512_storeu_si512(to, v); }

  static Samples splat16(std::int16_t v) { return _mm512_set1_epi16(v); }
  static Samples splat_pair(std::int16_t a, std::int16_t b) { return _mm512_set1_epi32((b << 16) | (a & 0xffff)); }
  static Samples twice(Samples v) { return _mm512_slli_epi16(v, 1); }
  static Samples times128(Samples v) { return _mm512_slli_epi16(v, 7); }
  static Samples add16(Samples a, Samples b) { return _mm512_add_epi16(a, b); }
  static Samples adds16(Samples a, Samples b) { return _mm512_adds_epi16(a, b); }
  static Samples sub16(Samples a, Samples b) { return _mm512_sub_epi16(a, b); }
  static Samples max16(Samples a, Samples b) { return _mm512_max_epi16(a, b); }
  static Samples multiply_q15(Samples a, Samples b) { return _mm512_mulhrs_epi16(a, b); }

  static Sums pair_sums(Samples a, Samples b) { return _mm512_madd_epi16(a, b); }
  static Sums rounded7(Sums v) { return _mm512_srai_epi32(_mm512_add_epi32(v, _mm512_set1_epi32(1 << 6)), 7); }
  static Samples load_bytes(const std::uint8_t* from) {
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static Sums zero_sums() { return _mm512_setzero_si512(); }
  static Sums add_sums(Sums a, Sums b) { return _mm512_add_epi32(a, b); }
  // Zipping and packing work within quarters, and undo each other.
  static Samples zip_low(Samples a, Samples b) { return _mm512_unpacklo_epi16(a, b); }
  static Samples zip_high(Samples a, Samples b) { return _mm512_unpackhi_epi16(a, b); }
  static Samples packed_zip(Sums low, Sums high) { return _mm512_packs_epi32(low, high); }

  static Bytes splat8(std::uint8_t v) { return _mm256_set1_epi8(static_cast<char>(v)); }
  static Bytes exclusive_or(Bytes a, Bytes b) { return _mm256_xor_si256(a, b); }
  static Bytes pixels(Samples v) {
    return exclusive_or(_mm512_cvtsepi16_epi8(_mm512_srai_epi16(v, 7)), splat8(0x80));
  }

  static Float splat(float v) { return _mm512_set1_ps(v); }
  static Float multiply_add(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats floats(Bytes v) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm256_castsi256_si128(v))),
            _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm256_extracti128_si256(v, 1)))};
  }
  static void store_floats(std::uint8_t* to, Floats v) {
    _mm512_storeu_ps(to, v.low);
    _mm512_storeu_ps(to + 64, v.high);
  }
  static void store_16floats3(std::uint8_t* to, __m512 r, __m512 g, __m512 b) {
    for (int part = 0; part < 3; ++part) {
      const __m512 rg = _mm512_permutex2var_ps(r, load512(weave_floats.first[part]), g);
      _mm512_storeu_ps(to + 64 * part, _mm512_permutex2var_ps(rg, load512(weave_floats.second[part]), b));
    }
  }
  static void store_floats3(std::uint8_t* to, Floats r, Floats g, Floats b) {
    store_16floats3(to, r.low, g.low, b.low);
    store_16floats3(to + 192, r.high, g.high, b.high);
  }

  static __m512i halves(Floats v) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtps_ph(v.low, _MM_FROUND_TO_NEAREST_INT)),
                              _mm512_cvtps_ph(v.high, _MM_FROUND_TO_NEAREST_INT), 1);
  }
  static void store_halves(std::uint8_t* to, __m512i v) { _mm512_storeu_si512(to, v); }
  static void store_halves3(std::uint8_t* to, __m512i r, __m512i g, __m512i b) {
    for (int part = 0; part < 3; ++part) {
      const __m512i rg = _mm512_permutex2var_epi16(r, load512(weave_halves.first[part]), g);
      _mm512_storeu_si512(to + 64 * part, _mm512_permutex2var_epi16(rg, load512(weave_halves.second[part]), b));
    }
  }

  static void widen8(const std::byte* halves, std::byte* floats) {
    _mm256_storeu_ps(reinterpret_cast<float*>(floats), _mm256_cvtph_ps(load128(halves)));
  }

  static void store_bytes(std::uint8_t* to, Bytes v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v); }
  static __m512i weave(Bytes r, Bytes g, Bytes b, int part) {
    const __m512i rg = _mm512_permutex2var_epi8(_mm512_castsi256_si512(r), load512(weave_bytes.first[part]),
                                                _mm512_castsi256_si512(g));
    return _mm512_permutex2var_epi8(rg, load512(weave_bytes.second[part]), _mm512_castsi256_si512(b));
  }
  static void store_bytes3(std::uint8_t* to, Bytes r, Bytes g, Bytes b) {
    _mm512_storeu_si512(to, weave(r, g, b, 0));
    store_bytes(to + 64, _mm512_castsi512_si256(weave(r, g, b, 1)));
  }

  struct Table {
    __m512i row[4];
  };
  static Table table(const std::uint8_t* from) {
    return {{load512(from), load512(from + 64), load512(from + 128), load512(from + 192)}};
  }
  static Bytes look_up(const Table& table, Bytes v) {
    const __m512i index = _mm512_castsi256_si512(v);
    const __m512i below = _mm512_permutex2var_epi8(table.row[0], index, table.row[1]);
    const __m512i above = _mm512_permutex2var_epi8(table.row[2], index, table.row[3]);
    return _mm512_castsi512_si256(_mm512_mask_blend_epi8(_mm512_movepi8_mask(index), below, above));
  }
};

// The units of one row of taps as bare pointers.
struct Units {
  const std::int32_t* base;
  const std::uint8_t* index;
  const std::int16_t* weights;
  std::ptrdiff_t outputs;
  std::int16_t floor;
};

// The taps of a unit as 16-bit values, or as pairs of bytes where the table is paired.
template <WideWindow window, bool paired>
inline __m512i fetch(const Units& units, const std::uint8_t* row, std::ptrdiff_t unit) {
  const std::uint8_t* from = row + units.base[unit];
  const __m512i index = load512(units.index + 64 * unit);
  constexpr __mmask64 bytes = paired ? ~__mmask64{0} : 0x5555555555555555;
  if constexpr (window == WideWindow::one64) {
    return _mm512_maskz_permutexvar_epi8(bytes, index, load512(from));
  } else {
    return _mm512_maskz_permutex2var_epi8(bytes, load512(from), index, load512(from + 64));
  }
}

template <WideWindow window>
inline void prefetch(const Units& units, RowPair rows, std::ptrdiff_t unit) {
  for (std::ptrdiff_t line = 0; line < (window == WideWindow::one64 ? 64 : 128); line += 64) {
    __builtin_prefetch(rows.next_upper + units.base[unit] + line);
    if (rows.next_lower != rows.next_upper) {
      __builtin_prefetch(rows.next_lower + units.base[unit] + line);
    }
  }
}

template <bool blend>
inline __m512i blend_down(__m512i upper, __m512i lower, __m512i weight) {
  const __m512i from = Avx512::times128(upper);
  if constexpr (blend) {
    const __m512i difference = Avx512::times128(Avx512::sub16(lower, upper));
    return Avx512::add16(from, Avx512::multiply_q15(difference, weight));
  }
  return from;
}

// Two units' taps, left ones below right ones, to 32 samples.
inline __m512i blend_across(__m512i a, __m512i b, __m512i weights) {
  const __m512i left = _mm512_shuffle_i64x2(a, b, 0x44);
  const __m512i right = _mm512_shuffle_i64x2(a, b, 0xee);
  return Avx512::add16(left, Avx512::multiply_q15(Avx512::sub16(right, left), weights));
}

struct Columns {
  __m512i first;
  __m512i second;  // of paired tables only
};

// Both rows' taps of a unit, blended down.
template <WideWindow window, bool paired, bool blend>
inline Columns columns(const Units& units, RowPair rows, __m512i row_weight, std::ptrdiff_t unit) {
  const __m512i upper = fetch<window, paired>(units, rows.upper, unit);
  const __m512i lower = blend ? fetch<window, paired>(units, rows.lower, unit) : upper;
  if constexpr (paired) {
    const __m512i low_byte = _mm512_set1_epi16(0xff);
    return {blend_down<blend>(_mm512_and_si512(upper, low_byte), _mm512_and_si512(lower, low_byte), row_weight),
            blend_down<blend>(_mm512_srli_epi16(upper, 8), _mm512_srli_epi16(lower, 8), row_weight)};
  } else {
    const __m512i least = Avx512::splat16(units.floor);
    const __m512i blended =
        blend_down<blend>(Avx512::max16(upper, least), Avx512::max16(lower, least), row_weight);
    return {blended, blended};
  }
}

struct Targets {
  std::int16_t* first;
  std::int16_t* second;  // of paired tables only
};

template <WideWindow window, bool paired, bool exact, bool blend>
void sample(const Units& units, RowPair rows, Targets to) {
  const __m512i row_weight = Avx512::splat16(rows.weight);
  for (std::ptrdiff_t at = 0; at < units.outputs; at += 32) {
    const std::ptrdiff_t unit = at / (exact ? 32 : 16);
    if (rows.next_upper != nullptr) {
      prefetch<window>(units, rows, unit);
      if (!exact) {
        prefetch<window>(units, rows, unit + 1);
      }
    }
    Columns a = columns<window, paired, blend>(units, rows, row_weight, unit);
    if constexpr (!exact) {
      const Columns b = columns<window, paired, blend>(units, rows, row_weight, unit + 1);
      const __m512i weights = load512(units.weights + at);
      a = {blend_across(a.first, b.first, weights), blend_across(a.second, b.second, weights)};
    }
    Avx512::store(to.first + at, a.first);
    if constexpr (paired) {
      Avx512::store(to.second + at, a.second);
    }
  }
}

template <WideWindow window, bool paired>
void sample_window(const ResampleTable& table, RowPair rows, Targets to) {
  const Units units{table.wide_base.data(), table.wide_index.data(), table.wide_weights.data(), table.outputs,
                    table.floor};
  // Exact scale factors (1920x1080 to 640x360) put every output on a source pixel: there is nothing to blend.
  if (rows.weight == 0) {
    table.exact ? sample<window, paired, true, false>(units, rows, to)
                : sample<window, paired, false, false>(units, rows, to);
  } else {
    table.exact ? sample<window, paired, true, true>(units, rows, to)
                : sample<window, paired, false, true>(units, rows, to);
  }
}

void sample_row(const ResampleTable& table, RowPair rows, std::int16_t* samples) {
  switch (table.wide) {
    case WideWindow::one64: return sample_window<WideWindow::one64, false>(table, rows, {samples, nullptr});
    case WideWindow::two64: return sample_window<WideWindow::two64, false>(table, rows, {samples, nullptr});
    case WideWindow::none: return avx2_kernels.sample_row(table, rows, samples);
  }
}

void sample_pair(const ResampleTable& table, RowPair rows, std::int16_t* first, std::int16_t* second) {
  switch (table.wide) {
    case WideWindow::one64: return sample_window<WideWindow::one64, true>(table, rows, {first, second});
    case WideWindow::two64: return sample_window<WideWindow::two64, true>(table, rows, {first, second});
    case WideWindow::none: return avx2_kernels.sample_pair(table, rows, first, second);
  }
}

}  // namespace

constinit const Kernels avx512_kernels{"avx512",
                                       sample_row,
                                       sample_pair,
                                       sum_rows<Avx512>,
                                       sum_across<Avx512>,
                                       widen_halves<Avx512>,
                                       colour_steps<Avx512, false>(),
                                       colour_steps<Avx512, true>()};

}  // namespace edgeward
