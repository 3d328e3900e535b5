"""A conveyor belt rendered by a program, and a detector trained on it."""
