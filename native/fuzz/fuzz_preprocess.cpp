// Plans of any geometry, format and type on planes and tensors of exactly their size: nothing beyond is touched,
// what does not fit is refused, and all kernel sets come to the same.
#include <optional>
#include <stdexcept>
#include <vector>

#include "edgeward/preprocess.hpp"
#include "input.hpp"

using namespace edgeward;
using namespace edgeward::fuzz;

namespace {

Rect pick_crop(Input& input, Size picture) {
  if (input.pick(0, 15) == 0) {  // any integers: clipped, or refused
    return {input.pick(-2147483647 - 1, 2147483647), input.pick(-5000, 5000), input.pick(-2147483647 - 1, 2147483647),
            input.pick(-5000, 5000)};
  }
  const int x = input.pick(0, picture.width - 1);
  const int y = input.pick(0, picture.height - 1);
  return {x, y, input.pick(1, picture.width - x), input.pick(1, picture.height - y)};
}

PreprocessSpec pick_spec(Input& input) {
  PreprocessSpec spec;
  spec.source = {input.choose<PixelFormat>(3), input.choose<Matrix>(2), input.flip()};
  const bool wide = input.pick(0, 7) == 0;
  spec.picture = {input.pick(1, wide ? 3000 : 300), input.pick(1, wide ? 40 : 90)};
  spec.tensor = {input.pick(1, wide ? 900 : 150), input.pick(1, 70)};
  if (input.flip()) {
    spec.crop = pick_crop(input, spec.picture);
  }
  spec.fit = input.choose<Fit>(4);
  spec.sampling = input.choose<Sampling>(2);
  spec.order = input.choose<ChannelOrder>(3);
  spec.dtype = input.choose<DType>(4);
  spec.layout = input.choose<Layout>(2);
  if (input.pick(0, 7) == 0) {
    for (std::size_t c = 0; c < 3; ++c) {
      spec.normalisation.mean[c] = input.any_float();
      spec.normalisation.std[c] = input.any_float();
      spec.pad[c] = input.any_float();
    }
    spec.normalisation.scale = input.any_float();
    spec.normalisation.quant_scale = input.any_float();
  }
  spec.normalisation.quant_zero_point = input.pick(0, 3) == 0 ? input.pick(-300, 300) : 0;
  return spec;
}

struct Picture {
  std::vector<Exact<std::uint8_t>> memory;
  std::vector<Plane> planes;
};

Picture picture_for(const Preprocess& plan, Input& input) {
  Picture picture;
  for (const PlaneShape& shape : plan.planes()) {
    const std::size_t stride = static_cast<std::size_t>(shape.row_bytes + (input.flip() ? input.pick(0, 40) : 0));
    const std::size_t size = stride * static_cast<std::size_t>(shape.rows);
    picture.memory.push_back(noise<std::uint8_t>(size, static_cast<std::uint32_t>(size), 256));
    picture.planes.push_back({picture.memory.back().data(), size, stride});
  }
  return picture;
}

// Floats are multiplied and added in one step or in two, so only whole values are the same everywhere.
bool is_whole(const PreprocessSpec& spec) {
  const Normalisation plain;
  return bytes_per_element(spec.dtype) == 1 ||
         (spec.normalisation.mean == plain.mean && spec.normalisation.std == plain.std &&
          spec.normalisation.scale == plain.scale);
}

void run(const Preprocess& plan, const Picture& picture) {
  must_agree(
      [&] {
        const Exact<std::byte> out(plan.tensor_bytes());
        plan.run(picture.planes, out.span());
        return is_whole(plan.spec()) ? std::vector<std::byte>(out.span().begin(), out.span().end())
                                     : std::vector<std::byte>();
      },
      "kernel sets agree on a picture");
}

void run_crops(const Preprocess& plan, const Picture& picture, Input& input) {
  std::vector<Rect> crops;
  for (int i = input.pick(0, 4); i > 0; --i) {
    crops.push_back(pick_crop(input, plan.spec().picture));
  }
  must_agree(
      [&] {
        const Exact<std::byte> out(crops.size() * plan.tensor_bytes());
        try {
          must(plan.run_crops(picture.planes, crops, out.span()).size() == crops.size(), "a mapping for each crop");
        } catch (const std::invalid_argument&) {
          return std::vector<std::byte>();
        }
        return is_whole(plan.spec()) ? std::vector<std::byte>(out.span().begin(), out.span().end())
                                     : std::vector<std::byte>();
      },
      "kernel sets agree on crops");
}

void run_on_less(const Preprocess& plan, std::vector<Plane> planes, Input& input) {
  Plane& plane = planes[static_cast<std::size_t>(input.pick(0, static_cast<int>(planes.size()) - 1))];
  if (input.flip()) {
    plane.size -= 1;
  } else {
    plane.stride = static_cast<std::size_t>(input.pick(1, 2147483647)) * plane.stride + plane.size;
  }
  const Exact<std::byte> out(plan.tensor_bytes());
  bool refused = false;
  try {
    plan.run(planes, out.span());
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  must(refused, "planes that are too short are refused");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const PreprocessSpec spec = pick_spec(input);
  std::optional<Preprocess> plan;
  try {
    plan.emplace(spec);
  } catch (const std::invalid_argument&) {
    return 0;
  }
  const Picture picture = picture_for(*plan, input);
  run(*plan, picture);
  run_crops(*plan, picture, input);
  run_on_less(*plan, picture.planes, input);
  return 0;
}
