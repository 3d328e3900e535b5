// Shapes, limits and values of a FastestDet head, against its decoder.
#include "edgeward/fastestdet.hpp"
#include "fuzzed_outputs.hpp"

using namespace edgeward;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  fuzz::Outputs outputs(bytes);
  const DetectSpec spec = fuzz::limits(bytes);
  outputs.add({6 + bytes.upto(20), bytes.upto(20), bytes.upto(20)});
  const float unit_x = bytes.size(100.F);
  const float unit_y = bytes.size(100.F);
  fuzz::judge(spec, [&] { return decode_fastestdet(outputs[0], unit_x, unit_y, spec); });
  return 0;
}
