// NEON (Advanced SIMD), part of every 64-bit ARM.
#include <arm_neon.h>

#include "kernels_area.hpp"
#include "kernels_bilinear.hpp"
#include "kernels_colour.hpp"
#include "kernels_halves.hpp"

namespace edgeward {
namespace {

struct Neon {
  using Samples = int16x8_t;
  using Sums = int32x4_t;
  using Bytes = uint8x8_t;
  using Float = float32x4_t;
  struct Floats {
    float32x4_t low;
    float32x4_t high;
  };
  static constexpr std::size_t groups = 1;
  static constexpr std::ptrdiff_t lanes = 8;

  static Samples load(const std::uint8_t* from) { return vreinterpretq_s16_u8(vld1q_u8(from)); }
  static Samples load(const std::int16_t* from) { return vld1q_s16(from); }
  static void store(std::int16_t* to, Samples v) { vst1q_s16(to, v); }

  template <int step>
  static Samples load_windows(const std::uint8_t* row, const std::int32_t* base) {
    return load(row + base[0]);
  }
  static Samples load_words(const std::uint8_t* row, const std::int32_t* base) {
    std::uint32_t words[4];
    for (int i = 0; i < 4; ++i) {
      __builtin_memcpy(&words[i], row + base[i], sizeof(words[i]));
    }
    return vreinterpretq_s16_u32(vld1q_u32(words));
  }
  static Samples shuffle(Samples v, Samples mask) {
    return vreinterpretq_s16_u8(vqtbl1q_u8(vreinterpretq_u8_s16(v), vreinterpretq_u8_s16(mask)));
  }
  static Samples either(Samples a, Samples b) { return vorrq_s16(a, b); }
  static Samples even_bytes(Samples v) { return vandq_s16(v, vdupq_n_s16(0xff)); }
  static Samples odd_bytes(Samples v) { return vreinterpretq_s16_u16(vshrq_n_u16(vreinterpretq_u16_s16(v), 8)); }

  static Samples splat16(std::int16_t v) { return vdupq_n_s16(v); }
  static Samples splat_pair(std::int16_t a, std::int16_t b) {
    return vreinterpretq_s16_s32(vdupq_n_s32((b << 16) | (a & 0xffff)));
  }
  static Samples twice(Samples v) { return vshlq_n_s16(v, 1); }
  static Samples times128(Samples v) { return vshlq_n_s16(v, 7); }
  static Samples add16(Samples a, Samples b) { return vaddq_s16(a, b); }
  static Samples adds16(Samples a, Samples b) { return vqaddq_s16(a, b); }
  static Samples sub16(Samples a, Samples b) { return vsubq_s16(a, b); }
  static Samples max16(Samples a, Samples b) { return vmaxq_s16(a, b); }
  static Samples multiply_q15(Samples a, Samples b) { return vqrdmulhq_s16(a, b); }

  static Sums pair_sums(Samples a, Samples b) {
    return vpaddq_s32(vmull_s16(vget_low_s16(a), vget_low_s16(b)), vmull_high_s16(a, b));
  }
  static Sums rounded14(Sums v) { return vrshrq_n_s32(v, 14); }
  static Sums rounded7(Sums v) { return vrshrq_n_s32(v, 7); }
  static Samples packed(Sums a, Sums b) { return vcombine_s16(vmovn_s32(a), vmovn_s32(b)); }

  static Samples load_bytes(const std::uint8_t* from) { return vreinterpretq_s16_u16(vmovl_u8(vld1_u8(from))); }
  static Sums zero_sums() { return vdupq_n_s32(0); }
  static Sums add_sums(Sums a, Sums b) { return vaddq_s32(a, b); }
  static Samples zip_low(Samples a, Samples b) { return vzip1q_s16(a, b); }
  static Samples zip_high(Samples a, Samples b) { return vzip2q_s16(a, b); }
  static Samples packed_zip(Sums low, Sums high) { return packed(low, high); }

  using Dots = int32x4_t;
  static Dots dot8(const std::int16_t* samples, const std::int16_t* weights) {
    const int16x8_t a = vld1q_s16(samples);
    const int16x8_t b = vld1q_s16(weights);
    return vmlal_high_s16(vmull_s16(vget_low_s16(a), vget_low_s16(b)), a, b);
  }
  static Dots add_dots(Dots a, Dots b) { return vaddq_s32(a, b); }
  static void store_totals(std::int16_t* to, const Dots* dots) {
    const int32x4_t totals = vpaddq_s32(vpaddq_s32(dots[0], dots[1]), vpaddq_s32(dots[2], dots[3]));
    vst1_s16(to, vrshrn_n_s32(totals, 14));
  }

  static Bytes splat8(std::uint8_t v) { return vdup_n_u8(v); }
  static Bytes exclusive_or(Bytes a, Bytes b) { return veor_u8(a, b); }
  static Bytes pixels(Samples v) { return exclusive_or(vreinterpret_u8_s8(vqshrn_n_s16(v, 7)), splat8(0x80)); }

  static Float splat(float v) { return vdupq_n_f32(v); }
  static Float multiply_add(Float a, Float b, Float c) { return vfmaq_f32(c, a, b); }
  static Floats floats(Bytes v) {
    const uint16x8_t wide = vmovl_u8(v);
    return {vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide))), vcvtq_f32_u32(vmovl_high_u16(wide))};
  }
  static void store_floats(std::uint8_t* to, Floats v) {
    vst1q_f32(reinterpret_cast<float*>(to), v.low);
    vst1q_f32(reinterpret_cast<float*>(to) + 4, v.high);
  }
  static void store_floats3(std::uint8_t* to, Floats r, Floats g, Floats b) {
    vst3q_f32(reinterpret_cast<float*>(to), float32x4x3_t{{r.low, g.low, b.low}});
    vst3q_f32(reinterpret_cast<float*>(to) + 12, float32x4x3_t{{r.high, g.high, b.high}});
  }

  static uint16x8_t halves(Floats v) {
    return vreinterpretq_u16_f16(vcombine_f16(vcvt_f16_f32(v.low), vcvt_f16_f32(v.high)));
  }
  static void store_halves(std::uint8_t* to, uint16x8_t v) { vst1q_u16(reinterpret_cast<std::uint16_t*>(to), v); }
  static void store_halves3(std::uint8_t* to, uint16x8_t r, uint16x8_t g, uint16x8_t b) {
    vst3q_u16(reinterpret_cast<std::uint16_t*>(to), uint16x8x3_t{{r, g, b}});
  }

  static void widen8(const std::byte* halves, std::byte* floats) {
    const float16x8_t from = vreinterpretq_f16_u8(vld1q_u8(reinterpret_cast<const std::uint8_t*>(halves)));
    auto* to = reinterpret_cast<std::uint8_t*>(floats);
    vst1q_u8(to, vreinterpretq_u8_f32(vcvt_f32_f16(vget_low_f16(from))));
    vst1q_u8(to + 16, vreinterpretq_u8_f32(vcvt_high_f32_f16(from)));
  }

  static void store_bytes(std::uint8_t* to, Bytes v) { vst1_u8(to, v); }
  static void store_bytes3(std::uint8_t* to, Bytes r, Bytes g, Bytes b) { vst3_u8(to, uint8x8x3_t{{r, g, b}}); }

  using Table = const std::uint8_t*;
  static Table table(Table from) { return from; }
  static Bytes look_up(Table table, Bytes v) {
    // A quarter of the table at a time; an index beyond it leaves what was found.
    Bytes found = vqtbl4_u8(vld1q_u8_x4(table), v);
    for (int quarter = 1; quarter < 4; ++quarter) {
      v = vsub_u8(v, vdup_n_u8(64));
      found = vqtbx4_u8(found, vld1q_u8_x4(table + 64 * quarter), v);
    }
    return found;
  }
};

}  // namespace

constinit const Kernels neon_kernels{"neon",
                                     sample_row<Neon>,
                                     sample_pair<Neon>,
                                     sum_rows<Neon>,
                                     sum_across<Neon>,
                                     widen_halves<Neon>,
                                     colour_steps<Neon, false>(),
                                     colour_steps<Neon, true>()};

}  // namespace edgeward
