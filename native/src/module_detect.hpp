// What the Python functions of all decoders share: outputs in, boxes out, and the arguments of every one.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "edgeward/detect.hpp"
#include "module_buffer.hpp"

namespace edgeward {

// float32 arrays, held while they are read.
class Outputs {
 public:
  // Adds an array of `dimensions`, or of one more with a leading 1; `meaning` names the axes in errors.
  void add(nanobind::handle array, std::size_t dimensions, const std::string& name, const std::string& meaning);
  const Output& operator[](std::size_t i) const { return outputs_[i]; }
  std::span<const Output> all() const { return outputs_; }

 private:
  std::vector<Buffer> held_;
  std::vector<Output> outputs_;
};

using Boxes = nanobind::ndarray<nanobind::numpy, float, nanobind::shape<-1, 6>, nanobind::c_contig>;
using Rows = nanobind::ndarray<nanobind::numpy, std::int32_t, nanobind::shape<-1>, nanobind::c_contig>;

nanobind::tuple to_python(const Decoded& decoded);

// Runs a decoder without the GIL.
template <class Decode>
nanobind::tuple decode_released(Decode decode) {
  Decoded decoded;
  {
    const nanobind::gil_scoped_release released;
    decoded = decode();
  }
  return to_python(decoded);
}

// Binds `decode(DetectSpec, own...)`; `arguments` are the names of its own ones, then come those of every decoder.
template <class... Own, class... Arguments>
void bind_decoder(nanobind::module_& module, const char* name, nanobind::tuple (*decode)(const DetectSpec&, Own...),
                  const char* doc, const Arguments&... arguments) {
  using nanobind::arg;
  module.def(
      name,
      [decode](Own... own, float score_threshold, float iou_threshold, bool class_agnostic, int max_candidates,
               int max_detections, double scale_x, double scale_y, double pad_x, double pad_y, double crop_x,
               double crop_y, double frame_width, double frame_height, double frame_left, double frame_top) {
        const DetectSpec spec{score_threshold,
                              {iou_threshold, class_agnostic, max_candidates, max_detections},
                              {scale_x, scale_y, pad_x, pad_y, crop_x, crop_y, frame_width, frame_height,
                               frame_left, frame_top}};
        return decode(spec, std::forward<Own>(own)...);
      },
      arguments..., arg("score_threshold"), arg("iou_threshold") = 0.45F, arg("class_agnostic") = false,
      arg("max_candidates") = 1000, arg("max_detections") = 300, arg("scale_x") = 1., arg("scale_y") = 1.,
      arg("pad_x") = 0., arg("pad_y") = 0., arg("crop_x") = 0., arg("crop_y") = 0., arg("frame_width"),
      arg("frame_height"), arg("frame_left") = 0., arg("frame_top") = 0., doc);
}

}  // namespace edgeward
