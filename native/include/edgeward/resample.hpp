// Bilinear taps: for each output position the two neighbours and their weight, and the tables from
// which vector kernels gather many of them at once.
#pragma once

#include <cstdint>
#include <vector>

namespace edgeward {

// One output position along an axis: samples `left` and `right`, `fraction` of the latter (0 <= f < 1).
struct Tap {
  int left = 0;
  int right = 0;
  double fraction = 0.;
};

// Maps outputs onto the positions [begin, begin + length), half-pixel centres; neighbours clamp to the interval.
// On a grid `subsampling` times coarser each sample counts for all positions that it covers: resizing chroma
// is then the same as resizing the picture that it colours.
std::vector<Tap> axis_taps(int begin, int length, int outputs, int subsampling);

// Weights of vertical taps: Q15 in an int16; of horizontal taps: Q14. A vertical blend of bytes leaves
// 7 bits of fraction, so samples come out with 7 + 14 bits.
constexpr int sample_fraction_bits = 21;

// How the taps of four neighbouring outputs are fetched from a row of bytes.
enum class Window : std::uint8_t {
  one16,  // all eight taps lie within 16 bytes: one load
  two16,  // the taps of two outputs lie within 16 bytes: two loads
  four4,  // the two taps of one output lie within 4 bytes: four loads, any scale
  pixel,  // the row is too short for any of these: one by one
};

// The horizontal taps of one component, or of two that share their samples' places (U and V of NV12), ready
// for the kernels. Outputs come in groups of four; the count
// of groups is even, and the surplus repeats the last output.
struct ResampleTable {
  int outputs = 0;
  int groups = 0;
  bool paired = false;
  std::uint8_t floor = 0;  // a byte below it counts as it; not for paired components
  Window window = Window::pixel;
  std::vector<std::int32_t> left;      // [groups * 4] byte offsets into the row
  std::vector<std::int32_t> right;     // [groups * 4]
  std::vector<std::int16_t> weights;   // [groups * 8] pairs (of left, of right)
  std::vector<std::int32_t> base;      // window offsets, 1, 2 or 4 a group
  std::vector<std::uint8_t> shuffle;   // [groups * 16] taps of a group as 16-bit values or byte pairs, from window 0
  std::vector<std::uint8_t> shuffle1;  // [groups * 16] the same from window 1 (two16 only)
};

// How a row of bytes carries the component: `stride` bytes from one sample to the next, `offset` of the
// component within these, and whether the byte after it is a second component to be sampled along.
struct Packing {
  int stride = 1;
  int offset = 0;
  bool paired = false;
  std::uint8_t floor = 0;
};

// `row_bytes`: bytes that a row really has. No window ever reaches past them.
ResampleTable resample_table(const std::vector<Tap>& taps, Packing packing, int row_bytes);

}  // namespace edgeward
