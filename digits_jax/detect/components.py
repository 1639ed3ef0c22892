"""Connected components of ink, each cut out without the ink of its neighbours."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, UInt8
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

EIGHT_CONNECTED = 8  # pixels that share a corner are one stroke

Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in px, x1 and y1 exclusive


class Component(NamedTuple):
    """A connected piece of ink, or several pieces taken together."""

    box: Box  # around the mask, px of the image
    ink: UInt8[np.ndarray, "h w"]  # grey values inside the box; zero where the ink is not its own
    mask: Bool[np.ndarray, "h w"]  # its pixels of ink inside the box

    @property
    def side(self) -> int:
        """The longer side of the box, px."""
        return max(self.mask.shape)


def find_components(
    ink: UInt8[np.ndarray, "H W"], threshold: float, min_side: float
) -> list[Component]:
    """Returns the connected components of an image, from top to bottom.

    Pixels are connected if they share a side or a corner. A component keeps the fainter pixels
    around it, which are the smooth edge of its strokes.

    Args:
      ink: `[H, W]` uint8, ink bright.
      threshold: pixels brighter than this share of 255 are ink, 0–1.
      min_side: components whose longer side is shorter are left out, px.
    """
    return list(split_mask(ink, ink > threshold * 255, (0, 0), min_side))


def split_mask(
    ink: UInt8[np.ndarray, "h w"],
    mask: Bool[np.ndarray, "h w"],
    origin: tuple[int, int],
    min_side: float,
) -> Iterator[Component]:
    """Yields the connected components of a mask.

    Args:
      ink: grey values of a crop of the image.
      mask: the pixels of ink in it.
      origin: x and y of the crop in the image, px.
      min_side: as for `find_components`.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=EIGHT_CONNECTED, ltype=cv2.CV_32S
    )
    sides = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
    for number in np.flatnonzero(sides >= min_side):
        if number == 0:  # what is not ink
            continue
        x, y, width, height = stats[number, :4].tolist()
        inside = np.s_[y : y + height, x : x + width]
        own = labels[inside] == number
        edge = cv2.dilate(own.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        own_ink = np.where(edge & (own | (labels[inside] == 0)), ink[inside], 0)
        left, top = x + origin[0], y + origin[1]
        yield Component((left, top, left + width, top + height), own_ink, own)


def join(components: Sequence[Component]) -> Component:
    """Returns several components as one."""
    boxes = np.array([component.box for component in components])
    x0, y0 = boxes[:, :2].min(axis=0).tolist()
    x1, y1 = boxes[:, 2:].max(axis=0).tolist()
    ink, mask = np.zeros((y1 - y0, x1 - x0), np.uint8), np.zeros((y1 - y0, x1 - x0), bool)
    for (left, top, right, bottom), own_ink, own_mask in components:
        inside = np.s_[top - y0 : bottom - y0, left - x0 : right - x0]
        ink[inside] = np.maximum(ink[inside], own_ink)
        mask[inside] |= own_mask
    return Component((x0, y0, x1, y1), ink, mask)


def near_groups(
    boxes: Sequence[Box], indices: Sequence[int], max_gap: float, max_aspect: float
) -> list[list[int]]:
    """Returns pairs of components that may be strokes of one digit.

    Args:
      boxes: of all components.
      indices: the components for which partners are sought.
      max_gap: the widest gap between the boxes, as a share of the longer side of the larger box.
      max_aspect: the box around both is at most this many times as wide as high.

    Returns:
      Pairs of indices, each once.
    """
    if not indices:
        return []
    edges = np.array(boxes)
    pairs = set()
    for k in indices:
        x0, y0, x1, y1 = edges[k]
        gap_x = np.maximum(edges[:, 0] - x1, x0 - edges[:, 2])
        gap_y = np.maximum(edges[:, 1] - y1, y0 - edges[:, 3])
        sides = np.maximum(edges[:, 2] - edges[:, 0], edges[:, 3] - edges[:, 1])
        gap = np.maximum(np.maximum(gap_x, gap_y), 0)
        near = gap <= max_gap * np.maximum(sides, sides[k])
        near &= np.minimum(sides, sides[k]) * 8 >= np.maximum(sides, sides[k])
        width = np.maximum(edges[:, 2], x1) - np.minimum(edges[:, 0], x0)
        near &= width <= max_aspect * (np.maximum(edges[:, 3], y1) - np.minimum(edges[:, 1], y0))
        pairs |= {(min(k, j), max(k, j)) for j in np.flatnonzero(near).tolist() if j != k}
    return [list(pair) for pair in sorted(pairs)]


def cluster_numbers(count: int, links: Iterable[Sequence[int]]) -> list[int]:
    """Returns the number of the cluster that each of `count` components belongs to.

    Args:
      count: how many components there are.
      links: pairs of components that belong to one cluster.
    """
    rows, columns = np.array([*links], int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    return connected_components(graph, directed=False)[1].tolist()


def ink_strength(ink: UInt8[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"]) -> float:
    """Returns the mean grey value of the pixels in a mask, 0–1; a pen's ink is strong and even."""
    return cv2.mean(ink, mask.astype(np.uint8))[0] / 255


def at_edge(box: Box, shape: Sequence[int]) -> bool:
    """Returns whether a box touches the edge of an image of this height and width, px."""
    x0, y0, x1, y1 = box
    return x0 <= 0 or y0 <= 0 or x1 >= shape[1] or y1 >= shape[0]
