"""An installed service in a booted container with systemd and without a network."""
