#include "edgeward/preprocess.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels.hpp"
#include "sampler.hpp"

namespace edgeward {
namespace {

constexpr int max_side = 16384;  // keeps every offset within a plane inside an int

std::string text(std::size_t value) { return std::to_string(value); }
std::string text(int value) { return std::to_string(value); }
std::string text(const Size& size) { return text(size.width) + "x" + text(size.height); }
std::string text(const Rect& rect) {
  return "(x, y, w, h) = (" + text(rect.x) + ", " + text(rect.y) + ", " + text(rect.width) + ", " +
         text(rect.height) + ")";
}

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
    throw std::invalid_argument("crop " + text(crop) + " does not lie inside the picture of " + text(picture));
  }
  return crop;
}

// The part [begin, begin + length) of an axis that lies inside [0, side); empty where none does.
struct Part {
  int begin;
  int length;
};

Part clipped(std::int64_t begin, std::int64_t length, int side) {
  const std::int64_t from = std::clamp<std::int64_t>(begin, 0, side);
  const std::int64_t to = std::clamp<std::int64_t>(begin + length, from, side);
  return {static_cast<int>(from), static_cast<int>(to - from)};
}

Rect clipped(const Rect& crop, Size picture, std::size_t number) {
  const Part across = clipped(crop.x, crop.width, picture.width);
  const Part down = clipped(crop.y, crop.height, picture.height);
  if (across.length == 0 || down.length == 0) {
    throw std::invalid_argument("crop " + text(number) + " " + text(crop) + " has nothing inside the picture of " +
                                text(picture));
  }
  return {across.begin, down.begin, across.length, down.length};
}

}  // namespace

Preprocess::Preprocess(const PreprocessSpec& spec) : spec_(spec), crops_(std::make_unique<SamplerCache>()) {
  check_side("width", spec.picture.width);
  check_side("height", spec.picture.height);
  check_side("out_width", spec.tensor.width);
  check_side("out_height", spec.tensor.height);
  view_ = view_of(checked_crop(spec), spec.tensor, spec.fit);
  colour_ = colour_transform(spec.source, spec.order, spec.dtype, spec.normalisation);
  if (!std::all_of(spec.pad.begin(), spec.pad.end(), [](float v) { return v >= 0.F && v <= 255.F; })) {
    throw std::invalid_argument("pad must be 0..255 for each channel");
  }
  plan_components();
  plan_padding();
  sampler_ = sampler_for(view_);
}

Preprocess::~Preprocess() = default;

std::size_t Preprocess::elements() const {
  return channels() * static_cast<std::size_t>(spec_.tensor.width) * static_cast<std::size_t>(spec_.tensor.height);
}

std::size_t Preprocess::pixel_bytes() const {
  return static_cast<std::size_t>(bytes_per_element(spec_.dtype)) * channels() / plane_count();
}

void Preprocess::plan_components() {
  const Size size = spec_.picture;
  const Size chroma{(size.width + 1) / 2, (size.height + 1) / 2};
  components_.push_back({0, 1, {1, 0, false, luma_floor(spec_.source)}});
  switch (spec_.source.format) {
    case PixelFormat::i420:
      planes_ = {{{size.width, size.height}, {chroma.width, chroma.height}, {chroma.width, chroma.height}}};
      plane_count_ = 3;
      components_.push_back({1, 2, {}});
      components_.push_back({2, 2, {}});
      break;
    case PixelFormat::nv12:
      planes_ = {{{size.width, size.height}, {2 * chroma.width, chroma.height}, {}}};
      plane_count_ = 2;
      components_.push_back({1, 2, {2, 0, true, 0}});
      break;
    case PixelFormat::bgr24:
      planes_ = {{{3 * size.width, size.height}, {}, {}}};
      plane_count_ = 1;
      components_ = {{0, 1, {3, 0, false, 0}}, {0, 1, {3, 1, false, 0}}, {0, 1, {3, 2, false, 0}}};
      break;
  }
  if (colour_.step == ColourStep::luma) {
    components_.resize(1);
  }
}

std::shared_ptr<const Sampler> Preprocess::sampler_for(const View& view) const {
  // Only chroma knows odd places, and only it asks for tables of their own.
  const bool grid = std::ranges::any_of(components_, [](const Component& c) { return c.subsampling != 1; });
  const SamplerKey key{{view.source.width, view.source.height},
                       {view.placed.width, view.placed.height},
                       grid ? view.source.x % 2 : 0,
                       grid ? view.source.y % 2 : 0};
  return crops_->get(components_, key, spec_.sampling);
}

void Preprocess::check(std::span<const Plane> planes) const {
  if (planes.size() != plane_count_) {
    throw std::invalid_argument("expected " + text(plane_count_) + " planes, not " + text(planes.size()));
  }
  for (std::size_t p = 0; p < plane_count_; ++p) {
    const auto row_bytes = static_cast<std::size_t>(planes_[p].row_bytes);
    const auto rows = static_cast<std::size_t>(planes_[p].rows);
    const std::string name = "plane " + text(p);
    if (planes[p].stride < row_bytes) {
      throw std::invalid_argument(name + ": stride " + text(planes[p].stride) + " is less than a row of " +
                                  text(row_bytes) + " bytes");
    }
    if (planes[p].stride > planes[p].size / rows) {  // a division, so that nothing can overflow
      throw std::invalid_argument(name + ": " + text(planes[p].size) + " bytes are too short for " + text(rows) +
                                  " rows of stride " + text(planes[p].stride));
    }
  }
}

void Preprocess::run(std::span<const Plane> planes, std::span<std::byte> out) const {
  check(planes);
  if (out.size() != tensor_bytes()) {
    throw std::invalid_argument("out has " + text(out.size()) + " bytes, expected " + text(tensor_bytes()));
  }
  write_padding(view_.placed, out.data());
  write_picture(view_, *sampler_, planes, out.data());
}

std::vector<Mapping> Preprocess::run_crops(std::span<const Plane> planes, std::span<const Rect> crops,
                                           std::span<std::byte> out) const {
  check(planes);
  if (out.size() / tensor_bytes() < crops.size()) {
    throw std::invalid_argument("out has " + text(out.size()) + " bytes, expected at least " + text(crops.size()) +
                                " times " + text(tensor_bytes()));
  }
  std::vector<View> views;
  std::vector<Mapping> mappings;
  for (std::size_t i = 0; i < crops.size(); ++i) {
    views.push_back(view_of(clipped(crops[i], spec_.picture, i), spec_.tensor, spec_.fit));
    mappings.push_back(mapping_of(views.back()));
  }
  std::byte* to = out.data();
  for (const View& view : views) {
    write_padding(view.placed, to);
    write_picture(view, *sampler_for(view), planes, to);
    to += tensor_bytes();
  }
  return mappings;
}

void Preprocess::write_picture(const View& view, const Sampler& sampler, std::span<const Plane> planes,
                               std::byte* out) const {
  const Kernels& kernel = kernels();
  const auto& steps = spec_.layout == Layout::nchw ? kernel.planar : kernel.interleaved;
  const ColourRow colour_row =
      steps[static_cast<std::size_t>(colour_.step)][static_cast<std::size_t>(colour_.element)];

  std::array<Origin, 3> origins{};
  for (const Component& component : components_) {
    const Plane& plane = planes[component.plane];
    const auto x = static_cast<std::size_t>(view.source.x / component.subsampling * component.packing.stride);
    const auto y = static_cast<std::size_t>(view.source.y / component.subsampling);
    origins[component.plane] = {plane.data + y * plane.stride + x, plane.stride};
  }

  const std::size_t row_bytes = pixel_bytes() * static_cast<std::size_t>(spec_.tensor.width);
  const std::size_t plane_bytes = plane_count() == 1 ? 0 : row_bytes * static_cast<std::size_t>(spec_.tensor.height);
  std::byte* to = out + static_cast<std::size_t>(view.placed.y) * row_bytes +
                  static_cast<std::size_t>(view.placed.x) * pixel_bytes();
  Sampler::Scratch scratch(sampler);
  const SampleRows sampled = scratch.rows();
  for (std::size_t y = 0; y < static_cast<std::size_t>(view.placed.height); ++y, to += row_bytes) {
    sampler.sample(kernel, y, origins, scratch);
    colour_row(colour_, sampled, {{to, to + plane_bytes, to + 2 * plane_bytes}});
  }
}

}  // namespace edgeward
