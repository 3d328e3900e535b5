"""Examples: the conveyor belt and its detector, an RTSP server, the demo."""
