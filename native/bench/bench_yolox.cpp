// YOLOX and YOLOv5: rows with an objectness, of which few pass.
#include <benchmark/benchmark.h>

#include "edgeward/yolov5.hpp"
#include "edgeward/yolox.hpp"
#include "heads.hpp"

using namespace edgeward;

namespace {

std::size_t cells(int side) {
  std::size_t all = 0;
  for (const int stride : {8, 16, 32}) {
    all += static_cast<std::size_t>(side / stride) * static_cast<std::size_t>(side / stride);
  }
  return all;
}

void yolox(benchmark::State& state) {
  const int side = static_cast<int>(state.range(0));
  Head head({cells(side), 85});
  head.see(cells(side), 85, 4);
  head.see(cells(side), 85, 9);
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode_yolox(head.output(), {side, side, {8, 16, 32}}, limits(0.35F)));
  }
}

void yolov5(benchmark::State& state) {
  const std::size_t rows = 3 * cells(static_cast<int>(state.range(0)));
  Head head({rows, 85});
  head.see(rows, 85, 4);
  head.see(rows, 85, 9);
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode_yolov5(head.output(), 1.F, 1.F, limits(0.35F)));
  }
}

void yolov5_heads(benchmark::State& state) {
  const int side = static_cast<int>(state.range(0));
  const bool first = state.range(1) != 0;
  std::vector<Head> heads;
  std::vector<Output> outputs;
  for (const int stride : {8, 16, 32}) {
    const auto n = static_cast<std::size_t>(side / stride);
    Head& head = heads.emplace_back(first ? std::vector<std::size_t>{255, n, n} : std::vector<std::size_t>{3, n, n, 85});
    for (float& value : head.values) {
      value -= 8.F;
    }
    head.see(n * n, first ? 1 : 85, first ? 4 * n * n : 4, 3.F);
    head.see(n * n, first ? 1 : 85, first ? 9 * n * n : 9, 3.F);
  }
  for (const Head& head : heads) {
    outputs.push_back(head.output());
  }
  const std::vector<float> anchors{10, 13, 16, 30, 33, 23};
  const Yolov5HeadsSpec spec{{side, side, {8, 16, 32}}, {anchors, anchors, anchors}, first};
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode_yolov5_heads(outputs, spec, limits(0.35F)));
  }
}

}  // namespace

BENCHMARK(yolox)->Arg(416)->Arg(640);
BENCHMARK(yolov5)->Arg(640);
BENCHMARK(yolov5_heads)->Args({640, 0})->Args({640, 1});
