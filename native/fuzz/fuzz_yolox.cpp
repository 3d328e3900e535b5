// Shapes, limits and values of a YOLOX head, against its decoder.
#include "edgeward/yolox.hpp"
#include "fuzzed_outputs.hpp"

using namespace edgeward;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  fuzz::Outputs outputs(bytes);
  const DetectSpec spec = fuzz::limits(bytes);
  const InputGrids input = fuzz::grids(bytes, 64, 32, {8, 16});
  outputs.add({32 + 8, 5 + 1 + bytes.upto(20)});
  fuzz::judge(spec, [&] { return decode_yolox(outputs[0], input, spec); });
  return 0;
}
