#include "module_detect.hpp"

#include <stdexcept>

namespace nb = nanobind;

namespace edgeward {

void Outputs::add(nb::handle array, std::size_t dimensions, const std::string& name, const std::string& meaning) {
  Buffer buffer = Buffer::array(array, name, false);
  std::vector<std::size_t> shape = buffer.shape();
  const bool batched = shape.size() == dimensions + 1 && shape[0] == 1;
  if (buffer.dtype() != "float32" || !(batched || shape.size() == dimensions)) {
    throw std::invalid_argument(name + " is " + describe(buffer.dtype(), shape) + ", expected float32 (" + meaning +
                                ") or the same with a leading 1");
  }
  if (batched) {
    shape.erase(shape.begin());
  }
  outputs_.push_back({{static_cast<const float*>(buffer.data()), buffer.size_bytes() / sizeof(float)}, shape});
  held_.push_back(std::move(buffer));
}

nb::tuple to_python(const Decoded& decoded) {
  const std::size_t count = decoded.detections.size();
  auto* boxes = new float[count * 6];
  nb::capsule boxes_owner(boxes, [](void* p) noexcept { delete[] static_cast<float*>(p); });
  auto* rows = new std::int32_t[count];
  nb::capsule rows_owner(rows, [](void* p) noexcept { delete[] static_cast<std::int32_t*>(p); });
  float* to = boxes;
  for (std::size_t i = 0; i < count; ++i) {
    const Detection& d = decoded.detections[i];
    for (const float value : {d.x1, d.y1, d.x2, d.y2, d.score, static_cast<float>(d.label)}) {
      *to++ = value;
    }
    rows[i] = d.row;
  }
  return nb::make_tuple(Boxes(boxes, {count, 6}, boxes_owner), Rows(rows, {count}, rows_owner), decoded.broken);
}

}  // namespace edgeward
