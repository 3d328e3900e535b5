"""An RTSP server for recordings, and the recordings it plays."""
