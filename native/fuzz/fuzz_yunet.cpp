// Shapes, limits and values of a YuNet head, against its decoder.
#include "edgeward/yunet.hpp"
#include "fuzzed_outputs.hpp"

using namespace edgeward;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  fuzz::Outputs outputs(bytes);
  const DetectSpec spec = fuzz::limits(bytes);
  const InputGrids input = fuzz::grids(bytes, 40, 24, {8, 16});
  for (const std::size_t values : {1U, 1U, 4U, 10U}) {
    outputs.add({15, values});
    outputs.add({6, values});
  }
  fuzz::judge(spec, [&] { return decode_yunet(outputs.all(), input, spec); });
  return 0;
}
