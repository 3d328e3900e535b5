// What the tests of the decoders share: a model's output that is easy to fill, and limits that let all through.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <bit>
#include <initializer_list>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "edgeward/detect.hpp"

struct Made {
  std::vector<std::size_t> shape;
  std::vector<float> values;

  explicit Made(std::vector<std::size_t> of, float value = 0.F) : shape(std::move(of)) {
    std::size_t count = 1;
    for (const std::size_t size : shape) {
      count *= size;
    }
    values.assign(count, value);
  }
  // Sets what belongs to one row of a (rows, values) output.
  void row(std::size_t at, std::initializer_list<float> of) {
    std::copy(of.begin(), of.end(), values.begin() + static_cast<std::ptrdiff_t>(at * shape[1]));
  }
  // The same where rows come last: (values, rows) or (values, lines, columns).
  void column(std::size_t at, std::initializer_list<float> of) {
    const std::size_t step = values.size() / shape[0];
    std::size_t value = 0;
    for (const float v : of) {
      values[value++ * step + at] = v;
    }
  }
  void random_bits(unsigned seed) {
    std::mt19937 rng(seed);
    for (float& value : values) {
      value = std::bit_cast<float>(static_cast<std::uint32_t>(rng()));
    }
  }
  edgeward::Output output() const { return {values, shape}; }
};

inline edgeward::DetectSpec limits(float score_threshold, double side) {
  edgeward::DetectSpec spec;
  spec.score_threshold = score_threshold;
  spec.place.frame_width = spec.place.frame_height = side;
  return spec;
}

inline void check_box(const edgeward::Detection& found, std::array<double, 4> box) {
  CHECK(found.x1 == doctest::Approx(box[0]));
  CHECK(found.y1 == doctest::Approx(box[1]));
  CHECK(found.x2 == doctest::Approx(box[2]));
  CHECK(found.y2 == doctest::Approx(box[3]));
}

// Whatever the output's bits, boxes lie in the frame, in order.
inline void check_sane(const edgeward::Decoded& decoded, float side) {
  float before = std::numeric_limits<float>::infinity();
  for (const edgeward::Detection& d : decoded.detections) {
    CHECK(d.x1 >= 0.F);
    CHECK(d.y1 >= 0.F);
    CHECK(d.x2 <= side);
    CHECK(d.y2 <= side);
    CHECK(d.x1 < d.x2);
    CHECK(d.y1 < d.y2);
    CHECK(d.score <= before);
    before = d.score;
  }
}

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
