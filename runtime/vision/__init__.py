"""From pictures to tensors and from tensors to detections, as the manifest declares it."""
