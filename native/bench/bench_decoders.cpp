// The decoders that judge every class score, the small ones, suppression at its worst, the choice of few, and
// halves made floats.
#include <benchmark/benchmark.h>

#include "edgeward/boxes.hpp"
#include "edgeward/dfl.hpp"
#include "edgeward/fastestdet.hpp"
#include "edgeward/halves.hpp"
#include "edgeward/nms.hpp"
#include "edgeward/top_k.hpp"
#include "edgeward/yolov8.hpp"
#include "edgeward/yunet.hpp"
#include "heads.hpp"

using namespace edgeward;

namespace {

// 640x640, COCO.
void yolov8(benchmark::State& state) {
  const bool first = state.range(0) != 0;
  Head head(first ? std::vector<std::size_t>{84, 8400} : std::vector<std::size_t>{8400, 84});
  head.see(8400, first ? 1 : 84, first ? 9 * 8400 : 9);
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode_yolov8(head.output(), {80, first, 1.F, 1.F}, limits(0.35F)));
  }
}

// NanoDet-Plus-m at 416x416.
void dfl_rows(benchmark::State& state) {
  Head head({3598, 112});
  head.see(3598, 112, 9);
  const std::array outputs{head.output()};
  const DflSpec spec{{416, 416, {8, 16, 32, 64}}, 80, 7, DflLayout::rows, 0.F, false};
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode_dfl(outputs, spec, limits(0.35F)));
  }
}

// YOLOv8 at 640x640, cut before its decoder: 16 bins a side, logits.
void dfl_maps(benchmark::State& state) {
  std::vector<Head> heads;
  std::vector<Output> outputs;
  for (const std::size_t n : {80U, 40U, 20U}) {
    heads.emplace_back(std::vector<std::size_t>{64, n, n});
    Head& scores = heads.emplace_back(std::vector<std::size_t>{80, n, n});
    for (float& value : scores.values) {
      value -= 8.F;
    }
    scores.see(n * n, 1, 9 * n * n, 3.F);
  }
  for (const Head& head : heads) {
    outputs.push_back(head.output());
  }
  const DflSpec spec{{640, 640, {8, 16, 32}}, 80, 15, DflLayout::maps, 0.5F, true};
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode_dfl(outputs, spec, limits(0.35F)));
  }
}

void fastestdet(benchmark::State& state) {
  Head head({85, 22, 22});
  head.see(484, 1, 0);
  head.see(484, 1, 10 * 484);
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode_fastestdet(head.output(), 352.F, 352.F, limits(0.65F)));
  }
}

// SSD MobileNet at 300x300: sigmoid over 91 scores, or softmax.
void ssd(benchmark::State& state) {
  Head boxes({1917, 4});
  Head priors({1917, 4});
  Head scores({1917, 91});
  for (float& value : scores.values) {
    value -= 8.F;
  }
  SsdSpec spec;
  spec.unit_x = spec.unit_y = 300.F;
  spec.activation = state.range(0) != 0 ? Activation::softmax : Activation::sigmoid;
  if (spec.activation == Activation::softmax) {
    for (std::size_t row = 0; row < 1917; ++row) {
      scores.values[row * 91] = 2.F;
    }
  }
  scores.see(1917, 91, 9, 8.F);
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode_ssd(boxes.output(), scores.output(), priors.output(), spec, limits(0.35F)));
  }
}

void ultraface(benchmark::State& state) {
  Head boxes({4420, 4});
  Head scores({4420, 2});
  scores.see(4420, 2, 1);
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode_corners(boxes.output(), scores.output(), true, 320.F, 240.F, limits(0.7F)));
  }
}

void yunet(benchmark::State& state) {
  std::vector<Head> heads;
  std::vector<Output> outputs;
  for (const std::size_t values : {1U, 1U, 4U}) {
    for (const std::size_t n : {40U, 20U, 10U}) {
      heads.emplace_back(std::vector<std::size_t>{n * n, values});
      heads.back().see(values == 1 ? n * n : 0, 1, 0);
    }
  }
  for (const Head& head : heads) {
    outputs.push_back(head.output());
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode_yunet(outputs, {320, 320, {8, 16, 32}}, limits(0.6F)));
  }
}

// A thousand boxes of one class that hardly overlap: every pair is compared.
void nms(benchmark::State& state) {
  std::vector<Detection> boxes;
  for (int i = 0; i < 1000; ++i) {
    const auto x = static_cast<float>(i % 40 * 10);
    const auto y = static_cast<float>(i / 40 * 10);
    boxes.push_back({x, y, x + 12.F, y + 12.F, 1.F / static_cast<float>(i + 1), 0, i});
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(suppress(boxes, {}));
  }
}

void top_five(benchmark::State& state) {
  const Head scores({1000}, 1.F);
  for (auto _ : state) {
    benchmark::DoNotOptimize(top_k(scores.values, 5));
  }
}

// YOLOv8 at 640x640, put out in float16.
void halves(benchmark::State& state) {
  constexpr std::size_t count = 84 * 8400;
  const std::vector<std::byte> from(2 * count);
  std::vector<std::byte> to(4 * count);
  for (auto _ : state) {
    widen_halves(from, to);
    benchmark::ClobberMemory();
  }
}

}  // namespace

BENCHMARK(yolov8)->Arg(0)->Arg(1);
BENCHMARK(dfl_rows);
BENCHMARK(dfl_maps);
BENCHMARK(fastestdet);
BENCHMARK(ssd)->Arg(0)->Arg(1);
BENCHMARK(ultraface);
BENCHMARK(yunet);
BENCHMARK(nms);
BENCHMARK(top_five);
BENCHMARK(halves);
