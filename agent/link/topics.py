"""Topic names. Root ``ew/1/<device>/``; ``docs/ref/mqtt.md`` is the reference."""

from __future__ import annotations

ROOT = "ew/1"


class Topics:
    """The topics of one device. Names are checked by the configuration: no ``/``, ``+`` or ``#``."""

    def __init__(self, device: str) -> None:
        up = f"{ROOT}/{device}/up"
        self.status = f"{up}/status"
        self.inventory = f"{up}/inventory"
        self.health = f"{up}/health"
        self.metrics = f"{up}/metrics"
        self._event = f"{up}/event"

    def detections(self, pipeline: str) -> str:
        """Where the results of a pipeline go, one message a result."""
        return f"{self._event}/{pipeline}/detections"
