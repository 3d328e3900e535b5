// Shapes, limits and values of boxes with scores, priors or a class each, against its decoder.
#include "edgeward/boxes.hpp"
#include "fuzzed_outputs.hpp"

using namespace edgeward;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  fuzz::Outputs outputs(bytes);
  const DetectSpec spec = fuzz::limits(bytes);
  const std::size_t rows = bytes.upto(200);
  SsdSpec own;
  own.background = bytes.flag();
  own.activation = static_cast<Activation>(bytes.upto(2));
  own.xywh = bytes.flag();
  own.scales = {bytes.number(), bytes.number(), bytes.number(), bytes.number()};
  own.unit_x = bytes.size(100.F);
  own.unit_y = bytes.size(100.F);
  outputs.add({rows, 4});
  outputs.add({rows, 1 + bytes.upto(20)});
  outputs.add({rows, 4});
  outputs.add({rows, 6});
  fuzz::judge(spec, [&] { return decode_ssd(outputs[0], outputs[1], outputs[2], own, spec); });
  fuzz::judge(spec, [&] {
    return decode_corners(outputs[0], outputs[1], own.background, own.unit_x, own.unit_y, spec);
  });
  fuzz::judge(spec, [&] { return decode_rows(outputs[3], own.unit_x, own.unit_y, spec); });
  return 0;
}
