#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include "edgeward/preprocess.hpp"
#include "simd_guard.hpp"

using namespace edgeward;

namespace {

// Planes of exactly the bytes that a plan may read, each its own allocation.
struct Picture {
  std::vector<std::unique_ptr<std::uint8_t[]>> memory;
  std::vector<Plane> planes;
};

Picture random_picture(std::mt19937& rng, const Preprocess& plan, std::size_t extra) {
  Picture picture;
  for (const PlaneShape& shape : plan.planes()) {
    const std::size_t stride = static_cast<std::size_t>(shape.row_bytes) + extra;
    const std::size_t size = stride * static_cast<std::size_t>(shape.rows);
    picture.memory.emplace_back(new std::uint8_t[size]);
    for (std::size_t i = 0; i < size; ++i) {
      picture.memory.back()[i] = static_cast<std::uint8_t>(rng());
    }
    picture.planes.push_back({picture.memory.back().get(), size, stride});
  }
  return picture;
}

std::vector<std::byte> run(const Preprocess& plan, const Picture& picture) {
  std::vector<std::byte> out(plan.tensor_bytes());
  plan.run(picture.planes, out);
  return out;
}

PreprocessSpec spec(PixelFormat format, Size picture, Size tensor) {
  PreprocessSpec s;
  s.source.format = format;
  s.picture = picture;
  s.tensor = tensor;
  return s;
}

PreprocessSpec random_spec(std::mt19937& rng) {
  const auto pick = [&rng](int low, int high) {
    return low + static_cast<int>(rng() % static_cast<unsigned>(high - low + 1));
  };
  PreprocessSpec s = spec(static_cast<PixelFormat>(pick(0, 2)), {pick(1, 150), pick(1, 40)}, {pick(1, 70), pick(1, 40)});
  if (pick(0, 1) == 1) {
    const int x = pick(0, s.picture.width - 1);
    const int y = pick(0, s.picture.height - 1);
    s.crop = Rect{x, y, pick(1, s.picture.width - x), pick(1, s.picture.height - y)};
  }
  s.source.full_range = pick(0, 1) == 1;
  s.source.matrix = static_cast<Matrix>(pick(0, 1));
  s.fit = static_cast<Fit>(pick(0, 2));
  s.order = static_cast<ChannelOrder>(pick(0, 1));
  s.dtype = static_cast<DType>(pick(0, 3));
  s.layout = static_cast<Layout>(pick(0, 1));
  return s;
}

}  // namespace

TEST_CASE("random geometries read and write inside their buffers, alike in every kernel set") {
  std::mt19937 rng(3);
  for (int round = 0; round < 600; ++round) {
    const PreprocessSpec s = random_spec(rng);
    const Preprocess plan(s);
    const Picture picture = random_picture(rng, plan, rng() % 3 == 0 ? rng() % 50 : 0);
    std::vector<std::vector<std::byte>> outs;
    for (const auto name : available_simd()) {
      const SimdGuard guard(name);
      outs.push_back(run(plan, picture));
    }
    for (const auto& out : outs) {
      for (std::size_t i = 0; i < plan.elements(); ++i) {
        if (s.dtype == DType::float32) {
          float a = 0.F;
          float b = 0.F;
          std::memcpy(&a, out.data() + 4 * i, 4);
          std::memcpy(&b, outs[0].data() + 4 * i, 4);
          CHECK(std::abs(a - b) <= 1.F);  // a pixel near a half, rounded either way
        } else if (s.dtype == DType::uint8) {
          CHECK(std::abs(static_cast<int>(out[i]) - static_cast<int>(outs[0][i])) <= 1);
        }
      }
    }
  }
}

TEST_CASE("nv12 and i420 of the same picture give the same tensor") {
  std::mt19937 rng(4);
  const Size picture{321, 181};
  const Preprocess planar(spec(PixelFormat::i420, picture, {96, 96}));
  const Preprocess paired(spec(PixelFormat::nv12, picture, {96, 96}));
  const Picture i420 = random_picture(rng, planar, 0);
  Picture nv12 = random_picture(rng, paired, 0);
  std::memcpy(nv12.memory[0].get(), i420.memory[0].get(), i420.planes[0].size);
  for (std::size_t i = 0; i < i420.planes[1].size; ++i) {
    nv12.memory[1][2 * i] = i420.memory[1][i];
    nv12.memory[1][2 * i + 1] = i420.memory[2][i];
  }
  for (const auto name : available_simd()) {
    const SimdGuard guard(name);
    CHECK(run(planar, i420) == run(paired, nv12));
  }
}

TEST_CASE("letterbox is centred, and padding is written around the picture") {
  const Preprocess plan(spec(PixelFormat::bgr24, {16, 9}, {32, 32}));
  CHECK(plan.placed().y == 7);
  CHECK(plan.placed().height == 18);
  std::mt19937 rng(5);
  const auto out = run(plan, random_picture(rng, plan, 0));
  float first = 0.F;
  float last = 0.F;
  std::memcpy(&first, out.data(), 4);
  std::memcpy(&last, out.data() + out.size() - 4, 4);
  CHECK(first == 114.F);
  CHECK(last == 114.F);
}

TEST_CASE("what does not fit is refused") {
  const Preprocess plan(spec(PixelFormat::i420, {8, 8}, {4, 4}));
  std::mt19937 rng(6);
  Picture picture = random_picture(rng, plan, 0);
  std::vector<std::byte> out(plan.tensor_bytes());
  std::vector<std::byte> small(plan.tensor_bytes() - 1);
  CHECK_THROWS_AS(plan.run(picture.planes, small), std::invalid_argument);
  picture.planes[2].size -= 1;
  CHECK_THROWS_AS(plan.run(picture.planes, out), std::invalid_argument);
  picture.planes.pop_back();
  CHECK_THROWS_AS(plan.run(picture.planes, out), std::invalid_argument);

  auto outside = spec(PixelFormat::i420, {8, 8}, {4, 4});
  outside.crop = Rect{4, 0, 5, 8};
  CHECK_THROWS_AS(Preprocess{outside}, std::invalid_argument);
}
