#include "edgeward/geometry.hpp"

#include <algorithm>
#include <cmath>

namespace edgeward {

Rect place(Size source, Size tensor, Fit fit) {
  if (fit == Fit::stretch) {
    return {0, 0, tensor.width, tensor.height};
  }
  const double ratio = std::min(static_cast<double>(tensor.width) / source.width,
                                static_cast<double>(tensor.height) / source.height);
  // nearbyint rounds halves to even as Python's round() does, so that reference code agrees.
  const int width = std::clamp(static_cast<int>(std::nearbyint(source.width * ratio)), 1, tensor.width);
  const int height = std::clamp(static_cast<int>(std::nearbyint(source.height * ratio)), 1, tensor.height);
  if (fit == Fit::letterbox_topleft) {
    return {0, 0, width, height};
  }
  return {(tensor.width - width) / 2, (tensor.height - height) / 2, width, height};
}

}  // namespace edgeward
