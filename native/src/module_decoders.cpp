// The decoders of detectors, for Python. What they do stands in _core.pyi.
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "edgeward/boxes.hpp"
#include "edgeward/dfl.hpp"
#include "edgeward/fastestdet.hpp"
#include "edgeward/halves.hpp"
#include "edgeward/top_k.hpp"
#include "edgeward/yolov5.hpp"
#include "edgeward/yolov8.hpp"
#include "edgeward/yolox.hpp"
#include "edgeward/yunet.hpp"
#include "module.hpp"
#include "module_detect.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgeward {
namespace {

using Strides = std::vector<int>;

std::size_t count(int number, const char* name) {
  if (number < 1) {
    throw std::invalid_argument(std::string(name) + " must be 1 or more");
  }
  return static_cast<std::size_t>(number);
}

nb::tuple yolox(const DetectSpec& spec, nb::handle output, int width, int height, const Strides& strides) {
  Outputs outputs;
  outputs.add(output, 2, "output", "rows, 5 + classes");
  return decode_released([&] { return decode_yolox(outputs[0], {width, height, strides}, spec); });
}

nb::tuple yolov5(const DetectSpec& spec, nb::handle output, float unit_x, float unit_y) {
  Outputs outputs;
  outputs.add(output, 2, "output", "rows, 5 + classes");
  return decode_released([&] { return decode_yolov5(outputs[0], unit_x, unit_y, spec); });
}

nb::tuple yolov5_heads(const DetectSpec& spec, nb::sequence heads, int width, int height, const Strides& strides,
                       std::vector<std::vector<float>> anchors, bool channels_first) {
  Outputs outputs;
  for (const nb::handle head : heads) {
    outputs.add(head, channels_first ? 3 : 4, "an output",
                channels_first ? "anchors * (5 + classes), H, W" : "anchors, H, W, 5 + classes");
  }
  const Yolov5HeadsSpec own{{width, height, strides}, std::move(anchors), channels_first};
  return decode_released([&] { return decode_yolov5_heads(outputs.all(), own, spec); });
}

nb::tuple yolov8(const DetectSpec& spec, nb::handle output, int classes, bool channels_first, float unit_x,
                 float unit_y) {
  Outputs outputs;
  outputs.add(output, 2, "output", channels_first ? "4 + classes + extra, rows" : "rows, 4 + classes + extra");
  const Yolov8Spec own{count(classes, "classes"), channels_first, unit_x, unit_y};
  return decode_released([&] { return decode_yolov8(outputs[0], own, spec); });
}

DflLayout dfl_layout(const std::string& name) {
  if (name == "rows") return DflLayout::rows;
  if (name == "split_rows") return DflLayout::split_rows;
  if (name == "maps") return DflLayout::maps;
  throw std::invalid_argument("layout must be one of rows, split_rows, maps, not \"" + name + "\"");
}

nb::tuple dfl(const DetectSpec& spec, nb::sequence parts, int width, int height, const Strides& strides, int classes,
              int reg_max, const std::string& layout, float cell_offset, bool sigmoid) {
  const DflSpec own{{width, height, strides}, count(classes, "classes"), reg_max, dfl_layout(layout),
                    cell_offset, sigmoid};
  Outputs outputs;
  for (const nb::handle part : parts) {
    const bool maps = own.layout == DflLayout::maps;
    outputs.add(part, maps ? 3 : 2, "an output", maps ? "values, h, w" : "rows, values");
  }
  return decode_released([&] { return decode_dfl(outputs.all(), own, spec); });
}

nb::tuple fastestdet(const DetectSpec& spec, nb::handle output, float unit_x, float unit_y) {
  Outputs outputs;
  outputs.add(output, 3, "output", "5 + classes, H, W");
  return decode_released([&] { return decode_fastestdet(outputs[0], unit_x, unit_y, spec); });
}

Activation activation_named(const std::string& name) {
  if (name == "none") return Activation::none;
  if (name == "sigmoid") return Activation::sigmoid;
  if (name == "softmax") return Activation::softmax;
  throw std::invalid_argument("activation must be one of none, sigmoid, softmax, not \"" + name + "\"");
}

nb::tuple ssd(const DetectSpec& spec, nb::handle boxes, nb::handle scores, nb::handle priors, bool background,
              const std::string& activation, const std::string& order,
              std::tuple<float, float, float, float> scales, float unit_x, float unit_y) {
  if (order != "yxhw" && order != "xywh") {
    throw std::invalid_argument("order must be one of yxhw, xywh, not \"" + order + "\"");
  }
  const auto [y, x, height, width] = scales;
  const SsdSpec own{background,     activation_named(activation), order == "xywh", {y, x, height, width}, unit_x,
                    unit_y};
  Outputs outputs;
  outputs.add(boxes, 2, "boxes", "N, 4");
  outputs.add(scores, 2, "scores", background ? "N, 1 + classes" : "N, classes");
  outputs.add(priors, 2, "priors", "N, 4");
  return decode_released([&] { return decode_ssd(outputs[0], outputs[1], outputs[2], own, spec); });
}

nb::tuple corners(const DetectSpec& spec, nb::handle boxes, nb::handle scores, bool background, float unit_x,
                  float unit_y) {
  Outputs outputs;
  outputs.add(boxes, 2, "boxes", "N, 4");
  outputs.add(scores, 2, "scores", background ? "N, 1 + classes" : "N, classes");
  return decode_released([&] { return decode_corners(outputs[0], outputs[1], background, unit_x, unit_y, spec); });
}

nb::tuple ready_rows(const DetectSpec& spec, nb::handle output, float unit_x, float unit_y) {
  Outputs outputs;
  outputs.add(output, 2, "output", "N, 6");
  return decode_released([&] { return decode_rows(outputs[0], unit_x, unit_y, spec); });
}

nb::tuple yunet(const DetectSpec& spec, nb::sequence parts, int width, int height, const Strides& strides) {
  Outputs outputs;
  for (const nb::handle part : parts) {
    outputs.add(part, 2, "an output", "cells, values");
  }
  return decode_released([&] { return decode_yunet(outputs.all(), {width, height, strides}, spec); });
}

nb::tuple best_scores(nb::handle scores, int k) {
  Outputs outputs;
  outputs.add(scores, 1, "scores", "classes");
  TopK found;
  {
    const nb::gil_scoped_release released;
    found = top_k(outputs[0].values, k);
  }
  const std::size_t many = found.best.size();
  auto* indices = new std::int32_t[many];
  nb::capsule indices_owner(indices, [](void* p) noexcept { delete[] static_cast<std::int32_t*>(p); });
  auto* values = new float[many];
  nb::capsule values_owner(values, [](void* p) noexcept { delete[] static_cast<float*>(p); });
  for (std::size_t i = 0; i < many; ++i) {
    indices[i] = found.best[i].index;
    values[i] = found.best[i].score;
  }
  using Scores = nb::ndarray<nb::numpy, float, nb::shape<-1>, nb::c_contig>;
  return nb::make_tuple(Rows(indices, {many}, indices_owner), Scores(values, {many}, values_owner), found.broken);
}

void widen(nb::handle source, nb::handle target) {
  const Buffer halves = Buffer::array(source, "source", false);
  const Buffer floats = Buffer::array(target, "target", true);
  const std::string from = halves.dtype();
  if ((from != "float16" && from != "uint16") || floats.dtype() != "float32" || halves.shape() != floats.shape()) {
    throw std::invalid_argument("source is " + describe(from, halves.shape()) + " and target " +
                                describe(floats.dtype(), floats.shape()) +
                                ", expected float16 or uint16, and float32 of the same shape");
  }
  const nb::gil_scoped_release released;
  widen_halves({static_cast<const std::byte*>(halves.data()), halves.size_bytes()},
               {static_cast<std::byte*>(floats.data()), floats.size_bytes()});
}

}  // namespace

void bind_decoders(nb::module_& module) {
  const Strides three{8, 16, 32};
  bind_decoder(module, "decode_yolox", &yolox, "Detections of a YOLOX head.", "output"_a, nb::kw_only(),
               "input_width"_a, "input_height"_a, "strides"_a = three);
  bind_decoder(module, "decode_yolov5", &yolov5, "Detections of a decoded YOLOv5 or YOLOv7 head.", "output"_a,
               nb::kw_only(), "unit_x"_a = 1.F, "unit_y"_a = 1.F);
  bind_decoder(module, "decode_yolov5_heads", &yolov5_heads, "Detections of raw YOLOv5 or YOLOv7 heads.", "outputs"_a,
               nb::kw_only(), "input_width"_a, "input_height"_a, "strides"_a = three, "anchors"_a,
               "channels_first"_a);
  bind_decoder(module, "decode_yolov8", &yolov8, "Detections of a YOLOv8 or YOLO11 head.", "output"_a, nb::kw_only(),
               "classes"_a, "channels_first"_a, "unit_x"_a = 1.F, "unit_y"_a = 1.F);
  bind_decoder(module, "decode_dfl", &dfl, "Detections of a head with distances as distributions.", "outputs"_a,
               nb::kw_only(), "input_width"_a, "input_height"_a, "strides"_a, "classes"_a, "reg_max"_a, "layout"_a,
               "cell_offset"_a = 0.F, "sigmoid"_a = false);
  bind_decoder(module, "decode_fastestdet", &fastestdet, "Detections of a FastestDet head.", "output"_a, nb::kw_only(),
               "unit_x"_a, "unit_y"_a);
  bind_decoder(module, "decode_ssd", &ssd, "Detections of an SSD head.", "boxes"_a, "scores"_a, "priors"_a,
               nb::kw_only(), "background"_a = true, "activation"_a = "sigmoid", "order"_a = "yxhw",
               "scales"_a = std::tuple(10.F, 10.F, 5.F, 5.F), "unit_x"_a, "unit_y"_a);
  bind_decoder(module, "decode_corners", &corners, "Detections of boxes as corners with class scores.", "boxes"_a,
               "scores"_a, nb::kw_only(), "background"_a = false, "unit_x"_a = 1.F, "unit_y"_a = 1.F);
  bind_decoder(module, "decode_rows", &ready_rows, "Detections of rows of corners, score, class.", "output"_a,
               nb::kw_only(), "unit_x"_a = 1.F, "unit_y"_a = 1.F);
  bind_decoder(module, "decode_yunet", &yunet, "Faces of a YuNet head.", "outputs"_a, nb::kw_only(), "input_width"_a,
               "input_height"_a, "strides"_a = three);
  module.def("widen_halves", &widen, "source"_a, "target"_a, "Write float16 as float32.");
  module.def("top_k", &best_scores, "scores"_a, "k"_a, "Indices and scores of the best.");
}

}  // namespace edgeward
