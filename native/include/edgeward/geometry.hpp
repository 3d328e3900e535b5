// Where the cropped source lands in the tensor.
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

enum class Fit { letterbox, letterbox_topleft, stretch };

// The part of the tensor that the picture fills; the rest is padding.
Rect place(Size source, Size tensor, Fit fit);

}  // namespace edgeward
