// Shapes, limits and values of YOLOv8 heads of both layouts, against its decoder.
#include "edgeward/yolov8.hpp"
#include "fuzzed_outputs.hpp"

using namespace edgeward;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  fuzz::Outputs outputs(bytes);
  const DetectSpec spec = fuzz::limits(bytes);
  const std::size_t values = 5 + bytes.upto(30);
  const std::size_t rows = bytes.upto(1200);
  const bool first = bytes.flag();
  outputs.add(first ? std::vector{values, rows} : std::vector{rows, values});
  const Yolov8Spec own{bytes.upto(values), first, bytes.size(100.F), bytes.size(100.F)};
  fuzz::judge(spec, [&] { return decode_yolov8(outputs[0], own, spec); });
  return 0;
}
