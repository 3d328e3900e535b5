#include "edgeward/resample.hpp"

#include <algorithm>

#include "kernels.hpp"

namespace edgeward {
namespace {

constexpr int group_size = 4;
constexpr std::uint8_t zero_byte = 0x80;  // a shuffle index that yields 0, on x86 and on ARM

// The bytes [begin, end) that outputs [first, first + count) touch; taps never go back.
struct Extent {
  int begin;
  int end;
};

Extent extent(const ResampleTable& table, std::size_t first, std::size_t count) {
  const int last = (table.exact ? table.left : table.right)[first + count - 1];
  return {table.left[first], last + (table.paired ? 2 : 1)};
}

bool fits(const ResampleTable& table, std::size_t outputs_a_window, int window_bytes, int row_bytes) {
  if (row_bytes < window_bytes) {
    return false;
  }
  for (std::size_t first = 0; first < table.left.size(); first += outputs_a_window) {
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
void set_lane(std::uint8_t* shuffle, std::size_t lane, int left, int right, bool paired) {
  std::uint8_t* at = shuffle + lane * 4;
  at[0] = static_cast<std::uint8_t>(left);
  at[1] = paired ? static_cast<std::uint8_t>(left + 1) : zero_byte;
  at[2] = static_cast<std::uint8_t>(right);
  at[3] = paired ? static_cast<std::uint8_t>(right + 1) : zero_byte;
}

void add_windows(ResampleTable& table, int row_bytes) {
  const std::size_t count = table.window == Window::one16 ? 1 : table.window == Window::two16 ? 2 : 4;
  const int bytes = count == 4 ? 4 : 16;
  const std::size_t outputs = group_size / count;
  const std::size_t shuffle_bytes = table.left.size() / group_size * 16;
  table.base.reserve(table.left.size() / outputs);
  table.shuffle.assign(shuffle_bytes, zero_byte);
  table.shuffle1.assign(count == 2 ? shuffle_bytes : 0, zero_byte);
  for (std::size_t first = 0; first < table.left.size(); first += outputs) {
    // Near the end of the row the window moves back, so that it never reads past the row.
    const int base = std::min(table.left[first], row_bytes - bytes);
    table.base.push_back(base);
    const std::size_t window = first % group_size / outputs;
    auto& shuffle = count == 2 && window == 1 ? table.shuffle1 : table.shuffle;
    const int gathered_at = base - (count == 4 ? static_cast<int>(window) * 4 : 0);
    for (std::size_t i = first; i < first + outputs; ++i) {
      set_lane(shuffle.data() + i / group_size * 16, i % group_size, table.left[i] - gathered_at,
               (table.exact ? table.left : table.right)[i] - gathered_at, table.paired);
    }
  }
}

void add_wide_windows(ResampleTable& table, int row_bytes) {
  const std::size_t outputs = table.exact ? 32 : 16;
  const int bytes = fits(table, outputs, 64, row_bytes) ? 64 : 128;
  if (bytes == 128 && !fits(table, outputs, 128, row_bytes)) {
    return;
  }
  table.wide = bytes == 64 ? WideWindow::one64 : WideWindow::two64;
  table.wide_base.reserve(table.left.size() / outputs);
  table.wide_index.resize(table.left.size() / outputs * 64);
  std::uint8_t* index = table.wide_index.data();
  const auto put = [&index](int at) {
    *index++ = static_cast<std::uint8_t>(at);
    *index++ = static_cast<std::uint8_t>(at + 1);  // the kernel drops it unless the table is paired
  };
  for (std::size_t first = 0; first < table.left.size(); first += outputs) {
    const int base = std::min(table.left[first], row_bytes - bytes);
    table.wide_base.push_back(base);
    for (std::size_t i = first; i < first + outputs; ++i) {
      put(table.left[i] - base);
    }
    for (std::size_t i = first; i < first + outputs && !table.exact; ++i) {
      put(table.right[i] - base);
    }
  }
  table.wide_weights.resize(table.left.size());
  for (std::size_t i = 0; i < table.left.size(); ++i) {
    table.wide_weights[i] = static_cast<std::int16_t>(2 * table.weights[2 * i + 1]);
  }
}

}  // namespace

std::vector<Tap> axis_taps(int begin, int length, int outputs, int subsampling) {
  const int last = begin + length - 1;
  // An output's centre in units of 1 / (2 * outputs): whole numbers, so that what is exact comes out exactly. It
  // goes on by a quotient and a rest, without a division for each: crops make tables in each picture.
  const int unit = 2 * outputs;
  const double scale = 1. / unit;
  int whole = length < outputs ? -1 : (length - outputs) / unit;
  int rest = length - outputs - whole * unit;
  std::vector<Tap> taps(static_cast<std::size_t>(outputs));
  for (Tap& tap : taps) {
    const bool inside = whole >= 0 && whole < length - 1;
    const int below = begin + std::clamp(whole, 0, length - 1);
    const int above = std::min(below + 1, last);
    tap.left = subsampling == 1 ? below : below / subsampling;
    tap.right = subsampling == 1 ? above : above / subsampling;
    tap.fraction = !inside || tap.left == tap.right ? 0. : rest * scale;
    whole += 2 * length / unit;
    rest += 2 * length % unit;
    if (rest >= unit) {
      rest -= unit;
      ++whole;
    }
  }
  return taps;
}

ResampleTable resample_table(const std::vector<Tap>& taps, Packing packing, int row_bytes) {
  ResampleTable table;
  table.paired = packing.paired;
  table.floor = packing.floor;
  table.outputs = static_cast<int>(taps.size());
  table.exact = std::ranges::all_of(taps, [](const Tap& tap) { return weight_of(tap.fraction) == 0; });
  const std::size_t count = padded_samples(table.outputs);
  table.left.resize(count);
  table.right.resize(count);
  table.weights.resize(2 * count);
  for (std::size_t i = 0; i < count; ++i) {
    const Tap& tap = taps[std::min(i, taps.size() - 1)];
    const std::int16_t weight = weight_of(tap.fraction);
    table.left[i] = tap.left * packing.stride + packing.offset;
    table.right[i] = tap.right * packing.stride + packing.offset;
    table.weights[2 * i] = static_cast<std::int16_t>(weight_one - weight);
    table.weights[2 * i + 1] = weight;
  }
  table.window = choose_window(table, row_bytes);
  if (table.window != Window::pixel) {
    add_windows(table, row_bytes);
  }
  if (wide_kernels_available()) {
    add_wide_windows(table, row_bytes);
  }
  return table;
}

}  // namespace edgeward
