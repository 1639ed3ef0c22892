"""The network, its weights, and its exact evaluation on every window of an image."""
