#include "edgeward/geometry.hpp"

#include <algorithm>
#include <cmath>

namespace edgeward {
namespace {

// nearbyint rounds halves to even as Python's round() does, so that reference code agrees.
int rounded(double length, int most) { return std::clamp(static_cast<int>(std::nearbyint(length)), 1, most); }

}  // namespace

View view_of(Rect source, Size tensor, Fit fit) {
  const Rect whole{0, 0, tensor.width, tensor.height};
  const double across = static_cast<double>(tensor.width) / source.width;
  const double down = static_cast<double>(tensor.height) / source.height;
  if (fit == Fit::stretch) {
    return {source, whole};
  }
  if (fit == Fit::crop) {
    const double ratio = std::max(across, down);
    const int width = rounded(tensor.width / ratio, source.width);
    const int height = rounded(tensor.height / ratio, source.height);
    return {{source.x + (source.width - width) / 2, source.y + (source.height - height) / 2, width, height}, whole};
  }
  const double ratio = std::min(across, down);
  const int width = rounded(source.width * ratio, tensor.width);
  const int height = rounded(source.height * ratio, tensor.height);
  if (fit == Fit::letterbox_topleft) {
    return {source, {0, 0, width, height}};
  }
  return {source, {(tensor.width - width) / 2, (tensor.height - height) / 2, width, height}};
}

Mapping mapping_of(const View& view) {
  return {static_cast<double>(view.placed.width) / view.source.width,
          static_cast<double>(view.placed.height) / view.source.height,
          static_cast<double>(view.placed.x),
          static_cast<double>(view.placed.y),
          static_cast<double>(view.source.x),
          static_cast<double>(view.source.y)};
}

}  // namespace edgeward
