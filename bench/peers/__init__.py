"""The same job as others do it, written as well as their documents teach; each runs as a process."""
