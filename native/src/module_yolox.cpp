#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "edgeward/yolox.hpp"
#include "module.hpp"
#include "module_buffer.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgeward {
namespace {

using Detections = nb::ndarray<nb::numpy, float, nb::shape<-1, 6>, nb::c_contig>;

Detections to_numpy(const std::vector<Detection>& detections) {
  auto* values = new float[detections.size() * 6];
  nb::capsule owner(values, [](void* p) noexcept { delete[] static_cast<float*>(p); });
  float* to = values;
  for (const Detection& d : detections) {
    for (const float value : {d.x1, d.y1, d.x2, d.y2, d.score, static_cast<float>(d.label)}) {
      *to++ = value;
    }
  }
  return Detections(values, {detections.size(), 6}, owner);
}

std::pair<Detections, std::size_t> decode(nb::handle output, int input_width, int input_height,
                                          const std::vector<int>& strides, float score_threshold,
                                          float iou_threshold, bool class_agnostic, int max_candidates,
                                          int max_detections, double scale_x, double scale_y, double pad_x,
                                          double pad_y, double crop_x, double crop_y, double frame_width,
                                          double frame_height) {
  const Buffer tensor = Buffer::array(output, "output", false);
  const auto shape = tensor.shape();
  const bool batched = shape.size() == 3 && shape[0] == 1;
  if (tensor.dtype() != "float32" || !(batched || shape.size() == 2)) {
    throw std::invalid_argument("output is " + describe(tensor.dtype(), shape) +
                                ", expected float32 (rows, 5 + classes) or the same with a leading 1");
  }
  const YoloxSpec spec{input_width,
                       input_height,
                       strides,
                       score_threshold,
                       {iou_threshold, class_agnostic, max_candidates, max_detections},
                       scale_x,
                       scale_y,
                       pad_x,
                       pad_y,
                       crop_x,
                       crop_y,
                       frame_width,
                       frame_height};
  YoloxResult result;
  {
    const nb::gil_scoped_release released;
    result = decode_yolox({static_cast<const float*>(tensor.data()), tensor.size_bytes() / sizeof(float)},
                          shape[shape.size() - 2], shape[shape.size() - 1], spec);
  }
  return {to_numpy(result.detections), result.skipped};
}

// The same function for those who do not ask for the count.
template <class... Arguments>
auto without_count(std::pair<Detections, std::size_t> (*)(Arguments...)) {
  return [](Arguments... arguments) { return decode(std::forward<Arguments>(arguments)...).first; };
}

}  // namespace

void bind_yolox(nb::module_& module) {
  const auto bind = [&module](const char* name, auto function, const char* doc) {
    module.def(name, function, "output"_a, nb::kw_only(), "input_width"_a, "input_height"_a,
               "strides"_a = std::vector<int>{8, 16, 32}, "score_threshold"_a, "iou_threshold"_a = 0.45F,
               "class_agnostic"_a = false, "max_candidates"_a = 1000, "max_detections"_a = 300, "scale_x"_a = 1.,
               "scale_y"_a = 1., "pad_x"_a = 0., "pad_y"_a = 0., "crop_x"_a = 0., "crop_y"_a = 0., "frame_width"_a,
               "frame_height"_a, doc);
  };
  bind("decode_yolox", without_count(&decode), "Detections of a YOLOX head.");
  bind("decode_yolox_counted", &decode, "The same, and how many rows were left out since they were not finite.");
}

}  // namespace edgeward
