// Rows of any length through every colour step, type and layout, onto tensor rows of exactly their size.
#include <stdexcept>
#include <vector>

#include "input.hpp"
#include "kernels.hpp"

using namespace edgeward;
using namespace edgeward::fuzz;

namespace {

constexpr std::size_t element_bytes(Element element) {
  return element == Element::float32 ? 4 : element == Element::float16 ? 2 : 1;
}

std::vector<std::uint8_t> coloured(const ColourTransform& transform, const SampleRows& samples, bool interleaved,
                                   std::size_t channels) {
  const std::size_t row = static_cast<std::size_t>(samples.count) * element_bytes(transform.element);
  std::vector<Exact<std::uint8_t>> rows;
  for (std::size_t c = 0; c < (interleaved ? 1 : channels); ++c) {
    rows.emplace_back(interleaved ? channels * row : row);
  }
  TensorRow out{};
  for (std::size_t c = 0; c < rows.size(); ++c) {
    out.channel[c] = rows[c].data();
  }
  const auto& steps = interleaved ? kernels().interleaved : kernels().planar;
  steps[static_cast<std::size_t>(transform.step)][static_cast<std::size_t>(transform.element)](transform, samples, out);
  std::vector<std::uint8_t> all;
  for (const auto& exact : rows) {
    all.insert(all.end(), exact.span().begin(), exact.span().end());
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const ColourSource source{input.choose<PixelFormat>(3), input.choose<Matrix>(2), input.flip()};
  const auto order = input.choose<ChannelOrder>(3);
  Normalisation normalisation;
  normalisation.quant_zero_point = input.pick(-128, 255);
  normalisation.quant_scale = input.flip() ? 1.F : input.any_float();
  ColourTransform transform;
  try {
    transform = colour_transform(source, order, input.choose<DType>(4), normalisation);
  } catch (const std::invalid_argument&) {
    return 0;
  }
  const int count = input.pick(1, 200);
  const std::size_t padded = padded_samples(count);
  std::vector<Exact<std::int16_t>> components;
  for (std::uint32_t k = 0; k < 3; ++k) {
    components.push_back(noise<std::int16_t>(padded, k + static_cast<std::uint32_t>(count), 255 * sample_one + 1));
  }
  const SampleRows samples{{components[0].data(), components[1].data(), components[2].data()}, count};
  const bool interleaved = input.flip();
  must_agree([&] { return coloured(transform, samples, interleaved, channels_of(order)); },
             "kernel sets agree on colours");
  return 0;
}
