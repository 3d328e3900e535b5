#include "sampler.hpp"

#include <algorithm>
#include <cmath>

namespace edgeward {

Sampler::Sampler(std::span<const Component> components, const SamplerKey& key, Sampling sampling) : key_(key) {
  const bool averaged = sampling == Sampling::area && (is_averaged(key.crop.width, key.placed.width) ||
                                                       is_averaged(key.crop.height, key.placed.height));
  for (const Component& component : components) {
    const int sub = component.subsampling;
    const int samples = (key.odd_x % sub + key.crop.width + sub - 1) / sub;
    const int row_bytes = samples * component.packing.stride;
    if (averaged) {
      add_averaged(component, row_bytes);
    } else if (component.plane == 2) {  // V of I420 lies as U does
      bilinear_.push_back(bilinear_.back());
      bilinear_.back().plane = component.plane;
    } else {
      bilinear_.push_back(bilinear(component, row_bytes));
    }
  }
}

Sampler::Bilinear Sampler::bilinear(const Component& component, int row_bytes) const {
  const int sub = component.subsampling;
  const auto across = axis_taps(key_.odd_x % sub, key_.crop.width, key_.placed.width, sub);
  std::vector<VerticalTap> down;
  down.reserve(static_cast<std::size_t>(key_.placed.height));
  for (const Tap& tap : axis_taps(key_.odd_y % sub, key_.crop.height, key_.placed.height, sub)) {
    const int weight = std::min(static_cast<int>(tap.fraction * 32768. + 0.5), 32767);
    down.push_back({tap.left, weight == 0 ? tap.left : tap.right, static_cast<std::int16_t>(weight)});
  }
  const bool first_of_plane = std::ranges::none_of(
      bilinear_, [&component](const Bilinear& other) { return other.plane == component.plane; });
  return {component.plane, first_of_plane,
          std::make_shared<const ResampleTable>(resample_table(across, component.packing, row_bytes)),
          std::make_shared<const std::vector<VerticalTap>>(std::move(down))};
}

void Sampler::add_averaged(const Component& component, int row_bytes) {
  const int sub = component.subsampling;
  // Components come plane by plane: those of one plane share its summed rows.
  if (averaged_.empty() || averaged_.back().plane != component.plane) {
    averaged_.push_back({component.plane, row_bytes, component.packing.floor,
                         area_taps(key_.odd_y % sub, key_.crop.height, key_.placed.height, sub), {}});
  }
  Averaged& averaged = averaged_.back();
  const AreaTaps across = area_taps(key_.odd_x % sub, key_.crop.width, key_.placed.width, sub);
  averaged.across.push_back(area_table(across, component.packing));
  if (component.packing.paired) {
    Packing second = component.packing;
    second.offset += 1;
    averaged.across.push_back(area_table(across, second));
  }
}

Sampler::Scratch::Scratch(const Sampler& sampler)
    : row_(padded_samples(sampler.key_.placed.width)), count_(sampler.key_.placed.width), samples_(3 * row_) {
  std::size_t length = 0;
  for (const Averaged& averaged : sampler.averaged_) {
    for (const AreaTable& table : averaged.across) {
      length = std::max(length, static_cast<std::size_t>(averaged.row_bytes + 8 * table.chunks));
    }
  }
  sums_.resize(length);
}

SampleRows Sampler::Scratch::rows() const {
  return {{samples_.data(), samples_.data() + row_, samples_.data() + 2 * row_}, count_};
}

RowPair Sampler::row_pair(const Bilinear& from, const Origin& origin, std::size_t y) {
  const auto row = [&origin](std::int32_t at) { return origin.data + static_cast<std::size_t>(at) * origin.stride; };
  const auto& down = *from.down;
  const VerticalTap tap = down[y];
  if (!from.prefetches || y + 1 == down.size()) {
    return {row(tap.upper), row(tap.lower), tap.weight, nullptr, nullptr};
  }
  const VerticalTap next = down[y + 1];
  return {row(tap.upper), row(tap.lower), tap.weight, row(next.upper), row(next.lower)};
}

std::size_t Sampler::rows_ahead(const AreaTaps& down, std::size_t y) {
  if (y + 1 == down.spans.size()) {
    return 0;
  }
  // What the last of the next rows is to the last of these: asked for from each, that is all of the next.
  const AreaTaps::Span& now = down.spans[y];
  const AreaTaps::Span& next = down.spans[y + 1];
  return static_cast<std::size_t>(next.first + next.count - now.first - now.count);
}

void Sampler::sample(const Kernels& kernel, std::size_t y, std::span<const Origin> origins, Scratch& scratch) const {
  std::int16_t* to = scratch.samples_.data();
  const std::size_t row = scratch.row_;
  for (const Bilinear& component : bilinear_) {
    const ResampleTable& across = *component.across;
    const auto& down = *component.down;
    // Enlarged pictures ask for the same rows again, and chroma for its own ones twice as often.
    if (y == 0 || down[y] != down[y - 1]) {
      const RowPair rows = row_pair(component, origins[component.plane], y);
      across.paired ? kernel.sample_pair(across, rows, to, to + row) : kernel.sample_row(across, rows, to);
    }
    to += across.paired ? 2 * row : row;
  }
  for (const Averaged& averaged : averaged_) {
    const AreaTaps::Span span = averaged.down.spans[y];
    const Origin& origin = origins[averaged.plane];
    kernel.sum_rows({origin.data + static_cast<std::size_t>(span.first) * origin.stride, origin.stride,
                     averaged.down.weights.data() + span.weights, span.count, averaged.row_bytes, averaged.floor,
                     rows_ahead(averaged.down, y) * origin.stride},
                    scratch.sums_.data());
    for (const AreaTable& table : averaged.across) {
      kernel.sum_across(table, scratch.sums_.data(), to);
      to += row;
    }
  }
}

std::shared_ptr<const Sampler> SamplerCache::get(std::span<const Component> components, const SamplerKey& key,
                                                 Sampling sampling) {
  const auto is_asked = [&key](const std::shared_ptr<const Sampler>& sampler) {
    const SamplerKey& other = sampler->key();
    return key.crop.width == other.crop.width && key.crop.height == other.crop.height && key.odd_x == other.odd_x &&
           key.odd_y == other.odd_y;
  };
  {
    const std::scoped_lock lock(mutex_);
    const auto found = std::ranges::find_if(samplers_, is_asked);
    if (found != samplers_.end()) {
      std::rotate(found, found + 1, samplers_.end());
      return samplers_.back();
    }
  }
  // Made without the lock: another thread that needs the same makes its own, which is cheaper than to wait.
  auto made = std::make_shared<const Sampler>(components, key, sampling);
  const std::scoped_lock lock(mutex_);
  if (samplers_.size() == most) {
    samplers_.erase(samplers_.begin());
  }
  samplers_.push_back(made);
  return made;
}

}  // namespace edgeward
