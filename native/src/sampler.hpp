// Samples the components of one source geometry, row by row of the tensor's picture.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "edgeward/area.hpp"
#include "edgeward/preprocess.hpp"
#include "kernels.hpp"

namespace edgeward {

// Where a picture format keeps one component, or two.
struct Component {
  std::size_t plane = 0;
  int subsampling = 1;
  Packing packing{};
};

// All that the tables of a crop depend on: crops of one size at other places differ in where they begin only,
// and in how they lie on the grid of chroma.
struct SamplerKey {
  Size crop{};
  Size placed{};
  int odd_x = 0;
  int odd_y = 0;
};

// The first byte of a crop in a plane, and from there one row to the next.
struct Origin {
  const std::uint8_t* data = nullptr;
  std::size_t stride = 0;
};

class Sampler {
 public:
  Sampler(std::span<const Component> components, const SamplerKey& key, Sampling sampling);

  // What a run needs beside its planes; made once a run.
  class Scratch {
   public:
    explicit Scratch(const Sampler& sampler);
    SampleRows rows() const;

   private:
    friend class Sampler;
    std::size_t row_;  // samples
    int count_;
    std::vector<std::int16_t> samples_;
    std::vector<std::int16_t> sums_;
  };

  // Fills scratch.rows() for row y; rows are asked for in their order. `origins`: for each plane.
  void sample(const Kernels& kernel, std::size_t y, std::span<const Origin> origins, Scratch& scratch) const;

  const SamplerKey& key() const { return key_; }

 private:
  struct VerticalTap {
    std::int32_t upper;
    std::int32_t lower;
    std::int16_t weight;  // Q15, of the lower row
    bool operator==(const VerticalTap&) const = default;
  };
  struct Bilinear {
    std::size_t plane;
    bool prefetches;  // one of the components of a plane is enough
    std::shared_ptr<const ResampleTable> across;
    std::shared_ptr<const std::vector<VerticalTap>> down;
  };
  struct Averaged {
    std::size_t plane;
    int row_bytes;
    std::uint8_t floor;
    AreaTaps down;
    std::vector<AreaTable> across;  // of each component that lies in the plane
  };

  Bilinear bilinear(const Component& component, int row_bytes) const;
  void add_averaged(const Component& component, int row_bytes);
  static std::size_t rows_ahead(const AreaTaps& down, std::size_t y);
  static RowPair row_pair(const Bilinear& from, const Origin& origin, std::size_t y);

  SamplerKey key_;
  std::vector<Bilinear> bilinear_;
  std::vector<Averaged> averaged_;
};

// The samplers of crops that came lately. Tiles come again in each picture; crops of moving objects at least in
// the sizes of their neighbours.
class SamplerCache {
 public:
  std::shared_ptr<const Sampler> get(std::span<const Component> components, const SamplerKey& key,
                                     Sampling sampling);

 private:
  static constexpr std::size_t most = 32;
  std::mutex mutex_;
  std::vector<std::shared_ptr<const Sampler>> samplers_;  // the latest last
};

}  // namespace edgeward
