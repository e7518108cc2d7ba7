"""Takes the GPU sweeps to a machine without a network and their results home (docs/gpu.md)."""
