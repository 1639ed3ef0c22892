"""From maps to digits, on the device: the margin's peaks at all scales, and which of them stand.

A window of 28 px sees digits of about MNIST's size, so the image is read at a pyramid of scales.
At each, the probabilities are averaged over 3×3 neighbouring windows, which agree where a digit
is, and a digit is where their margin peaks: a plateau of agreeing windows has one peak, at its
middle, and its class is the most confident one (section 3.1). Peaks of all scales then compete for
their place, and what looks like a part of a digit gives way to the whole.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from digits_jax.detect.border_contact import border_contact
from digits_jax.detect.nms import BEATEN, OVERLAP, PLACE, SEEN, calibrate, nms, part_suppression
from digits_jax.models.cnn import INPUT_SIDE, Params
from digits_jax.models.fcn.features import STRIDE
from digits_jax.models.fcn.pyramid import PyramidLevel, crop_level, pyramid_padding
from digits_jax.models.fcn.response_maps import margin
from digits_jax.models.fcn.tiling import pyramid_maps
from digits_jax.runtime.errors import ArgumentError

RATIO = 1.4  # between neighbouring scales, at most: each serves sizes to either side by half of it
AVERAGED = 3  # windows along each axis whose probabilities are averaged
PAD = INPUT_SIDE // 2 + STRIDE * (
    AVERAGED // 2
)  # px of background, to have a window on every pixel
PEAK = 5  # windows along each axis of which a peak is the highest
LARGER = 0.03  # what a reading gains for each factor e in size: a loop of an 8 is no 0
CUT = 32  # candidates whose windows are interpolated at once
PLATEAU = 0.1  # what it gains if the margin around it is as high: many windows see the digit


class Candidates(NamedTuple):
    """Candidates of each image, by descending rank."""

    windows_xyxy: Float[Array, "n k 4"]
    labels: Int[Array, "n k"]
    scores: Float[Array, "n k"]  # margins; of what is found, what `rivals` makes of them
    crossings: Float[Array, "n k"]  # how much of the window's edge strokes cross: `strokes`
    rank: Float[Array, "n k"]  # by which they are sorted; −1: none
    overflow: Bool[Array, " n"]


def pyramid_sizes(min_size: float, max_size: float) -> tuple[float, ...]:
    """The digit sizes, in px, at which the pyramid reads an image, ascending.

    Raises:
      ValueError: the sizes are not 4 ≤ min_size ≤ max_size.
    """
    if not 4 <= min_size <= max_size < float("inf"):
        raise ArgumentError(f"sizes must be 4 px ≤ min_size ≤ max_size; got {min_size}, {max_size}")
    count = max(1, int(np.ceil(np.log(max_size / min_size) / np.log(RATIO))))
    return tuple(
        float(min_size * (max_size / min_size) ** ((i + 0.5) / count)) for i in range(count)
    )


def pyramid_levels(shape: Sequence[int], sizes: Sequence[float]) -> tuple[PyramidLevel, ...]:
    """An image's pyramid, with so much black around it that digits fit on the edge.

    Cell (i, j) of an averaged map is the window that is centred on the image's place (2i, 2j) at
    that scale.

    Args:
      shape: height and width of the image, without the `pyramid.rim` that these scales ask for.
      sizes: px of the digits that each level is to read, as `pyramid_sizes` gives them.
    """
    scales = [INPUT_SIDE / size for size in sizes]
    edge = pyramid_padding(scales)
    return tuple(
        PyramidLevel(
            scale,
            PAD - edge * scale,
            *(STRIDE * int(side * scale / STRIDE) + 2 * PAD for side in shape),
        )
        for scale in scales
    )


@partial(jax.jit, static_argnames=("sizes", "capacity", "precision"))
def find_peaks(
    params: Params,
    images: Float[Array, "n H W 1"],
    extents: Int[Array, "n 2"],
    min_score: float | Float[Array, ""],
    *,
    sizes: tuple[float, ...],
    capacity: int,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> Candidates:
    """The part of detection that runs on the device, with static shapes, for a whole batch.

    Of image i only the pixels `[:extents[i, 0], :extents[i, 1]]` are image; the rest is zero and is
    there for the shape's sake. What is found does not depend on how much of it there is.
    """
    scales = [INPUT_SIDE / size for size in sizes]
    levels = pyramid_levels(images.shape[1:3], sizes)
    edge = pyramid_padding(scales)
    images = jnp.pad(images, [(0, 0), (edge, edge), (edge, edge), (0, 0)])
    cells = [extents.astype(jnp.float32) * (scale / STRIDE) for scale in scales]
    needed = [jnp.floor(limits).astype(jnp.int32) + 1 for limits in cells]
    maps = pyramid_maps(
        params, images, levels, _average, AVERAGED - 1, needed=needed, precision=precision
    )
    # Down to SEEN, since a whole digit need not be sure itself for its parts to fall to it.
    least = jnp.minimum(min_score, SEEN)
    found = [
        _peaks_of_map(
            images,
            level,
            margin,
            label,
            extents,
            math.log(scales[0] / level.scale),
            least,
            capacity,
        )
        for (margin, label), level in zip(maps, levels, strict=True)
    ]
    peaks = Candidates(
        jnp.concatenate([peaks.windows_xyxy for peaks in found], axis=1),
        jnp.concatenate([peaks.labels for peaks in found], axis=1),
        jnp.concatenate([peaks.scores for peaks in found], axis=1),
        jnp.concatenate([peaks.crossings for peaks in found], axis=1),
        jnp.concatenate([peaks.rank for peaks in found], axis=1),
        jnp.stack([peaks.overflow for peaks in found]).any(axis=0),
    )
    return _judged(_best(peaks, peaks.rank, capacity), min_score)


def _judged(peaks: Candidates, min_score: float | Float[Array, ""]) -> Candidates:
    """Which of the candidates stand and are sure enough, ranked by their scores, no longer margins.

    Those that are not compete, too, so that a higher score leaves out the less certain and no more.
    """
    windows, labels, margins, crossings, rank, _ = peaks
    fallen = jax.vmap(part_suppression)(windows, margins, crossings, rank)
    left = jnp.where(fallen, -1.0, rank)
    stands = jax.vmap(partial(nms, place=PLACE))(windows, left)
    overlaps = jax.vmap(partial(nms, place=OVERLAP))(windows, left)
    scores = calibrate(labels, margins, crossings) * jnp.where(stands, 1.0, BEATEN)
    counts = (stands | overlaps) & (scores >= min_score)
    peaks = peaks._replace(scores=scores)
    return _best(peaks, jnp.where(counts, scores, -1.0), rank.shape[1])


def _best(peaks: Candidates, rank: Float[Array, "n m"], capacity: int) -> Candidates:
    """The first of the peaks by rank; more than the capacity are an overflow."""
    overflow = peaks.overflow | ((rank >= 0).sum(axis=1) > capacity)
    rank, order = lax.top_k(rank, min(capacity, rank.shape[1]))
    rows = jax.vmap(lambda array, order: array[order])
    return Candidates(
        rows(peaks.windows_xyxy, order),
        rows(peaks.labels, order),
        rows(peaks.scores, order),
        rows(peaks.crossings, order),
        rank,
        overflow,
    )


def _peaks_of_map(
    images: Float[Array, "n H W 1"],
    level: PyramidLevel,
    margin: Float[Array, "n h w"],
    label: Int[Array, "n h w"],
    extents: Int[Array, "n 2"],
    favour: float,
    least: Float[Array, ""],
    capacity: int,
) -> Candidates:
    scale = level.scale
    # Windows are centred on the image; those beyond exist for the shape's sake.
    rows, columns = (
        STRIDE * jnp.arange(side, dtype=jnp.float32)[None] <= limit[:, None] * scale
        for side, limit in zip(margin.shape[1:], extents.T.astype(jnp.float32), strict=True)
    )
    inside = rows[:, :, None] & columns[:, None]
    margin = jnp.where(inside, margin, 0.0)
    around = (1, PEAK, PEAK)
    plateau = lax.reduce_window(margin, 0.0, lax.add, around, (1, 1, 1), "SAME") / PEAK**2
    rank = jnp.where(inside, margin + PLATEAU * plateau + LARGER * favour, -1.0)
    peak = rank >= lax.reduce_window(rank, -jnp.inf, lax.max, around, (1, 1, 1), "SAME")
    # What may be a digit comes before all that is less sure: as if that were not looked at.
    rank += jnp.where(margin >= SEEN, 1.0, 0.0)
    rank = jnp.where(peak & (margin >= least), rank, -1.0)
    rank = rank.reshape(len(rank), -1)
    overflow = (rank >= 0).sum(axis=1) > capacity
    rank, cells = lax.top_k(rank, min(capacity, rank.shape[1]))
    cell = jnp.stack(jnp.divmod(cells, margin.shape[2])[::-1], axis=-1)
    centre = STRIDE / scale * cell.astype(jnp.float32)
    half = INPUT_SIDE / 2 / scale
    windows = jnp.concatenate([centre - half, centre + half], axis=-1)
    pick = jax.vmap(lambda array, cells: array.ravel()[cells])
    labels = pick(label, cells).astype(jnp.int32)
    crossings = jax.vmap(partial(_crossings, level))(images[..., 0], cell)
    return Candidates(windows, labels, pick(margin, cells), crossings, rank, overflow)


def _crossings(
    level: PyramidLevel, image: Float[Array, "H W"], cells: Int[Array, "k 2"]
) -> Float[Array, " k"]:
    """Of the windows that are centred on cells, x and y, of a level's averaged map."""

    def of_window(cell: Int[Array, " 2"]) -> Float[Array, ""]:
        corner = STRIDE * cell[::-1] + PAD - INPUT_SIDE // 2
        return border_contact(crop_level(image, [level], 0, corner, INPUT_SIDE)[None])[0]

    return lax.map(of_window, cells, batch_size=CUT)


def _average(
    logits: Float[Array, "H W 10"],
) -> tuple[Float[Array, "h w"], Int[Array, "h w"]]:
    """Margin and label of the mean probabilities of 3×3 windows."""
    p = jax.nn.softmax(logits)
    size = (AVERAGED, AVERAGED, 1)
    mean = lax.reduce_window(p, 0.0, lax.add, size, (1, 1, 1), "VALID") / AVERAGED**2
    return margin(mean), jnp.argmax(mean, axis=-1).astype(jnp.int8)  # a byte a window
