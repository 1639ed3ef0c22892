"""The network as a fully convolutional network: exact response maps at stride 2."""
