"""The profiles of boards that come with edgeward: one TOML file each, read by ``agent.device.library``."""
