// Crop, scale, colour, normalise and lay out: one pass from a decoded picture to a tensor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "edgeward/colour.hpp"
#include "edgeward/geometry.hpp"
#include "edgeward/resample.hpp"

namespace edgeward {

struct RowPair;

enum class Layout { nchw, nhwc };

struct PreprocessSpec {
  ColourSource source{};
  Size picture{};
  std::optional<Rect> crop;
  Size tensor{};
  Fit fit = Fit::letterbox;
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

// A plan for one source geometry and one tensor. Immutable once made: run() may be called from several
// threads at a time.
class Preprocess {
 public:
  // Throws std::invalid_argument that says which value is wrong and what would be right.
  explicit Preprocess(const PreprocessSpec& spec);

  // Writes the whole tensor, padding included. `out` must hold exactly tensor_bytes(). Throws
  // std::invalid_argument where planes are too few, too many or too short; nothing is written then.
  void run(std::span<const Plane> planes, std::span<std::byte> out) const;

  const PreprocessSpec& spec() const { return spec_; }
  const Rect& crop() const { return crop_; }
  const Rect& placed() const { return placed_; }
  std::span<const PlaneShape> planes() const { return {planes_.data(), plane_count_}; }
  std::size_t elements() const;
  std::size_t tensor_bytes() const { return elements() * static_cast<std::size_t>(bytes_per_element(spec_.dtype)); }
  double scale_x() const { return static_cast<double>(placed_.width) / crop_.width; }
  double scale_y() const { return static_cast<double>(placed_.height) / crop_.height; }

 private:
  struct VerticalTap {
    std::int32_t upper;
    std::int32_t lower;
    std::int16_t weight;  // Q15, of the lower row
  };
  // One row of samples, or two where its table is paired.
  struct Component {
    std::size_t plane;
    ResampleTable horizontal;
    std::vector<VerticalTap> vertical;
  };

  void add_component(std::size_t plane, Packing packing, int subsampling);
  void plan_components();
  void plan_padding();
  void check(std::span<const Plane> planes, std::span<std::byte> out) const;
  void write_padding(std::byte* out) const;
  static RowPair row_pair(const Component& component, const Plane& plane, std::size_t y);
  void write_picture(std::span<const Plane> planes, std::byte* out) const;

  PreprocessSpec spec_;
  Rect crop_;
  Rect placed_;
  std::array<PlaneShape, 3> planes_{};
  std::size_t plane_count_ = 0;
  std::vector<Component> components_;
  ColourTransform colour_;
  std::array<std::vector<std::byte>, 3> pad_rows_;  // one full tensor row of padding, a plane of the tensor
};

}  // namespace edgeward
