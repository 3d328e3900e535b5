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

void preprocess(benchmark::State& state, const char* simd_name, PixelFormat format, DType dtype, Layout layout) {
  set_simd(simd_name);
  PreprocessSpec spec;
  spec.source.format = format;
  spec.picture = {width, height};
  spec.tensor = {static_cast<int>(state.range(0)), static_cast<int>(state.range(0))};
  spec.dtype = dtype;
  spec.layout = layout;
  const Preprocess plan(spec);
  std::vector<std::vector<std::uint8_t>> memory;
  std::vector<std::vector<Plane>> planes(pictures);
  for (auto& picture : planes) {
    for (const PlaneShape& shape : plan.planes()) {
      const auto stride = static_cast<std::size_t>(shape.row_bytes);
      memory.push_back(random_bytes(stride * static_cast<std::size_t>(shape.rows)));
      picture.push_back({memory.back().data(), memory.back().size(), stride});
    }
  }
  std::vector<std::byte> out(plan.tensor_bytes());
  std::size_t turn = 0;
  for (auto _ : state) {
    plan.run(planes[turn++ % pictures], out);
    benchmark::ClobberMemory();
  }
  set_simd("auto");
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
BENCHMARK_CAPTURE(preprocess, i420, "auto", PixelFormat::i420, DType::float32, Layout::nchw)->Arg(416)->Arg(640);
BENCHMARK_CAPTURE(preprocess, nv12, "auto", PixelFormat::nv12, DType::float32, Layout::nchw)->Arg(416)->Arg(640);
BENCHMARK_CAPTURE(preprocess, bgr24, "auto", PixelFormat::bgr24, DType::float32, Layout::nchw)->Arg(416)->Arg(640);
BENCHMARK_CAPTURE(preprocess, i420_float16, "auto", PixelFormat::i420, DType::float16, Layout::nchw)->Arg(640);
BENCHMARK_CAPTURE(preprocess, i420_int8, "auto", PixelFormat::i420, DType::int8, Layout::nchw)->Arg(640);
BENCHMARK_CAPTURE(preprocess, i420_nhwc, "auto", PixelFormat::i420, DType::float32, Layout::nhwc)->Arg(640);
BENCHMARK_CAPTURE(preprocess, i420_int8_nhwc, "auto", PixelFormat::i420, DType::int8, Layout::nhwc)->Arg(640);
BENCHMARK_CAPTURE(preprocess, i420_scalar, "scalar", PixelFormat::i420, DType::float32, Layout::nchw)->Arg(640);
