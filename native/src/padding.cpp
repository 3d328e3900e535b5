// Letterbox padding: rows of ready-made pixels, copied around the picture on each run.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "edgeward/preprocess.hpp"
#include "half.hpp"

namespace edgeward {
namespace {

void store(std::byte* to, DType dtype, float value) {
  if (dtype == DType::float32) {
    std::memcpy(to, &value, sizeof(value));
  } else if (dtype == DType::float16) {
    const std::uint16_t half = to_half(value);
    std::memcpy(to, &half, sizeof(half));
  } else {
    *to = static_cast<std::byte>(static_cast<std::uint8_t>(std::lrint(value)));
  }
}

// Surrounds a picture of `inner` bytes a row, inside a plane of `row` bytes a row.
struct Frame {
  std::size_t row;
  std::size_t left;
  std::size_t inner;
  std::size_t rows;
  std::size_t top;
  std::size_t picture_rows;
};

void surround(std::byte* plane, const Frame& frame, const std::byte* pad) {
  for (std::size_t y = 0; y < frame.rows; ++y) {
    std::byte* row = plane + y * frame.row;
    if (y < frame.top || y >= frame.top + frame.picture_rows) {
      std::memcpy(row, pad, frame.row);
      continue;
    }
    // A pad row repeats one pixel, so its start serves on the right-hand side as well.
    std::memcpy(row, pad, frame.left);
    std::memcpy(row + frame.left + frame.inner, pad, frame.row - frame.left - frame.inner);
  }
}

}  // namespace

void Preprocess::plan_padding() {
  const bool planar = spec_.layout == Layout::nchw;
  const auto element = static_cast<std::size_t>(bytes_per_element(spec_.dtype));
  const auto width = static_cast<std::size_t>(spec_.tensor.width);
  for (int c = 0; c < 3; ++c) {
    const auto channel = static_cast<std::size_t>(c);
    const float value = normalised(spec_.normalisation, spec_.dtype, c, spec_.pad[channel]);
    auto& row = pad_rows_[planar ? channel : 0];
    row.resize(element * width * (planar ? 1 : 3));
    for (std::size_t x = 0; x < width; ++x) {
      store(row.data() + element * (planar ? x : 3 * x + channel), spec_.dtype, value);
    }
  }
}

void Preprocess::write_padding(std::byte* out) const {
  const bool planar = spec_.layout == Layout::nchw;
  const auto pixel = static_cast<std::size_t>(bytes_per_element(spec_.dtype)) * (planar ? 1 : 3);
  const Frame frame{pixel * static_cast<std::size_t>(spec_.tensor.width),
                    pixel * static_cast<std::size_t>(placed_.x),
                    pixel * static_cast<std::size_t>(placed_.width),
                    static_cast<std::size_t>(spec_.tensor.height),
                    static_cast<std::size_t>(placed_.y),
                    static_cast<std::size_t>(placed_.height)};
  for (std::size_t c = 0; c < (planar ? 3U : 1U); ++c) {
    surround(out + c * frame.row * frame.rows, frame, pad_rows_[c].data());
  }
}

}  // namespace edgeward
