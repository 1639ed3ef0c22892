"""Experiments: run one with `python -m experiments.FOLDER.NAME`."""
