"""Experiments: run one with `python -m experiments.ROOM.NAME`."""
