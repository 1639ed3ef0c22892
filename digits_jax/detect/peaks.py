"""Candidates from score maps: the local maxima of the margin at every level of a pyramid.

The network sees digits of about 28 px, so an image is searched at a pyramid of scales. At each
level the class probabilities of 3×3 neighbouring windows are averaged, because neighbours agree
where a digit is. The margin of the average, its largest probability minus the second largest, is
the score map; each local maximum is a candidate, and its class is the most probable one (section
3.1 of the paper). A flat maximum yields one candidate at its middle, thanks to the plateau bonus.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from digits_jax.detect.border_contact import border_contact
from digits_jax.detect.config import check_sizes
from digits_jax.detect.steps import BorderContactConfig, PeakConfig
from digits_jax.images.mnist_format import MNIST_DIGIT_SIDE, MNIST_SIDE
from digits_jax.models.cnn import INPUT_SIDE
from digits_jax.models.fcn.features import STRIDE
from digits_jax.models.fcn.pyramid import PyramidLevel, crop_level, pyramid_padding
from digits_jax.models.fcn.response_maps import margin

DETECTIONS_BLOCK = 256  # the number of candidates is a multiple of this
PX_PER_DETECTION = 512  # of the image's area, for each candidate
CROPS_AT_ONCE = 32  # windows whose border contact is computed together; bounds the memory


class Candidates(NamedTuple):
    """The candidates of each image, by descending priority."""

    windows_xyxy: Float[Array, "n k 4"]  # px of the image
    labels: Int[Array, "n k"]
    scores: Float[Array, "n k"]  # margins; scores after `suppress_and_calibrate`
    border_contacts: Float[Array, "n k"]  # as `border_contact` returns them
    priority: Float[Array, "n k"]  # the sort key; −1 marks an empty entry
    truncated: Bool[Array, " n"]  # whether candidates were dropped


def pyramid_sizes(
    min_size: float, max_size: float | None, longest_side: int, config: PeakConfig
) -> tuple[float, ...]:
    """Returns the digit sizes, in px and ascending, that the levels of the pyramid are made for.

    Args:
      min_size: the smallest digits' size, px.
      max_size: the largest digits' size, px; None for those that fill the image.
      longest_side: of the image, px.
      config: the ratio of neighbouring sizes.

    Raises:
      ArgumentError: the sizes are not 4 ≤ min_size ≤ max_size < ∞.
    """
    check_sizes(min_size, max_size)
    log_ratio = math.log(config.scale_ratio)
    if max_size is None:
        # With a fixed ratio, the levels that two images share are the same.
        largest = max(longest_side * MNIST_SIDE / MNIST_DIGIT_SIDE, min_size)
        count = max(1, math.ceil(math.log(largest / min_size) / log_ratio))
        return tuple(min_size * config.scale_ratio ** (i + 0.5) for i in range(count))
    count = max(1, math.ceil(math.log(max_size / min_size) / log_ratio))
    return tuple(min_size * (max_size / min_size) ** ((i + 0.5) / count) for i in range(count))


def default_max_detections(shape: Sequence[int]) -> int:
    """Returns how many candidates are examined in an image, a number that grows with its area.

    Args:
      shape: height and width of the image, px.
    """
    blocks = math.ceil(shape[0] * shape[1] / (DETECTIONS_BLOCK * PX_PER_DETECTION))
    return DETECTIONS_BLOCK * max(blocks, 1)


def log_sizes(sizes: Sequence[float]) -> list[float]:
    """Returns ln(size / smallest size) of each digit size; the sizes are ascending."""
    scales = [INPUT_SIDE / size for size in sizes]
    return [math.log(scales[0] / scale) for scale in scales]


def pyramid_levels(
    shape: Sequence[int], sizes: Sequence[float], config: PeakConfig
) -> tuple[PyramidLevel, ...]:
    """Returns the levels of an image's pyramid, padded so that digits may touch the image's edge.

    Cell (i, j) of an averaged score map is the window centred on pixel (2i, 2j) of the level.

    Args:
      shape: height and width of the image in px, without its `pyramid_padding`.
      sizes: the digit size of each level in px, as `pyramid_sizes` returns them.
      config: the averaging, which needs padding.
    """
    padding = _level_padding(config)
    scales = [INPUT_SIDE / size for size in sizes]
    image_padding = pyramid_padding(scales)
    return tuple(
        PyramidLevel(
            scale,
            padding - image_padding * scale,
            *(STRIDE * int(side * scale / STRIDE) + 2 * padding for side in shape),
        )
        for scale in scales
    )


def average_margin(
    logits: Float[Array, "H W 10"], *, config: PeakConfig
) -> tuple[Float[Array, "h w"], Int[Array, "h w"]]:
    """Returns the score map and its labels: margin and class of locally averaged probabilities.

    Args:
      logits: `[H, W, 10]` of neighbouring windows.
      config: the number of windows that are averaged.

    Returns:
      `[h, w]` margins, 0–1, and `[h, w]` labels as int8; h and w are smaller than H and W by
      `averaging_windows` − 1.
    """
    windows = config.averaging_windows
    probabilities = jax.nn.softmax(logits)
    size = (windows, windows, 1)
    total = lax.reduce_window(probabilities, 0.0, lax.add, size, (1, 1, 1), "VALID")
    mean = total / windows**2
    return margin(mean), jnp.argmax(mean, axis=-1).astype(jnp.int8)  # int8 to save memory


def peaks_of_level(
    images: Float[Array, "n H W 1"],
    level: PyramidLevel,
    margins: Float[Array, "n h w"],
    labels: Int[Array, "n h w"],
    extents: Int[Array, "n 2"],
    *,
    threshold: Float[Array, ""],
    confident_margin: float,
    log_size: float,
    max_detections: int,
    peaks: PeakConfig,
    contact: BorderContactConfig,
) -> Candidates:
    """Returns the local maxima of one level's score maps as candidates.

    A maximum is one of priority = margin + plateau_bonus · mean margin + scale_bonus · log_size
    over its neighbourhood.

    Args:
      images: `[n, H, W, 1]` in 0–1, with their `pyramid_padding`.
      level: where the score maps lie in the images.
      margins: `[n, h, w]` the score maps.
      labels: `[n, h, w]` the most probable class of each window.
      extents: `[n, 2]` height and width in px of each image; the rest of it is padding.
      threshold: the lowest margin of a candidate, 0–1.
      confident_margin: candidates of at least this margin, 0–1, come before all others. So a lower
        threshold does not displace them where there are more than `max_detections`.
      log_size: ln(window size / smallest window size) of this level.
      max_detections: the most candidates that are returned for an image.
      peaks: the neighbourhood and the bonuses.
      contact: the constants of `border_contact`.
    """
    scale = level.scale
    # Windows centred on the padding exist only because all images of a batch share a shape.
    rows, columns = (
        STRIDE * jnp.arange(side, dtype=jnp.float32)[None] <= limit[:, None] * scale
        for side, limit in zip(margins.shape[1:], extents.T.astype(jnp.float32), strict=True)
    )
    inside = rows[:, :, None] & columns[:, None]
    margins = jnp.where(inside, margins, 0.0)
    size, strides = (1, peaks.neighbourhood, peaks.neighbourhood), (1, 1, 1)
    mean = lax.reduce_window(margins, 0.0, lax.add, size, strides, "SAME") / peaks.neighbourhood**2
    bonus = peaks.scale_bonus * log_size
    priority = jnp.where(inside, margins + peaks.plateau_bonus * mean + bonus, -1.0)
    highest = lax.reduce_window(priority, -jnp.inf, lax.max, size, strides, "SAME")
    local_maximum = priority >= highest
    priority += jnp.where(margins >= confident_margin, 1.0, 0.0)
    priority = jnp.where(local_maximum & (margins >= threshold), priority, -1.0)
    priority = priority.reshape(len(priority), -1)
    truncated = (priority >= 0).sum(axis=1) > max_detections
    priority, indices = lax.top_k(priority, min(max_detections, priority.shape[1]))
    cells = jnp.stack(jnp.divmod(indices, margins.shape[2])[::-1], axis=-1)
    centres = STRIDE / scale * cells.astype(jnp.float32)
    half = INPUT_SIDE / 2 / scale
    windows = jnp.concatenate([centres - half, centres + half], axis=-1)
    take = jax.vmap(lambda array, indices: array.ravel()[indices])
    labels = take(labels, indices).astype(jnp.int32)
    contact_of = partial(_border_contacts, level, peaks=peaks, contact=contact)
    contacts = jax.vmap(contact_of)(images[..., 0], cells)
    return Candidates(windows, labels, take(margins, indices), contacts, priority, truncated)


def merge_levels(levels: Sequence[Candidates], max_detections: int) -> Candidates:
    """Returns the candidates of all levels together, by descending priority."""
    columns = zip(*(level[:-1] for level in levels), strict=True)
    windows, labels, scores, contacts, priority = (
        jnp.concatenate(arrays, axis=1) for arrays in columns
    )
    truncated = jnp.stack([level.truncated for level in levels]).any(axis=0)
    candidates = Candidates(windows, labels, scores, contacts, priority, truncated)
    return sort_by_priority(candidates, priority, max_detections)


def sort_by_priority(
    candidates: Candidates, priority: Float[Array, "n m"], max_detections: int
) -> Candidates:
    """Returns the candidates by descending new priority; more than max_detections are dropped."""
    truncated = candidates.truncated | ((priority >= 0).sum(axis=1) > max_detections)
    priority, order = lax.top_k(priority, min(max_detections, priority.shape[1]))
    rows = jax.vmap(lambda array, order: array[order])
    return Candidates(
        rows(candidates.windows_xyxy, order),
        rows(candidates.labels, order),
        rows(candidates.scores, order),
        rows(candidates.border_contacts, order),
        priority,
        truncated,
    )


def _border_contacts(
    level: PyramidLevel,
    image: Float[Array, "H W"],
    cells: Int[Array, "k 2"],
    *,
    peaks: PeakConfig,
    contact: BorderContactConfig,
) -> Float[Array, " k"]:
    """Returns the border contact of the windows at cells (x, y) of a level's score map."""

    def of_window(cell: Int[Array, " 2"]) -> Float[Array, ""]:
        corner = STRIDE * cell[::-1] + _level_padding(peaks) - INPUT_SIDE // 2
        window = crop_level(image, [level], 0, corner, INPUT_SIDE)
        return border_contact(window[None], contact)[0]

    return lax.map(of_window, cells, batch_size=CROPS_AT_ONCE)


def _level_padding(config: PeakConfig) -> int:
    """Returns the black margin in px with which windows can be centred on a level's edge pixels."""
    return INPUT_SIDE // 2 + STRIDE * (config.averaging_windows // 2)
