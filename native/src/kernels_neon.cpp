// NEON (Advanced SIMD), part of every 64-bit ARM.
#include <arm_neon.h>

#include "kernels_vector.hpp"

namespace edgeward {
namespace {

struct Neon {
  using Samples = int16x8_t;
  struct Floats {
    float32x4_t low;
    float32x4_t high;
  };
  static constexpr std::size_t groups = 1;

  static Samples load(const void* from) { return vreinterpretq_s16_u8(vld1q_u8(static_cast<const std::uint8_t*>(from))); }
  static void store(std::int32_t* to, int32x4_t v) { vst1q_s32(to, v); }

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
  static Samples times128(Samples v) { return vshlq_n_s16(v, 7); }
  static Samples add16(Samples a, Samples b) { return vaddq_s16(a, b); }
  static Samples sub16(Samples a, Samples b) { return vsubq_s16(a, b); }
  static Samples multiply_q15(Samples a, Samples b) { return vqrdmulhq_s16(a, b); }
  static int32x4_t pair_sums(Samples a, Samples b) {
    return vpaddq_s32(vmull_s16(vget_low_s16(a), vget_low_s16(b)), vmull_high_s16(a, b));
  }

  static Samples max16(Samples a, Samples b) { return vmaxq_s16(a, b); }

  static Floats splat(float v) { return {vdupq_n_f32(v), vdupq_n_f32(v)}; }
  static Floats load_samples(const std::int32_t* from) {
    return {vcvtq_f32_s32(vld1q_s32(from)), vcvtq_f32_s32(vld1q_s32(from + 4))};
  }
  static Floats multiply_add(Floats a, Floats b, Floats c) {
    return {vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)};
  }
  static Floats clamp(Floats v, Floats low, Floats high) {
    return {vminq_f32(vmaxq_f32(v.low, low.low), high.low), vminq_f32(vmaxq_f32(v.high, low.high), high.high)};
  }

  static Floats floor(Floats v) { return {vrndmq_f32(v.low), vrndmq_f32(v.high)}; }

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

  static uint8x8_t rounded_bytes(Floats v, std::int32_t zero) {
    const int32x4_t offset = vdupq_n_s32(zero);
    const int16x4_t low = vmovn_s32(vaddq_s32(vcvtnq_s32_f32(v.low), offset));
    const int16x4_t high = vmovn_s32(vaddq_s32(vcvtnq_s32_f32(v.high), offset));
    return vreinterpret_u8_s8(vmovn_s16(vcombine_s16(low, high)));
  }
  static void store_bytes(std::uint8_t* to, uint8x8_t v) { vst1_u8(to, v); }
  static void store_bytes3(std::uint8_t* to, uint8x8_t r, uint8x8_t g, uint8x8_t b) {
    vst3_u8(to, uint8x8x3_t{{r, g, b}});
  }
};

}  // namespace

constinit const Kernels neon_kernels = make_kernels<Neon>("neon");

}  // namespace edgeward
