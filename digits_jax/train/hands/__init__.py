"""Labelled digits in hands that MNIST lacks, to train on."""
