"""MNIST, and the scenes composed of its digits."""
