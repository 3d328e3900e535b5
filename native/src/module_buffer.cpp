#include "module_buffer.hpp"

namespace nb = nanobind;

namespace edgeward {

Buffer::Buffer(nb::handle object, const std::string& name, int flags, const char* wanted) {
  if (!PyObject_CheckBuffer(object.ptr())) {
    const std::string given = nb::str(nb::handle(object.type().attr("__name__"))).c_str();
    throw nb::type_error((name + " must support the buffer protocol, which " + given + " does not").c_str());
  }
  if (PyObject_GetBuffer(object.ptr(), &view_, flags) != 0) {
    PyErr_Clear();
    throw nb::value_error((name + " must be " + wanted).c_str());
  }
}

Buffer Buffer::bytes(nb::handle object, const std::string& name) {
  return {object, name, PyBUF_SIMPLE, "contiguous bytes"};
}

Buffer Buffer::array(nb::handle object, const std::string& name, bool writable) {
  const int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
  return {object, name, flags, writable ? "a writable C-contiguous array" : "a C-contiguous array"};
}

Buffer::Buffer(Buffer&& other) noexcept : view_(other.view_) { other.view_ = {}; }

Buffer::~Buffer() {
  if (view_.obj != nullptr) {
    PyBuffer_Release(&view_);
  }
}

std::vector<std::size_t> Buffer::shape() const {
  std::vector<std::size_t> shape;
  for (int i = 0; i < view_.ndim; ++i) {
    shape.push_back(static_cast<std::size_t>(view_.shape[i]));
  }
  return shape;
}

std::string Buffer::dtype() const {
  const std::string format = view_.format == nullptr ? "B" : view_.format;
  if (format == "f") return "float32";
  if (format == "e") return "float16";
  if (format == "B") return "uint8";
  if (format == "b") return "int8";
  if (format == "H") return "uint16";
  if (format == "d") return "float64";
  return "format '" + format + "'";
}

std::string describe(const std::string& dtype, std::span<const std::size_t> shape) {
  std::string text = dtype + " (";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + ")";
}

}  // namespace edgeward
