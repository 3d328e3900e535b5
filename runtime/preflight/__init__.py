"""Examines one variant of a bundle on this device, in a process of its own, before any camera sees it."""
