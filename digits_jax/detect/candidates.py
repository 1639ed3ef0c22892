"""Candidates: ink that may be a digit, and the clusters in which candidates compete."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from digits_jax.detect.components import Box

# A component of ink, pieces and pairs included; the ink in a window inside a component; and what
# the best candidates leave of a component.
KINDS = ("component", "window", "rest")


class Candidate(NamedTuple):
    """Ink that may be a digit, and the evidence for it."""

    box: Box  # px of the image
    mask: Bool[np.ndarray, "h w"]  # the ink that it explains, inside the box
    centre: tuple[float, float]  # x and y of its window's middle, px of the image
    size: float  # px: the side of the square that it fills as MNIST's digits fill 28×28 px
    probabilities: Float32[np.ndarray, "10"]
    contact: float  # how much of the window's border strokes touch; 0 for a component
    votes: int  # how many windows near it show the same class; 1 for a component
    context: Float32[np.ndarray, "10"]  # probabilities of its window with all ink around; 1 if none
    strength: float  # mean grey value of its ink, 0–1
    at_edge: bool  # whether it touches the edge of the image
    kind: str  # how its ink was found: one of `KINDS`
    crop: UInt8[np.ndarray, "28 28"]  # its ink, framed as MNIST's digits are
    score: float = 0.0  # of the search, 0–1

    @property
    def label(self) -> int:
        """The most probable class, 0–9."""
        return int(self.probabilities.argmax())

    @property
    def window(self) -> tuple[float, float, float, float]:
        """The square window around it: x0, y0, x1, y1 in px of the image."""
        (x, y), half = self.centre, self.size / 2
        return x - half, y - half, x + half, y + half

    @property
    def margin(self) -> float:
        """The largest probability less the second, 0–1 (section 2.4)."""
        second, first = np.partition(self.probabilities, -2)[-2:]
        return float(first - second)


class Cluster(NamedTuple):
    """Components that are near to each other, and the candidates that compete for their ink."""

    ink_px: int  # how many pixels of ink the components have
    candidates: list[Candidate]
    boxes: tuple[Box, ...] = ()  # of the components, px of the image
