"""Fuzzers of what reads bundles: ``script/fuzz``, or ``python -m tests.fuzz NAME``.

Each target has a property that is stronger than "it does not crash": what is accepted is, byte for byte, what
was signed, or means the very same.
"""
