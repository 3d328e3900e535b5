#include "edgeward/resample.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace edgeward {
namespace {

constexpr int group_size = 4;
constexpr std::uint8_t zero_byte = 0x80;  // a shuffle index that yields 0, on x86 and on ARM

// The bytes [begin, end) that outputs [first, first + count) touch.
struct Extent {
  int begin;
  int end;
};

Extent extent(const ResampleTable& table, int first, int count) {
  Extent result{table.left[static_cast<std::size_t>(first)], 0};
  for (int i = first; i < first + count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    result.begin = std::min(result.begin, table.left[at]);
    result.end = std::max(result.end, table.right[at] + (table.paired ? 2 : 1));
  }
  return result;
}

bool fits(const ResampleTable& table, int outputs_a_window, int window_bytes, int row_bytes) {
  if (row_bytes < window_bytes) {
    return false;
  }
  for (int first = 0; first < table.groups * group_size; first += outputs_a_window) {
    const Extent e = extent(table, first, outputs_a_window);
    if (e.end - e.begin > window_bytes) {
      return false;
    }
  }
  return true;
}

Window choose_window(const ResampleTable& table, int row_bytes) {
  if (fits(table, 4, 16, row_bytes)) {
    return Window::one16;
  }
  if (fits(table, 2, 16, row_bytes)) {
    return Window::two16;
  }
  return fits(table, 1, 4, row_bytes) ? Window::four4 : Window::pixel;
}

// Where in the 16 gathered bytes the taps of output `lane` are found: as two 16-bit values, or as two pairs
// of bytes.
void set_lane(std::uint8_t* shuffle, int lane, int left, int right, bool paired) {
  std::uint8_t* at = shuffle + static_cast<std::ptrdiff_t>(lane) * 4;
  at[0] = static_cast<std::uint8_t>(left);
  at[1] = paired ? static_cast<std::uint8_t>(left + 1) : zero_byte;
  at[2] = static_cast<std::uint8_t>(right);
  at[3] = paired ? static_cast<std::uint8_t>(right + 1) : zero_byte;
}

void add_windows(ResampleTable& table, int row_bytes) {
  const int count = table.window == Window::one16 ? 1 : table.window == Window::two16 ? 2 : 4;
  const int bytes = count == 4 ? 4 : 16;
  const int outputs = group_size / count;
  const auto shuffle_bytes = static_cast<std::size_t>(table.groups) * 16;
  table.shuffle.assign(shuffle_bytes, zero_byte);
  table.shuffle1.assign(count == 2 ? shuffle_bytes : 0, zero_byte);
  for (int first = 0; first < table.groups * group_size; first += outputs) {
    // Near the end of the row the window moves back, so that it never reads past the row.
    const int base = std::min(extent(table, first, outputs).begin, row_bytes - bytes);
    table.base.push_back(base);
    const int window = first % group_size / outputs;
    auto& shuffle = count == 2 && window == 1 ? table.shuffle1 : table.shuffle;
    const int gathered_at = count == 4 ? window * 4 : 0;
    for (int i = first; i < first + outputs; ++i) {
      const auto at = static_cast<std::size_t>(i);
      set_lane(shuffle.data() + static_cast<std::ptrdiff_t>(i / group_size) * 16, i % group_size,
               table.left[at] - base + gathered_at, table.right[at] - base + gathered_at, table.paired);
    }
  }
}

}  // namespace

std::vector<Tap> axis_taps(int begin, int length, int outputs, int subsampling) {
  const int last = begin + length - 1;
  std::vector<Tap> taps;
  taps.reserve(static_cast<std::size_t>(outputs));
  for (int i = 0; i < outputs; ++i) {
    const double position = std::clamp(begin + (i + 0.5) * length / outputs - 0.5, static_cast<double>(begin),
                                       static_cast<double>(last));
    const int below = static_cast<int>(position);
    const int left = below / subsampling;
    const int right = std::min(below + 1, last) / subsampling;
    taps.push_back({left, right, left == right ? 0. : position - below});
  }
  return taps;
}

ResampleTable resample_table(const std::vector<Tap>& taps, Packing packing, int row_bytes) {
  ResampleTable table;
  table.paired = packing.paired;
  table.floor = packing.floor;
  table.outputs = static_cast<int>(taps.size());
  table.groups = (table.outputs + 7) / 8 * 2;
  for (int i = 0; i < table.groups * group_size; ++i) {
    const Tap& tap = taps[static_cast<std::size_t>(std::min(i, table.outputs - 1))];
    const auto weight = static_cast<std::int16_t>(std::lround(tap.fraction * 16384.));
    table.left.push_back(tap.left * packing.stride + packing.offset);
    table.right.push_back(tap.right * packing.stride + packing.offset);
    table.weights.push_back(static_cast<std::int16_t>(16384 - weight));
    table.weights.push_back(weight);
  }
  table.window = choose_window(table, row_bytes);
  if (table.window != Window::pixel) {
    add_windows(table, row_bytes);
  }
  return table;
}

}  // namespace edgeward
