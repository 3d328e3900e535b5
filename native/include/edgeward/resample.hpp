// Bilinear taps: for each output position the two neighbours and their weight, and the tables from
// which vector kernels gather many of them at once.
#pragma once

#include <cstddef>
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

// Samples are bytes with 7 bits of fraction, so that a difference of two fits 16 bits as well. Vertical weights
// have 15 bits, horizontal ones 14, and each blend is rounded to a sample.
constexpr int sample_one = 128;
constexpr int weight_one = 16384;

// What the fraction of a tap counts; 1 itself never, so that it fits as Q15 too.
constexpr std::int16_t weight_of(double fraction) {
  const int weight = static_cast<int>(fraction * weight_one + 0.5);
  return static_cast<std::int16_t>(weight < weight_one ? weight : weight_one - 1);
}

// Rows of samples, and the tables for them, are as long as the longest step of any kernel asks.
constexpr std::size_t samples_a_step = 32;
constexpr std::size_t padded_samples(int outputs) {
  return (static_cast<std::size_t>(outputs) + samples_a_step - 1) / samples_a_step * samples_a_step;
}

// How the taps of four neighbouring outputs are fetched from a row of bytes.
enum class Window : std::uint8_t {
  one16,  // all eight taps lie within 16 bytes: one load
  two16,  // the taps of two outputs lie within 16 bytes: two loads
  four4,  // the two taps of one output lie within 4 bytes: four loads, any scale
  pixel,  // the row is too short for any of these: one by one
};

// How the taps of a unit, 16 outputs or 32 of an exact table, are fetched where bytes can be picked from two
// registers of 64.
enum class WideWindow : std::uint8_t { one64, two64, none };

// The horizontal taps of one component, or of two that share their samples' places (U and V of NV12), ready
// for the kernels. Tables are long enough for padded_samples(); the surplus repeats the last output.
struct ResampleTable {
  int outputs = 0;
  bool paired = false;
  bool exact = false;                  // every output falls on a sample: there are no right taps to read
  std::uint8_t floor = 0;              // a byte below it counts as it; not for paired components
  std::vector<std::int32_t> left;      // byte offsets into the row
  std::vector<std::int32_t> right;     //
  std::vector<std::int16_t> weights;   // pairs (of left, of right), Q14

  // Groups of four outputs.
  Window window = Window::pixel;
  std::vector<std::int32_t> base;      // window offsets, 1, 2 or 4 a group
  std::vector<std::uint8_t> shuffle;   // [groups * 16] taps of a group as 16-bit values or byte pairs, from window 0
  std::vector<std::uint8_t> shuffle1;  // [groups * 16] the same from window 1 (two16 only)

  // Units, only where a kernel set for them is there.
  WideWindow wide = WideWindow::none;
  std::vector<std::int32_t> wide_base;     // window offsets, one a unit
  std::vector<std::uint8_t> wide_index;    // [units * 64] left taps, then, unless exact, right ones: 16 bits each
  std::vector<std::int16_t> wide_weights;  // [outputs] of right, Q15
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
