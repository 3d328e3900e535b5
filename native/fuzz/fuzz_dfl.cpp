// Shapes, limits and values of heads with distances as distributions, in every layout, against its decoder.
#include "edgeward/dfl.hpp"
#include "fuzzed_outputs.hpp"

using namespace edgeward;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  fuzz::Outputs outputs(bytes);
  const DetectSpec spec = fuzz::limits(bytes);
  DflSpec own;
  own.input = fuzz::grids(bytes, 40, 24, {8, 16});
  own.classes = 1 + bytes.upto(20);
  own.reg_max = static_cast<int>(1 + bytes.upto(16));
  own.cell_offset = bytes.number();
  own.sigmoid = bytes.flag();
  const std::size_t distances = 4 * static_cast<std::size_t>(own.reg_max + 1);
  switch (bytes.upto(2)) {
    case 0:
      own.layout = DflLayout::rows;
      outputs.add({15 + 6, own.classes + distances});
      break;
    case 1:
      own.layout = DflLayout::split_rows;
      outputs.add({15, own.classes});
      outputs.add({6, own.classes});
      outputs.add({15, distances});
      outputs.add({6, distances});
      break;
    default:
      own.layout = DflLayout::maps;
      outputs.add({distances, 3, 5});
      outputs.add({own.classes, 3, 5});
      outputs.add({distances, 2, 3});
      outputs.add({own.classes, 2, 3});
  }
  own.reg_max = bytes.integer(own.reg_max);
  fuzz::judge(spec, [&] { return decode_dfl(outputs.all(), own, spec); });
  return 0;
}
