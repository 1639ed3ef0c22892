"""Rulings: the long straight lines of forms, ruled and squared paper, tables and boxes.

A horizontal ruling is a long run of ink whose thickness is small beside its length. It is erased
except where a stroke crosses it, which goes on above or below. Vertical rulings are found in the
same way, turned by 90°.
"""

import cv2
import numpy as np
from jaxtyping import Bool

from digits_jax.detect.components import Component, split_mask
from digits_jax.detect.steps import RulingConfig


def erase_rulings(
    mask: Bool[np.ndarray, "h w"], config: RulingConfig
) -> Bool[np.ndarray, "h w"] | None:
    """Returns a component's ink without its rulings, or None if it has none.

    Args:
      mask: `[h, w]` the ink of one component.
      config: the least length of a ruling, and how straight it is.
    """
    horizontal = _long_runs(mask, config)
    vertical = _long_runs(mask.T, config).T
    if not (horizontal.any() or vertical.any()):
        return None
    return mask & ~horizontal & ~vertical


def pieces_on_rulings(
    part: Component, min_side: float, config: RulingConfig
) -> tuple[list[Component], bool]:
    """Returns what is left of a component without its rulings, and whether they surely are some.

    There are no pieces if the component has nothing that looks like a ruling.
    """
    without = erase_rulings(part.mask, config)
    if without is None:
        return [], False
    pieces = list(split_mask(part.ink, without, part.box[:2], min_side))
    rows, columns = np.nonzero(part.mask & ~without)
    length = max(np.ptp(rows), np.ptp(columns)) + 1
    largest = max((piece.side for piece in pieces), default=0)
    return pieces, bool(length >= config.min_length_per_piece * largest)


def _long_runs(mask: Bool[np.ndarray, "h w"], config: RulingConfig) -> Bool[np.ndarray, "h w"]:
    """Returns the pixels of horizontal rulings that no stroke crosses."""
    height, width = mask.shape
    longest = max(config.max_length_px, config.max_length_share * min(height, width))
    length = round(min(config.length_share * max(height, width), longest))
    length = max(length, round(config.min_length_px))
    if width < length:
        return np.zeros_like(mask)
    ink = mask.astype(np.uint8)
    # A tilted line is a staircase of short runs; with a pixel more above and below they overlap.
    thick = cv2.dilate(ink, np.ones((3, 1), np.uint8))
    runs = cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((1, length), np.uint8)) & ink
    _, labels, stats, _ = cv2.connectedComponentsWithStats(runs, connectivity=8)
    area, extent = stats[:, cv2.CC_STAT_AREA], stats[:, cv2.CC_STAT_WIDTH]
    thickness = area / np.maximum(extent, 1)
    is_ruling = (extent >= length) & (extent >= config.min_slimness * thickness)
    is_ruling[0] = False
    if not is_ruling.any():
        return np.zeros_like(mask)
    rulings = is_ruling[labels]
    tall = 2 * round(float(np.median(thickness[is_ruling]))) + 2
    # OpenCV takes what lies outside for ink, and a line at the edge would seem to be crossed.
    padded = np.pad(ink, ((tall, tall), (0, 0)))
    crossed = cv2.morphologyEx(padded, cv2.MORPH_OPEN, np.ones((tall, 1), np.uint8)) > 0
    uncrossed = rulings & ~crossed[tall:-tall]
    # Long runs inside a blob of ink are no rulings: most of them is crossed.
    share = np.bincount(labels[uncrossed], minlength=len(area)) / np.maximum(area, 1)
    return uncrossed & (share >= config.min_uncrossed)[labels]
