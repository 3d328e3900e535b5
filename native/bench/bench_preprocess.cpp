// 1080p pictures to a letterboxed tensor, beside the floor: copying the picture and setting the tensor.
// Pictures take turns, so that most of each comes from memory, as it does behind a decoder.
#include <benchmark/benchmark.h>

#include <cstring>
#include <random>
#include <vector>

#include "edgeward/preprocess.hpp"
#include "edgeward/simd.hpp"

using namespace edgeward;

namespace {

constexpr int width = 1920;
constexpr int height = 1080;
constexpr std::size_t pictures = 24;

std::vector<std::uint8_t> random_bytes(std::size_t count) {
  std::mt19937 rng(1);
  std::vector<std::uint8_t> bytes(count);
  for (auto& byte : bytes) {
    byte = static_cast<std::uint8_t>(rng());
  }
  return bytes;
}

PreprocessSpec spec_for(const benchmark::State& state, PixelFormat format) {
  PreprocessSpec spec;
  spec.source.format = format;
  spec.picture = {width, height};
  spec.tensor = {static_cast<int>(state.range(0)), static_cast<int>(state.range(0))};
  return spec;
}

// Pictures that take turns.
struct Film {
  std::vector<std::vector<std::uint8_t>> memory;
  std::vector<std::vector<Plane>> planes{pictures};
  std::size_t turn = 0;

  explicit Film(const Preprocess& plan) {
    for (auto& picture : planes) {
      for (const PlaneShape& shape : plan.planes()) {
        const auto stride = static_cast<std::size_t>(shape.row_bytes);
        memory.push_back(random_bytes(stride * static_cast<std::size_t>(shape.rows)));
        picture.push_back({memory.back().data(), memory.back().size(), stride});
      }
    }
  }
  const std::vector<Plane>& next() { return planes[turn++ % pictures]; }
};

void run(benchmark::State& state, const PreprocessSpec& spec) {
  const Preprocess plan(spec);
  Film film(plan);
  std::vector<std::byte> out(plan.tensor_bytes());
  for (auto _ : state) {
    plan.run(film.next(), out);
    benchmark::ClobberMemory();
  }
}

void preprocess(benchmark::State& state, PixelFormat format, DType dtype, Layout layout) {
  PreprocessSpec spec = spec_for(state, format);
  spec.dtype = dtype;
  spec.layout = layout;
  run(state, spec);
}

void kernel_set(benchmark::State& state, const char* name) {
  set_simd(name);
  run(state, spec_for(state, PixelFormat::i420));
  set_simd("auto");
}

// What is the pixel - 128, and what has to be looked up.
void int8(benchmark::State& state, float mean) {
  PreprocessSpec spec = spec_for(state, PixelFormat::i420);
  spec.dtype = DType::int8;
  spec.normalisation.mean = {mean, mean, mean};
  spec.normalisation.quant_zero_point = -128;
  run(state, spec);
}

void area(benchmark::State& state, PixelFormat format) {
  PreprocessSpec spec = spec_for(state, format);
  spec.sampling = Sampling::area;
  run(state, spec);
}

void gray(benchmark::State& state, PixelFormat format) {
  PreprocessSpec spec = spec_for(state, format);
  spec.order = ChannelOrder::gray;
  run(state, spec);
}

void centre_crop(benchmark::State& state) {
  PreprocessSpec spec = spec_for(state, PixelFormat::i420);
  spec.fit = Fit::crop;
  run(state, spec);
}

// Sixteen crops of a person's shape for a second model. `sizes`: how many different ones come by in turns, since
// tables of the latest are kept.
void crops(benchmark::State& state, int sizes) {
  const Preprocess plan(spec_for(state, PixelFormat::i420));
  Film film(plan);
  std::vector<Rect> rects(16);
  std::vector<std::byte> out(rects.size() * plan.tensor_bytes());
  int number = 0;
  for (auto _ : state) {
    for (Rect& rect : rects) {
      const int size = number++ % sizes;
      rect = {number * 37 % 1600, number * 23 % 600, 120 + size % 40, 300 + size % 97};
    }
    plan.run_crops(film.next(), rects, out);
    benchmark::ClobberMemory();
  }
}

void memory_floor(benchmark::State& state) {
  const auto side = static_cast<std::size_t>(state.range(0));
  const std::vector<std::vector<std::uint8_t>> from(pictures, random_bytes(width * height * 3 / 2));
  std::vector<std::uint8_t> copy(from[0].size());
  std::vector<float> tensor(3 * side * side);
  std::size_t turn = 0;
  for (auto _ : state) {
    std::memcpy(copy.data(), from[turn++ % pictures].data(), copy.size());
    std::memset(tensor.data(), 0, tensor.size() * sizeof(float));
    benchmark::ClobberMemory();
  }
}

}  // namespace

BENCHMARK(memory_floor)->Arg(416)->Arg(640);
BENCHMARK_CAPTURE(preprocess, i420, PixelFormat::i420, DType::float32, Layout::nchw)->Arg(416)->Arg(640);
BENCHMARK_CAPTURE(preprocess, nv12, PixelFormat::nv12, DType::float32, Layout::nchw)->Arg(416)->Arg(640);
BENCHMARK_CAPTURE(preprocess, bgr24, PixelFormat::bgr24, DType::float32, Layout::nchw)->Arg(416)->Arg(640);
BENCHMARK_CAPTURE(preprocess, i420_float16, PixelFormat::i420, DType::float16, Layout::nchw)->Arg(640);
BENCHMARK_CAPTURE(preprocess, i420_uint8, PixelFormat::i420, DType::uint8, Layout::nchw)->Arg(640);
BENCHMARK_CAPTURE(preprocess, i420_nhwc, PixelFormat::i420, DType::float32, Layout::nhwc)->Arg(640);
BENCHMARK_CAPTURE(preprocess, i420_float16_nhwc, PixelFormat::i420, DType::float16, Layout::nhwc)->Arg(640);
BENCHMARK_CAPTURE(preprocess, i420_uint8_nhwc, PixelFormat::i420, DType::uint8, Layout::nhwc)->Arg(640);
BENCHMARK_CAPTURE(int8, raw, 0.F)->Arg(640);
BENCHMARK_CAPTURE(int8, by_table, 3.F)->Arg(640);
BENCHMARK_CAPTURE(area, i420, PixelFormat::i420)->Arg(416)->Arg(640);
BENCHMARK_CAPTURE(area, nv12, PixelFormat::nv12)->Arg(416)->Arg(640);
BENCHMARK_CAPTURE(area, bgr24, PixelFormat::bgr24)->Arg(416)->Arg(640);
BENCHMARK_CAPTURE(gray, i420, PixelFormat::i420)->Arg(640);
BENCHMARK_CAPTURE(gray, bgr24, PixelFormat::bgr24)->Arg(640);
BENCHMARK(centre_crop)->Arg(224);
BENCHMARK_CAPTURE(crops, of_few_sizes, 8)->Arg(224);
BENCHMARK_CAPTURE(crops, of_many_sizes, 1000)->Arg(224);
BENCHMARK_CAPTURE(kernel_set, scalar, "scalar")->Arg(640);
#if defined(__x86_64__)
BENCHMARK_CAPTURE(kernel_set, sse4, "sse4")->Arg(416)->Arg(640);
BENCHMARK_CAPTURE(kernel_set, avx2, "avx2")->Arg(416)->Arg(640);
#endif
