"""Signed model bundles: manifest, container, signature, packing. Pure Python, shared with agent and fleet."""
