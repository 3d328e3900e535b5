// Decoding a head of 80 classes in which a few cells see something.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "edgeward/yolox.hpp"

using namespace edgeward;

namespace {

void yolox(benchmark::State& state) {
  constexpr std::size_t columns = 85;
  YoloxSpec spec;
  spec.input_width = spec.input_height = static_cast<int>(state.range(0));
  spec.frame_width = spec.frame_height = 1000.;
  spec.score_threshold = 0.3F;
  std::size_t rows = 0;
  for (const int stride : spec.strides) {
    rows += static_cast<std::size_t>(spec.input_width / stride) * static_cast<std::size_t>(spec.input_height / stride);
  }
  std::mt19937 rng(1);
  std::uniform_real_distribution<float> unit(0.F, 1.F);
  std::vector<float> head(rows * columns);
  for (float& value : head) {
    value = unit(rng);
  }
  for (std::size_t row = 0; row < rows; ++row) {
    head[row * columns + 4] = unit(rng) < 0.02F ? 0.9F : 0.01F;
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode_yolox(head, rows, columns, spec));
  }
}

}  // namespace

BENCHMARK(yolox)->Arg(416)->Arg(640);
