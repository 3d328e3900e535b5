"""The slow reference path: what a model answers when nothing is clever, on the author's desk.

float32 models, NumPy, OpenCV and the engine's plain Python API, and no native code of edgeward's: planes to
an 8-bit BGR picture, resized, normalised, run, decoded as the papers tell, in float64. It shares declarations
and records with the path that devices take, and no computation. ``edgeward bundle pack`` makes golden results
with it, and the tests compare the fast path with it. A decoder of another package (``plugin``) is the one
exception: nobody but that package knows what its outputs mean, so that it is its own reference.
"""
