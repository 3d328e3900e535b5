// Outputs of models made from a fuzzer's bytes: shapes, limits and values that nobody would write.
#pragma once

#include <cmath>
#include <deque>
#include <stdexcept>
#include <vector>

#include "edgeward/detect.hpp"
#include "input.hpp"

namespace edgeward::fuzz {

// The choices that the decoders' fuzzers make.
class Bytes : public Input {
 public:
  using Input::Input;

  std::size_t upto(std::size_t limit) { return static_cast<std::size_t>(pick(0, static_cast<int>(limit))); }
  bool rarely() { return pick(0, 63) == 1; }
  // Mostly the usual, now and then an integer that does not fit.
  int integer(int usual) {
    if (!rarely()) {
      return usual;
    }
    const int odd[] = {-1, 0, 2147483647, -2147483647 - 1, pick(0, 65535)};
    return odd[pick(0, 4)];
  }
  // Mostly 0..1, now and then below 0, or any bits.
  float number() {
    const int kind = pick(0, 15);
    return kind == 1 ? any_float() : static_cast<float>(pick(0, 1000)) / (kind == 2 ? -100.F : 1000.F);
  }
  // Above 0, mostly.
  float size(float most) { return rarely() ? any_float() : most * static_cast<float>(pick(1, 1000)) / 1000.F; }
  bool flag() { return flip(); }
};

// Outputs with memory of exactly their size, so that a sanitizer sees the first value read beyond it.
class Outputs {
 public:
  explicit Outputs(Bytes& bytes) : bytes_(bytes) {}

  void add(std::vector<std::size_t> shape) {
    constexpr std::size_t huge = std::size_t{1} << 62;
    std::size_t count = 1;
    for (std::size_t& size : shape) {
      if (bytes_.rarely()) {
        size = bytes_.flag() ? huge : bytes_.upto(40);
      }
      count = size == huge ? count : count * size;
    }
    if (bytes_.rarely()) {
      shape.push_back(1);
    }
    // A short pattern over and over: enough for every branch, and the bytes last.
    float pattern[13];
    for (float& value : pattern) {
      value = bytes_.number();
    }
    const Exact<float>& memory = memory_.emplace_back(count);
    for (std::size_t i = 0; i < count; ++i) {
      memory.data()[i] = pattern[i % 13];
    }
    outputs_.push_back({memory.span(), std::move(shape)});
  }
  const Output& operator[](std::size_t i) const { return outputs_[i]; }
  std::span<const Output> all() const { return outputs_; }

 private:
  Bytes& bytes_;
  std::deque<Exact<float>> memory_;
  std::vector<Output> outputs_;
};

inline DetectSpec limits(Bytes& bytes) {
  DetectSpec spec;
  spec.score_threshold = bytes.rarely() ? bytes.any_float() : static_cast<float>(bytes.pick(0, 100)) / 100.F;
  spec.nms = {bytes.rarely() ? bytes.any_float() : static_cast<float>(bytes.pick(0, 100)) / 100.F, bytes.flag(),
              bytes.integer(bytes.pick(1, 50)), bytes.integer(bytes.pick(1, 50))};
  spec.place = {bytes.size(2.F), bytes.size(2.F), bytes.number(), bytes.number(), bytes.number(), bytes.number(),
                static_cast<double>(bytes.integer(64)), static_cast<double>(bytes.integer(48)),
                static_cast<double>(bytes.integer(bytes.flag() ? 20 : 0)),
                static_cast<double>(bytes.rarely() ? 48 : 0)};
  return spec;
}

inline InputGrids grids(Bytes& bytes, int width, int height, std::vector<int> strides) {
  for (int& stride : strides) {
    stride = bytes.integer(stride);
  }
  return {bytes.integer(width), bytes.integer(height), std::move(strides)};
}

// Runs a decoder: it may refuse by std::invalid_argument, and must else keep what decoders promise.
template <class Decode>
void judge(const DetectSpec& spec, Decode decode) {
  Decoded decoded;
  try {
    decoded = decode();
  } catch (const std::invalid_argument&) {
    return;
  }
  must(decoded.detections.size() <= static_cast<std::size_t>(spec.nms.max_detections), "no more than were asked for");
  const auto left = static_cast<float>(spec.place.frame_left);
  const auto top = static_cast<float>(spec.place.frame_top);
  const auto width = static_cast<float>(spec.place.frame_width);
  const auto height = static_cast<float>(spec.place.frame_height);
  for (const Detection& d : decoded.detections) {
    must(d.x1 >= left && d.y1 >= top && d.x2 <= width && d.y2 <= height, "boxes lie in the frame");
    must(d.x1 < d.x2 && d.y1 < d.y2, "boxes have an area");
    must(d.score >= spec.score_threshold && std::isfinite(d.score), "scores pass");
  }
}

}  // namespace edgeward::fuzz
