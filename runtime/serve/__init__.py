"""The inference API of a worker: the Open Inference Protocol (KServe version 2) over gRPC.

Other programs on the device use the loaded, verified models; the cameras come first.
"""
