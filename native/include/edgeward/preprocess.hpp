// Crop, scale, colour, normalise and lay out: one pass from a decoded picture to a tensor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "edgeward/colour.hpp"
#include "edgeward/geometry.hpp"

namespace edgeward {

class Sampler;
class SamplerCache;
struct Component;

enum class Layout { nchw, nhwc };

enum class Sampling {
  bilinear,  // the two nearest source pixels along each axis
  area,      // all that lie under an output pixel, where the picture is made smaller
};

struct PreprocessSpec {
  ColourSource source{};
  Size picture{};
  std::optional<Rect> crop;
  Size tensor{};
  Fit fit = Fit::letterbox;
  Sampling sampling = Sampling::bilinear;
  std::array<float, 3> pad{114.F, 114.F, 114.F};
  ChannelOrder order = ChannelOrder::rgb;
  Normalisation normalisation{};
  DType dtype = DType::float32;
  Layout layout = Layout::nchw;
};

struct Plane {
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;    // bytes that may be read
  std::size_t stride = 0;  // bytes from one row to the next
};

// What a picture format asks of one of its planes.
struct PlaneShape {
  int row_bytes = 0;
  int rows = 0;
};

// A plan for one source geometry and one tensor. Immutable once made, but for tables that it keeps for the next
// crops: run() and run_crops() may be called from several threads at a time.
class Preprocess {
 public:
  // Throws std::invalid_argument that says which value is wrong and what would be right.
  explicit Preprocess(const PreprocessSpec& spec);
  ~Preprocess();
  Preprocess(const Preprocess&) = delete;
  Preprocess& operator=(const Preprocess&) = delete;

  // Writes the whole tensor, padding included. `out` must hold exactly tensor_bytes(). Throws
  // std::invalid_argument where planes are too few, too many or too short; nothing is written then.
  void run(std::span<const Plane> planes, std::span<std::byte> out) const;

  // Writes a tensor for each crop of the picture, one after the other; the plan's own crop is not used. Crops
  // are clipped to the picture. `out` must hold as many tensors at least. Throws as run() does, and where
  // nothing of a crop lies inside the picture; nothing is written then.
  std::vector<Mapping> run_crops(std::span<const Plane> planes, std::span<const Rect> crops,
                                 std::span<std::byte> out) const;

  const PreprocessSpec& spec() const { return spec_; }
  const Rect& crop() const { return view_.source; }
  const Rect& placed() const { return view_.placed; }
  Mapping mapping() const { return mapping_of(view_); }
  std::span<const PlaneShape> planes() const { return {planes_.data(), plane_count_}; }
  std::size_t channels() const { return channels_of(spec_.order); }
  std::size_t elements() const;
  std::size_t tensor_bytes() const { return elements() * static_cast<std::size_t>(bytes_per_element(spec_.dtype)); }

 private:
  void plan_components();
  void plan_padding();
  void check(std::span<const Plane> planes) const;
  // Bytes of a pixel of one plane of the tensor, and how many planes there are.
  std::size_t pixel_bytes() const;
  std::size_t plane_count() const { return spec_.layout == Layout::nchw ? channels() : 1; }
  void write_padding(const Rect& placed, std::byte* out) const;
  void write_picture(const View& view, const Sampler& sampler, std::span<const Plane> planes, std::byte* out) const;
  std::shared_ptr<const Sampler> sampler_for(const View& view) const;

  PreprocessSpec spec_;
  View view_;
  std::array<PlaneShape, 3> planes_{};
  std::size_t plane_count_ = 0;
  std::vector<Component> components_;
  ColourTransform colour_;
  std::shared_ptr<const Sampler> sampler_;
  std::unique_ptr<SamplerCache> crops_;
  std::array<std::vector<std::byte>, 3> pad_rows_;  // one full tensor row of padding, a plane of the tensor
};

}  // namespace edgeward
