"""The local control interface: gRPC on a unix socket, its service and its client."""
