"""Golden frames: what a model must answer, how that is made, and how another answer is compared with it."""
