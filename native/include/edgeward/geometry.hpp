// Which part of the source is used, and where it lands in the tensor.
#pragma once

namespace edgeward {

struct Size {
  int width = 0;
  int height = 0;
};

struct Rect {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
};

enum class Fit { letterbox, letterbox_topleft, stretch, crop };

// A part of the source, and the part of the tensor that it fills; the rest of the tensor is padding.
struct View {
  Rect source;
  Rect placed;
};

// `source` may come back smaller: Fit::crop takes the largest centred part that has the tensor's aspect.
View view_of(Rect source, Size tensor, Fit fit);

// x_tensor = (x_source - crop_x) * scale_x + pad_x, in pixel-edge coordinates (0 is the left edge).
struct Mapping {
  double scale_x = 1.;
  double scale_y = 1.;
  double pad_x = 0.;
  double pad_y = 0.;
  double crop_x = 0.;
  double crop_y = 0.;
};

Mapping mapping_of(const View& view);

}  // namespace edgeward
