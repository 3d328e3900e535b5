"""Tools for the author's desk: a first ``bundle.toml`` from a model file, an int8 variant from a float32 one.

Never imported by the daemon or a worker: the ``edgeward`` command runs them in a process of their own
(``runtime.authoring.child``), which may load NumPy, engines and the quantiser, and may die of a bad model.
"""
