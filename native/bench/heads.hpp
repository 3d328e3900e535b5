// Outputs as models give them for the decoders' benchmarks: low scores but for a few rows.
#pragma once

#include <random>
#include <vector>

#include "edgeward/detect.hpp"

// Values of a shape, and the Output over them.
struct Head {
  std::vector<std::size_t> shape;
  std::vector<float> values;

  explicit Head(std::vector<std::size_t> of, float most = 0.2F) : shape(std::move(of)) {
    std::size_t count = 1;
    for (const std::size_t size : shape) {
      count *= size;
    }
    std::mt19937 rng(1);
    std::uniform_real_distribution<float> low(0.F, most);
    values.resize(count);
    for (float& value : values) {
      value = low(rng);
    }
  }
  // Lets 36 rows see something: sets a value that stands `first` values into a row, every `row_step` values.
  void see(std::size_t rows, std::size_t row_step, std::size_t first, float value = 0.9F) {
    for (std::size_t i = 0; i < 36 && i < rows; ++i) {
      values[i * (rows / 36 > 0 ? rows / 36 : 1) * row_step + first] = value;
    }
  }
  edgeward::Output output() const { return {values, shape}; }
};

inline edgeward::DetectSpec limits(float threshold) {
  edgeward::DetectSpec spec;
  spec.score_threshold = threshold;
  spec.place.frame_width = 1920.;
  spec.place.frame_height = 1080.;
  return spec;
}
