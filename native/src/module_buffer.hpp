// A Python object's memory, held through the buffer protocol.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace edgeward {

class Buffer {
 public:
  // Bytes to read, whatever their type. `name` is what error texts call the object.
  static Buffer bytes(nanobind::handle object, const std::string& name);
  // A C-contiguous array with its format and shape.
  static Buffer array(nanobind::handle object, const std::string& name, bool writable);

  Buffer(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer& operator=(Buffer&&) = delete;
  ~Buffer();  // needs the GIL

  void* data() const { return view_.buf; }
  std::size_t size_bytes() const { return static_cast<std::size_t>(view_.len); }
  std::vector<std::size_t> shape() const;
  // NumPy's name of the element type where it is one of ours, else the raw format.
  std::string dtype() const;

 private:
  Buffer(nanobind::handle object, const std::string& name, int flags, const char* wanted);
  Py_buffer view_{};
};

// "float32 (1, 3, 416, 416)"
std::string describe(const std::string& dtype, std::span<const std::size_t> shape);

}  // namespace edgeward
