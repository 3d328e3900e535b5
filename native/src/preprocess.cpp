#include "edgeward/preprocess.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "kernels.hpp"

namespace edgeward {
namespace {

constexpr int max_side = 16384;  // keeps every offset within a plane inside an int

std::string text(int value) { return std::to_string(value); }

void check_side(const char* name, int value) {
  if (value < 1 || value > max_side) {
    throw std::invalid_argument(std::string(name) + " must be 1.." + text(max_side) + ", not " + text(value));
  }
}

Rect checked_crop(const PreprocessSpec& spec) {
  const Size picture = spec.picture;
  if (!spec.crop) {
    return {0, 0, picture.width, picture.height};
  }
  const Rect crop = *spec.crop;
  const bool inside = crop.x >= 0 && crop.y >= 0 && crop.width >= 1 && crop.height >= 1 &&
                      crop.x < picture.width && crop.y < picture.height &&
                      crop.width <= picture.width - crop.x && crop.height <= picture.height - crop.y;
  if (!inside) {
    throw std::invalid_argument("crop (x, y, w, h) = (" + text(crop.x) + ", " + text(crop.y) + ", " +
                                text(crop.width) + ", " + text(crop.height) + ") does not lie inside the picture of " +
                                text(picture.width) + "x" + text(picture.height));
  }
  return crop;
}

}  // namespace

Preprocess::Preprocess(const PreprocessSpec& spec) : spec_(spec) {
  check_side("width", spec.picture.width);
  check_side("height", spec.picture.height);
  check_side("out_width", spec.tensor.width);
  check_side("out_height", spec.tensor.height);
  crop_ = checked_crop(spec);
  placed_ = place({crop_.width, crop_.height}, spec.tensor, spec.fit);
  colour_ = colour_transform(spec.source, spec.order, spec.dtype, spec.normalisation);
  if (!std::all_of(spec.pad.begin(), spec.pad.end(), [](float v) { return v >= 0.F && v <= 255.F; })) {
    throw std::invalid_argument("pad must be 0..255 for each channel");
  }
  plan_components();
  plan_padding();
}

std::size_t Preprocess::elements() const {
  return 3 * static_cast<std::size_t>(spec_.tensor.width) * static_cast<std::size_t>(spec_.tensor.height);
}

void Preprocess::add_component(std::size_t plane, Packing packing, int subsampling) {
  const auto across = axis_taps(crop_.x, crop_.width, placed_.width, subsampling);
  const auto down = axis_taps(crop_.y, crop_.height, placed_.height, subsampling);
  Component component{plane, resample_table(across, packing, planes_[plane].row_bytes), {}};
  for (const Tap& tap : down) {
    const long weight = std::min(std::lround(tap.fraction * 32768.), 32767L);
    component.vertical.push_back({tap.left, tap.right, static_cast<std::int16_t>(weight)});
  }
  components_.push_back(std::move(component));
}

void Preprocess::plan_components() {
  const Size size = spec_.picture;
  const Packing luma{1, 0, false, luma_floor(spec_.source)};
  const Size chroma{(size.width + 1) / 2, (size.height + 1) / 2};
  switch (spec_.source.format) {
    case PixelFormat::i420:
      planes_ = {{{size.width, size.height}, {chroma.width, chroma.height}, {chroma.width, chroma.height}}};
      plane_count_ = 3;
      add_component(0, luma, 1);
      add_component(1, {}, 2);
      add_component(2, {}, 2);
      break;
    case PixelFormat::nv12:
      planes_ = {{{size.width, size.height}, {2 * chroma.width, chroma.height}, {}}};
      plane_count_ = 2;
      add_component(0, luma, 1);
      add_component(1, {2, 0, true, 0}, 2);
      break;
    case PixelFormat::bgr24:
      planes_ = {{{3 * size.width, size.height}, {}, {}}};
      plane_count_ = 1;
      for (int c = 0; c < 3; ++c) {
        add_component(0, {3, c, false, 0}, 1);
      }
      break;
  }
}

void Preprocess::check(std::span<const Plane> planes, std::span<std::byte> out) const {
  if (planes.size() != plane_count_) {
    throw std::invalid_argument("expected " + std::to_string(plane_count_) + " planes, not " +
                                std::to_string(planes.size()));
  }
  for (std::size_t p = 0; p < plane_count_; ++p) {
    const auto row_bytes = static_cast<std::size_t>(planes_[p].row_bytes);
    const auto rows = static_cast<std::size_t>(planes_[p].rows);
    const std::string name = "plane " + std::to_string(p);
    if (planes[p].stride < row_bytes) {
      throw std::invalid_argument(name + ": stride " + std::to_string(planes[p].stride) + " is less than a row of " +
                                  std::to_string(row_bytes) + " bytes");
    }
    if (planes[p].stride > planes[p].size / rows) {  // a division, so that nothing can overflow
      throw std::invalid_argument(name + ": " + std::to_string(planes[p].size) + " bytes are too short for " +
                                  std::to_string(rows) + " rows of stride " + std::to_string(planes[p].stride));
    }
  }
  if (out.size() != tensor_bytes()) {
    throw std::invalid_argument("out has " + std::to_string(out.size()) + " bytes, expected " +
                                std::to_string(tensor_bytes()));
  }
}

void Preprocess::run(std::span<const Plane> planes, std::span<std::byte> out) const {
  check(planes, out);
  write_padding(out.data());
  write_picture(planes, out.data());
}

RowPair Preprocess::row_pair(const Component& component, const Plane& plane, std::size_t y) {
  const auto row = [&plane](std::int32_t index) { return plane.data + static_cast<std::size_t>(index) * plane.stride; };
  const VerticalTap tap = component.vertical[y];
  const VerticalTap next = component.vertical[std::min(y + 1, component.vertical.size() - 1)];
  return {row(tap.upper), row(tap.lower), tap.weight, row(next.upper), row(next.weight == 0 ? next.upper : next.lower)};
}

void Preprocess::write_picture(std::span<const Plane> planes, std::byte* out) const {
  const Kernels& kernel = kernels();
  const bool planar = spec_.layout == Layout::nchw;
  const std::size_t type = spec_.dtype == DType::float32 ? 0 : spec_.dtype == DType::float16 ? 1 : 2;
  const ColourRow colour_row = kernel.colour_row[planar ? 0 : 1][type];

  const auto pixel = static_cast<std::size_t>(bytes_per_element(spec_.dtype)) * (planar ? 1 : 3);
  const std::size_t row_bytes = pixel * static_cast<std::size_t>(spec_.tensor.width);
  const std::size_t plane_bytes = planar ? row_bytes * static_cast<std::size_t>(spec_.tensor.height) : 0;
  const auto rows = static_cast<std::size_t>(placed_.height);
  const auto row_samples = static_cast<std::size_t>(components_[0].horizontal.groups) * 4;
  std::vector<std::int32_t> samples(3 * row_samples);
  const SampleRows sampled{{samples.data(), samples.data() + row_samples, samples.data() + 2 * row_samples},
                           placed_.width};

  std::byte* to = out + static_cast<std::size_t>(placed_.y) * row_bytes + static_cast<std::size_t>(placed_.x) * pixel;
  for (std::size_t y = 0; y < rows; ++y, to += row_bytes) {
    std::int32_t* row = samples.data();
    for (const Component& component : components_) {
      const RowPair pair = row_pair(component, planes[component.plane], y);
      if (component.horizontal.paired) {
        kernel.sample_pair(component.horizontal, pair, row, row + row_samples);
        row += 2 * row_samples;
      } else {
        kernel.sample_row(component.horizontal, pair, row);
        row += row_samples;
      }
    }
    colour_row(colour_, sampled, {{to, to + plane_bytes, to + 2 * plane_bytes}});
  }
}

}  // namespace edgeward
