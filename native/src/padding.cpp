// Letterbox padding: rows of ready-made pixels, copied around the picture on each run.
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
    *to = static_cast<std::byte>(static_cast<std::uint8_t>(static_cast<int>(value)));  // a whole number already
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
  const auto element = static_cast<std::size_t>(bytes_per_element(spec_.dtype));
  const auto width = static_cast<std::size_t>(spec_.tensor.width);
  const bool planar = plane_count() == channels();
  for (std::size_t c = 0; c < channels(); ++c) {
    const float value = normalised(spec_.normalisation, spec_.dtype, c, spec_.pad[c]);
    auto& row = pad_rows_[planar ? c : 0];
    row.resize(pixel_bytes() * width);
    for (std::size_t x = 0; x < width; ++x) {
      store(row.data() + element * (planar ? x : channels() * x + c), spec_.dtype, value);
    }
  }
}

void Preprocess::write_padding(const Rect& placed, std::byte* out) const {
  const Frame frame{pixel_bytes() * static_cast<std::size_t>(spec_.tensor.width),
                    pixel_bytes() * static_cast<std::size_t>(placed.x),
                    pixel_bytes() * static_cast<std::size_t>(placed.width),
                    static_cast<std::size_t>(spec_.tensor.height),
                    static_cast<std::size_t>(placed.y),
                    static_cast<std::size_t>(placed.height)};
  for (std::size_t c = 0; c < plane_count(); ++c) {
    surround(out + c * frame.row * frame.rows, frame, pad_rows_[c].data());
  }
}

}  // namespace edgeward
