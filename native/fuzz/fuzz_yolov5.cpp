// Shapes, limits and values of YOLOv5 heads, decoded or raw, against its decoder.
#include "edgeward/yolov5.hpp"
#include "fuzzed_outputs.hpp"

using namespace edgeward;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  fuzz::Outputs outputs(bytes);
  const DetectSpec spec = fuzz::limits(bytes);
  outputs.add({bytes.upto(100), 6 + bytes.upto(20)});
  const float unit_x = bytes.size(2.F);
  const float unit_y = bytes.size(2.F);
  fuzz::judge(spec, [&] { return decode_yolov5(outputs[0], unit_x, unit_y, spec); });

  fuzz::Outputs heads(bytes);
  Yolov5HeadsSpec own{fuzz::grids(bytes, 64, 32, {8, 16}), {}, bytes.flag()};
  const std::size_t values = 6 + bytes.upto(10);
  std::vector<std::size_t> cells{4, 8};
  for (std::size_t level = 0; level < 2; ++level) {
    const std::size_t anchors = bytes.upto(3);
    if (own.channels_first) {
      heads.add({anchors * values, cells[0] >> level, cells[1] >> level});
    } else {
      heads.add({anchors, cells[0] >> level, cells[1] >> level, values});
    }
    std::vector<float>& sizes = own.anchors.emplace_back();
    for (std::size_t i = 0; i < anchors * 2 + (bytes.upto(31) == 0 ? 1 : 0); ++i) {
      sizes.push_back(bytes.size(30.F));
    }
  }
  fuzz::judge(spec, [&] { return decode_yolov5_heads(heads.all(), own, spec); });
  return 0;
}
