#include <doctest/doctest.h>

#include <algorithm>
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
  const auto format = static_cast<PixelFormat>(pick(0, 2));
  PreprocessSpec s = spec(format, {pick(1, 150), pick(1, 40)}, {pick(1, 70), pick(1, 40)});
  if (pick(0, 1) == 1) {
    const int x = pick(0, s.picture.width - 1);
    const int y = pick(0, s.picture.height - 1);
    s.crop = Rect{x, y, pick(1, s.picture.width - x), pick(1, s.picture.height - y)};
  }
  s.source.full_range = pick(0, 1) == 1;
  s.source.matrix = static_cast<Matrix>(pick(0, 1));
  s.fit = static_cast<Fit>(pick(0, 3));
  s.sampling = static_cast<Sampling>(pick(0, 1));
  s.order = static_cast<ChannelOrder>(pick(0, 2));
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
      CHECK(out == outs[0]);
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

TEST_CASE("crops in one call are what plans of their own make of them, at odd places too") {
  std::mt19937 rng(9);
  for (int round = 0; round < 200; ++round) {
    const PreprocessSpec s = random_spec(rng);
    const Preprocess plan(s);
    const Picture picture = random_picture(rng, plan, rng() % 20);
    std::vector<Rect> crops;
    for (int i = 0; i < 4; ++i) {
      const int x = static_cast<int>(rng() % static_cast<unsigned>(s.picture.width));
      const int y = static_cast<int>(rng() % static_cast<unsigned>(s.picture.height));
      crops.push_back({x, y, 1 + static_cast<int>(rng() % static_cast<unsigned>(s.picture.width - x)),
                       1 + static_cast<int>(rng() % static_cast<unsigned>(s.picture.height - y))});
    }
    std::vector<std::byte> batch(crops.size() * plan.tensor_bytes());
    const auto mappings = plan.run_crops(picture.planes, crops, batch);
    REQUIRE(mappings.size() == crops.size());
    for (std::size_t i = 0; i < crops.size(); ++i) {
      PreprocessSpec single = s;
      single.crop = crops[i];
      const Preprocess alone(single);
      const auto from = batch.begin() + static_cast<std::ptrdiff_t>(i * plan.tensor_bytes());
      CHECK(std::equal(from, from + static_cast<std::ptrdiff_t>(plan.tensor_bytes()), run(alone, picture).begin()));
      CHECK(mappings[i].scale_x == alone.mapping().scale_x);
      CHECK(mappings[i].crop_y == alone.mapping().crop_y);
    }
  }
}

TEST_CASE("a crop at an odd place in the last corner reads nothing beyond it") {
  std::mt19937 rng(14);
  for (const PixelFormat format : {PixelFormat::i420, PixelFormat::nv12, PixelFormat::bgr24}) {
    for (int side = 1; side < 24; ++side) {
      const Preprocess plan(spec(format, {41, 31}, {9, 9}));
      const Picture picture = random_picture(rng, plan, 0);
      std::vector<std::byte> out(plan.tensor_bytes());
      for (const auto name : available_simd()) {
        const SimdGuard guard(name);
        CHECK(plan.run_crops(picture.planes, std::vector<Rect>{{41 - side, 31 - side, side, side}}, out).size() == 1);
      }
    }
  }
}

TEST_CASE("more crops than are remembered come out right") {
  const Preprocess plan(spec(PixelFormat::nv12, {200, 100}, {16, 16}));
  std::mt19937 rng(10);
  const Picture picture = random_picture(rng, plan, 0);
  std::vector<Rect> crops;
  for (int i = 0; i < 150; ++i) {
    crops.push_back({i % 7, i % 5, 20 + i, 30 + i % 9});
  }
  std::vector<std::byte> once(crops.size() * plan.tensor_bytes());
  std::vector<std::byte> again(once.size());
  plan.run_crops(picture.planes, crops, once);
  plan.run_crops(picture.planes, crops, again);
  CHECK(once == again);
}

TEST_CASE("a crop is clipped to the picture, and one outside is refused by its number") {
  const Preprocess plan(spec(PixelFormat::bgr24, {20, 10}, {4, 4}));
  std::mt19937 rng(13);
  const Picture picture = random_picture(rng, plan, 0);
  std::vector<std::byte> out(2 * plan.tensor_bytes());
  const std::vector<Rect> over{{-5, -5, 15, 10}, {15, 8, 2147483647, 2147483647}};
  const auto mappings = plan.run_crops(picture.planes, over, out);
  CHECK(mappings[0].scale_x == doctest::Approx(0.4));
  CHECK(mappings[1].crop_x == 15.);
  const std::vector<Rect> outside{{0, 0, 5, 5}, {20, 0, 5, 5}};
  CHECK_THROWS_WITH_AS(plan.run_crops(picture.planes, outside, out),
                       "crop 1 (x, y, w, h) = (20, 0, 5, 5) has nothing inside the picture of 20x10",
                       std::invalid_argument);
  const std::vector<Rect> three(3, Rect{0, 0, 5, 5});
  CHECK_THROWS_AS(plan.run_crops(picture.planes, three, out), std::invalid_argument);
}

TEST_CASE("a centre crop has the tensor's aspect and fills it") {
  auto s = spec(PixelFormat::i420, {1920, 1080}, {224, 224});
  s.fit = Fit::crop;
  const Preprocess plan(s);
  CHECK(plan.crop().x == 420);
  CHECK(plan.crop().width == 1080);
  CHECK(plan.crop().height == 1080);
  CHECK(plan.placed().width == 224);
  CHECK(plan.placed().x == 0);
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
