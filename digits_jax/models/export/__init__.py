"""The network as a file for other tools: ONNX, and StableHLO for JAX."""
