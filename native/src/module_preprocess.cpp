#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "edgeward/preprocess.hpp"
#include "module.hpp"
#include "module_buffer.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgeward {
namespace {

using Triple = std::tuple<float, float, float>;
using Box = std::tuple<int, int, int, int>;

std::array<float, 3> to_array(const Triple& t) { return {std::get<0>(t), std::get<1>(t), std::get<2>(t)}; }

Rect to_rect(const Box& b) { return {std::get<0>(b), std::get<1>(b), std::get<2>(b), std::get<3>(b)}; }

template <class Value>
Value choose(const char* name, const std::string& given,
             std::initializer_list<std::pair<const char*, Value>> choices) {
  std::string known;
  for (const auto& [text, value] : choices) {
    if (given == text) {
      return value;
    }
    known += std::string(known.empty() ? "" : ", ") + text;
  }
  throw std::invalid_argument(std::string(name) + " must be one of " + known + ", not \"" + given + "\"");
}

const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::float32: return "float32";
    case DType::float16: return "float16";
    case DType::uint8: return "uint8";
    case DType::int8: return "int8";
  }
  return "";
}

void construct(Preprocess* self, const std::string& format, int width, int height, const std::string& matrix,
               bool full_range, const std::optional<Box>& crop, int out_width, int out_height,
               const std::string& fit, const std::string& sampling, const std::variant<float, Triple>& pad,
               const std::string& order, const Triple& mean, const Triple& std_, float scale,
               const std::string& dtype, const std::string& layout, float quant_scale, int quant_zero_point) {
  PreprocessSpec spec;
  spec.source.format = choose<PixelFormat>(
      "format", format, {{"i420", PixelFormat::i420}, {"nv12", PixelFormat::nv12}, {"bgr24", PixelFormat::bgr24}});
  spec.source.matrix = choose<Matrix>("matrix", matrix, {{"bt601", Matrix::bt601}, {"bt709", Matrix::bt709}});
  spec.source.full_range = full_range;
  spec.picture = {width, height};
  if (crop) {
    spec.crop = to_rect(*crop);
  }
  spec.tensor = {out_width, out_height};
  spec.fit = choose<Fit>("fit", fit,
                         {{"letterbox", Fit::letterbox},
                          {"letterbox_topleft", Fit::letterbox_topleft},
                          {"stretch", Fit::stretch},
                          {"crop", Fit::crop}});
  spec.sampling =
      choose<Sampling>("sampling", sampling, {{"bilinear", Sampling::bilinear}, {"area", Sampling::area}});
  if (const float* grey = std::get_if<float>(&pad)) {
    spec.pad = {*grey, *grey, *grey};
  } else {
    spec.pad = to_array(std::get<Triple>(pad));
  }
  spec.order = choose<ChannelOrder>(
      "order", order, {{"rgb", ChannelOrder::rgb}, {"bgr", ChannelOrder::bgr}, {"gray", ChannelOrder::gray}});
  spec.normalisation = {to_array(mean), to_array(std_), scale, quant_scale, quant_zero_point};
  spec.dtype = choose<DType>("dtype", dtype,
                             {{"float32", DType::float32},
                              {"float16", DType::float16},
                              {"uint8", DType::uint8},
                              {"int8", DType::int8}});
  spec.layout = choose<Layout>("layout", layout, {{"nchw", Layout::nchw}, {"nhwc", Layout::nhwc}});
  new (self) Preprocess(spec);
}

std::vector<std::size_t> tensor_shape(const Preprocess& plan) {
  const auto width = static_cast<std::size_t>(plan.spec().tensor.width);
  const auto height = static_cast<std::size_t>(plan.spec().tensor.height);
  if (plan.spec().layout == Layout::nchw) {
    return {1, plan.channels(), height, width};
  }
  return {1, height, width, plan.channels()};
}

void check_out(const Preprocess& plan, const Buffer& out) {
  const auto expected = tensor_shape(plan);
  const std::vector<std::size_t> without_batch(expected.begin() + 1, expected.end());
  const auto given = out.shape();
  const char* dtype = dtype_name(plan.spec().dtype);
  if (out.dtype() != dtype || (given != expected && given != without_batch)) {
    throw std::invalid_argument("out is " + describe(out.dtype(), given) + ", expected " +
                                describe(dtype, expected) + " or the same without the leading 1");
  }
}

void check_batch(const Preprocess& plan, const Buffer& out, std::size_t crops) {
  auto expected = tensor_shape(plan);
  const auto given = out.shape();
  const char* dtype = dtype_name(plan.spec().dtype);
  expected[0] = given.empty() ? crops : std::max(crops, given[0]);  // more room than asked for is fine
  if (out.dtype() != dtype || given != expected) {
    expected[0] = crops;
    throw std::invalid_argument("out is " + describe(out.dtype(), given) + ", expected " +
                                describe(dtype, expected) + " for " + std::to_string(crops) + " crops, or more");
  }
}

// The planes of a picture, held while a kernel reads them.
struct HeldPlanes {
  std::vector<Buffer> held;
  std::vector<Plane> views;

  HeldPlanes(const nb::sequence& planes, const nb::sequence& strides) {
    const std::size_t count = nb::len(planes);
    if (nb::len(strides) != count) {
      throw std::invalid_argument(std::to_string(count) + " planes, but " + std::to_string(nb::len(strides)) +
                                  " strides");
    }
    held.reserve(count);
    for (std::size_t p = 0; p < count; ++p) {
      const std::string name = "plane " + std::to_string(p);
      held.push_back(Buffer::bytes(planes[p], name));
      const Py_ssize_t stride = PyNumber_AsSsize_t(nb::object(strides[p]).ptr(), PyExc_ValueError);
      if (stride == -1 && PyErr_Occurred() != nullptr) {
        nb::raise_python_error();
      }
      if (stride < 1) {
        throw std::invalid_argument(name + ": stride must be above 0, not " + std::to_string(stride));
      }
      views.push_back({static_cast<const std::uint8_t*>(held.back().data()), held.back().size_bytes(),
                       static_cast<std::size_t>(stride)});
    }
  }
};

std::span<std::byte> bytes_of(const Buffer& tensor) {
  return {static_cast<std::byte*>(tensor.data()), tensor.size_bytes()};
}

void run(const Preprocess& plan, const nb::sequence& planes, const nb::sequence& strides, nb::handle out) {
  const HeldPlanes picture(planes, strides);
  const Buffer tensor = Buffer::array(out, "out", true);
  check_out(plan, tensor);
  const nb::gil_scoped_release released;
  plan.run(picture.views, bytes_of(tensor));
}

using MappingTuple = std::tuple<double, double, double, double, double, double>;

std::vector<MappingTuple> run_crops(const Preprocess& plan, const nb::sequence& planes, const nb::sequence& strides,
                                    const std::vector<Box>& crops, nb::handle out) {
  const HeldPlanes picture(planes, strides);
  const Buffer tensor = Buffer::array(out, "out", true);
  check_batch(plan, tensor, crops.size());
  std::vector<MappingTuple> mappings;
  {
    const nb::gil_scoped_release released;
    std::vector<Rect> rects;
    for (const Box& crop : crops) {
      rects.push_back(to_rect(crop));
    }
    for (const Mapping& m : plan.run_crops(picture.views, rects, bytes_of(tensor))) {
      mappings.emplace_back(m.scale_x, m.scale_y, m.pad_x, m.pad_y, m.crop_x, m.crop_y);
    }
  }
  return mappings;
}

}  // namespace

void bind_preprocess(nb::module_& module) {
  // Arguments and errors are documented in native/_core.pyi, where editors look.
  nb::class_<Preprocess>(module, "Preprocess", "A plan from one source geometry to one tensor.")
      .def("__init__", &construct, nb::kw_only(), "format"_a, "width"_a, "height"_a, "matrix"_a = "bt601",
           "full_range"_a = false, "crop"_a = nb::none(), "out_width"_a, "out_height"_a, "fit"_a = "letterbox",
           "sampling"_a = "bilinear", "pad"_a = 114.F, "order"_a = "rgb", "mean"_a = Triple{0.F, 0.F, 0.F},
           "std"_a = Triple{1.F, 1.F, 1.F}, "scale"_a = 1.F, "dtype"_a = "float32", "layout"_a = "nchw",
           "quant_scale"_a = 1.F, "quant_zero_point"_a = 0)
      .def("run", &run, "planes"_a, "strides"_a, "out"_a, "Write the whole tensor from one picture.")
      .def("run_crops", &run_crops, "planes"_a, "strides"_a, "crops"_a, "out"_a,
           "Write a tensor for each crop of one picture.")
      .def_prop_ro("shape", [](const Preprocess& p) {
        const auto s = tensor_shape(p);
        return std::make_tuple(s[0], s[1], s[2], s[3]);
      })
      .def_prop_ro("dtype", [](const Preprocess& p) { return std::string(dtype_name(p.spec().dtype)); })
      .def_prop_ro("scale_x", [](const Preprocess& p) { return p.mapping().scale_x; })
      .def_prop_ro("scale_y", [](const Preprocess& p) { return p.mapping().scale_y; })
      .def_prop_ro("pad_x", [](const Preprocess& p) { return p.mapping().pad_x; })
      .def_prop_ro("pad_y", [](const Preprocess& p) { return p.mapping().pad_y; })
      .def_prop_ro("crop_x", [](const Preprocess& p) { return p.mapping().crop_x; })
      .def_prop_ro("crop_y", [](const Preprocess& p) { return p.mapping().crop_y; });
}

}  // namespace edgeward
