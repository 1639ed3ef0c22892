"""Candidates made by hand, for tests of what is chosen among them."""

from typing import Any

import numpy as np

from digits_jax.detect.candidates import Candidate

Box = tuple[int, int, int, int]  # x0, y0, x1, y1


def make_candidate(
    box: Box,
    score: float,
    *,
    label: int = 0,
    kind: str = "component",
    mask: np.ndarray | None = None,
) -> Candidate:
    """Returns a candidate in a box, which its ink fills if no mask is given."""
    x0, y0, x1, y1 = box
    values: dict[str, Any] = {
        "box": box,
        "mask": np.ones((y1 - y0, x1 - x0), bool) if mask is None else mask,
        "size": 1.4 * max(y1 - y0, x1 - x0),
        "probabilities": np.eye(10, dtype=np.float32)[label],
        "contact": 0.0,
        "kind": kind,
        "votes": 1,
        "centre": ((x0 + x1) / 2, (y0 + y1) / 2),
        "context": np.ones(10, np.float32),
        "strength": 1.0,
        "at_edge": False,
        "crop": np.zeros((28, 28), np.uint8),
        "score": score,
    }
    return Candidate(**{name: values[name] for name in Candidate._fields})
