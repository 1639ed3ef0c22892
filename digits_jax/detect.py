"""Every digit in an image: the exact maps at several scales, their peaks, and boxes around the ink.

A window of 28 px sees digits of about MNIST's size, so the image is read at a pyramid of scales.
At each, the probabilities are averaged over 3×3 neighbouring windows, which agree where a digit
is, and a digit is where their margin peaks: a plateau of agreeing windows has one peak, at its
middle, and its class is the most confident one (section 3.1). Peaks of all scales then compete for
their place. All of that is one jitted program for a batch; the boxes are cut afterwards.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Float32, Int, Int64, Num

from digits_jax.ink import tight_box
from digits_jax.maps import (
    ResponseMaps,
    map_levels,
    margin_of,
    patch_maps,
    response_maps,
    window_of_cell,
)
from digits_jax.network import SIDE, Params
from digits_jax.tile import STRIDE

__all__ = [
    "BatchDetections",
    "Detections",
    "ResponseMaps",
    "detect",
    "detect_batch",
    "patch_maps",
    "response_maps",
    "window_of_cell",
]

MIN_SCORE = 0.8  # chosen on scenes of validation digits
RATIO = 1.25  # between neighbouring scales: each serves sizes to either side by half of it
PAD = SIDE // 2  # px of background, so that a digit may lie at the image's edge
AVERAGED = 3  # windows along each axis whose probabilities are averaged
PEAK = 5  # windows along each axis of which a peak is the highest
APART = 0.45  # of the smaller window's side: nearer centres are the same digit
LARGER = 0.02  # what a reading gains for each factor e in size: a loop of an 8 is no 0
CAPACITY = 256  # detections of an image


class Detections(NamedTuple):
    """The digits of one image, by descending score."""

    boxes_xyxy: Int64[np.ndarray, "n 4"]  # px of the image, tight around the ink, x1, y1 exclusive
    windows_xyxy: Float32[np.ndarray, "n 4"]  # the windows that found them; may reach beyond
    labels: Int64[np.ndarray, " n"]  # 0–9
    scores: Float32[np.ndarray, " n"]  # margins at the peaks, 0–1
    overflow: bool  # whether there were more than the capacity


class BatchDetections(NamedTuple):
    """The digits of equal-sized images, by descending score, filled up to the capacity."""

    boxes_xyxy: Int64[np.ndarray, "n k 4"]
    windows_xyxy: Float32[np.ndarray, "n k 4"]
    labels: Int64[np.ndarray, "n k"]
    scores: Float32[np.ndarray, "n k"]
    valid: Bool[np.ndarray, "n k"]  # which entries are digits
    overflow: Bool[np.ndarray, " n"]  # whether an image had more than the capacity


class Peaks(NamedTuple):
    """Candidates of each image, by descending rank."""

    windows_xyxy: Float[Array, "n k 4"]
    labels: Int[Array, "n k"]
    scores: Float[Array, "n k"]
    rank: Float[
        Array, "n k"
    ]  # the score, and a little for a plateau's middle and for size; −1: none
    overflow: Bool[Array, " n"]


def detect(
    params: Params,
    image: Num[Array | np.ndarray, "..."],
    *,
    min_size: float = 15,
    max_size: float = 100,
    min_score: float = MIN_SCORE,
    capacity: int = CAPACITY,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> Detections:
    """Finds every digit in an image.

    Args:
      params: as `load_pretrained` or `load_checkpoint` return them.
      image: `[H, W]` or `[H, W, 1]`, float in 0–1 or uint8 in 0–255, ink bright.
      min_size: the smallest digits' size in px: the side of the 28-px square that it would fill.
      max_size: the largest digits'. With both 28, the paper's single scale.
      min_score: the least margin of a digit, 0–1.
      capacity: the most digits to find; `overflow` says that there were more.
      precision: of the maps' products on GPU and TPU.

    Returns:
      The digits found, in pixels of the image as given.

    Raises:
      ValueError: the image or an argument is not as above.
    """
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.ndim != 2:
        raise ValueError(f"detect takes one image [H, W] or [H, W, 1]; got {list(image.shape)}")
    found = detect_batch(
        params,
        image[None],
        min_size=min_size,
        max_size=max_size,
        min_score=min_score,
        capacity=capacity,
        precision=precision,
    )
    valid = found.valid[0]
    return Detections(
        found.boxes_xyxy[0][valid],
        found.windows_xyxy[0][valid],
        found.labels[0][valid],
        found.scores[0][valid],
        bool(found.overflow[0]),
    )


def detect_batch(
    params: Params,
    images: Num[Array | np.ndarray, "..."],
    *,
    min_size: float = 15,
    max_size: float = 100,
    min_score: float = MIN_SCORE,
    capacity: int = CAPACITY,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> BatchDetections:
    """Finds every digit in images of one size: `[n, H, W]` or `[n, H, W, 1]`; else as `detect`."""
    pixels = _pixels(np.asarray(images))
    if not 0 <= min_score <= 1:
        raise ValueError(f"min_score must be a margin, 0 to 1; got {min_score}")
    if capacity < 1:
        raise ValueError(f"capacity must be at least 1; got {capacity}")
    peaks = jax.device_get(
        find_peaks(
            params,
            jnp.asarray(pixels[..., None]),
            min_score,
            sizes=sizes_between(min_size, max_size),
            capacity=capacity,
            precision=precision,
        )
    )
    valid = peaks.rank >= 0
    boxes = np.zeros(peaks.windows_xyxy.shape, np.int64)
    for i, k in np.argwhere(valid):
        boxes[i, k] = tight_box(pixels[i], peaks.windows_xyxy[i, k])
    labels = peaks.labels.astype(np.int64)
    return BatchDetections(boxes, peaks.windows_xyxy, labels, peaks.scores, valid, peaks.overflow)


def sizes_between(min_size: float, max_size: float) -> tuple[float, ...]:
    """The digit sizes, in px, at which the pyramid reads an image, ascending.

    Raises:
      ValueError: the sizes are not 4 ≤ min_size ≤ max_size.
    """
    if not 4 <= min_size <= max_size < float("inf"):
        raise ValueError(f"sizes must be 4 px ≤ min_size ≤ max_size; got {min_size}, {max_size}")
    count = max(1, int(np.ceil(np.log(max_size / min_size) / np.log(RATIO))))
    return tuple(
        float(min_size * (max_size / min_size) ** ((i + 0.5) / count)) for i in range(count)
    )


def _pixels(images: np.ndarray) -> Float32[np.ndarray, "n h w"]:
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    shape = list(images.shape)
    if images.ndim != 3:
        raise ValueError(f"expected images [n, H, W] or [n, H, W, 1]; got {shape}")
    if images.size == 0:
        raise ValueError(f"expected images with pixels in them; got {shape}")
    if images.dtype == np.uint8:
        return images.astype(np.float32) / 255
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"expected float in 0–1 or uint8 in 0–255; got {images.dtype}")
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 1):  # false for NaN as well
        raise ValueError(f"expected float images in 0–1, without NaN; got {low} to {high}")
    return images.astype(np.float32)


@partial(jax.jit, static_argnames=("sizes", "capacity", "precision"))
def find_peaks(
    params: Params,
    images: Float[Array, "n H W 1"],
    min_score: float | Float[Array, ""],
    *,
    sizes: tuple[float, ...],
    capacity: int,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> Peaks:
    """The part of detection that runs on the device, with static shapes, for a whole batch."""
    scales = [SIDE / size for size in sizes]
    levels = [_level(images, scale) for scale in scales]
    maps = map_levels(params, levels, _average, AVERAGED - 1, precision=precision)
    found = [
        _peaks_of_map(
            margin, label, images.shape, scale, math.log(scales[0] / scale), min_score, capacity
        )
        for (margin, label), scale in zip(maps, scales, strict=True)
    ]
    peaks = Peaks(
        jnp.concatenate([peaks.windows_xyxy for peaks in found], axis=1),
        jnp.concatenate([peaks.labels for peaks in found], axis=1),
        jnp.concatenate([peaks.scores for peaks in found], axis=1),
        jnp.concatenate([peaks.rank for peaks in found], axis=1),
        jnp.stack([peaks.overflow for peaks in found]).any(axis=0),
    )
    peaks = _best(peaks, peaks.rank, capacity)
    standing = jax.vmap(_standing)(peaks.windows_xyxy, peaks.rank)
    return _best(peaks, jnp.where(standing, peaks.scores, -1.0), capacity)


def _best(peaks: Peaks, rank: Float[Array, "n m"], capacity: int) -> Peaks:
    """The first of the peaks by rank; more than the capacity are an overflow."""
    overflow = peaks.overflow | ((rank >= 0).sum(axis=1) > capacity)
    rank, order = lax.top_k(rank, min(capacity, rank.shape[1]))
    rows = jax.vmap(lambda array, order: array[order])
    return Peaks(
        rows(peaks.windows_xyxy, order),
        rows(peaks.labels, order),
        rows(peaks.scores, order),
        rank,
        overflow,
    )


def _standing(windows: Float[Array, "k 4"], rank: Float[Array, " k"]) -> Bool[Array, " k"]:
    """Which of the peaks, given by descending rank, have no better one of the same digit."""
    side = windows[:, 2] - windows[:, 0]
    centre = (windows[:, :2] + windows[:, 2:]) / 2
    distance = jnp.abs(centre[:, None] - centre[None]).max(axis=-1)
    same = distance < APART * jnp.minimum(side[:, None], side[None])

    def judge(k: Int[Array, ""], standing: Bool[Array, " k"]) -> Bool[Array, " k"]:
        beaten = (same[k] & standing & (jnp.arange(len(rank)) < k)).any()
        return standing.at[k].set(standing[k] & ~beaten)

    return lax.fori_loop(0, len(rank), judge, rank >= 0)


def _level(images: Float[Array, "n H W 1"], scale: float) -> Float[Array, "n _ _ 1"]:
    """The images at a scale, with so much background around them that digits fit on the edge."""
    n, height, width, _ = images.shape
    h, w = _scaled(height, scale), _scaled(width, scale)
    if (h, w) != (height, width):
        images = jax.image.resize(images, (n, h, w, 1), "linear")
    # The average takes one window more on each side, and the windows a size that is even.
    before = PAD + STRIDE * (AVERAGED // 2)
    padding = [(0, 0), *((before, before + side % 2) for side in (h, w)), (0, 0)]
    return jnp.pad(images, padding)


def _scaled(side: int, scale: float) -> int:
    return max(1, round(side * scale))


def _peaks_of_map(
    margin: Float[Array, "n h w"],
    label: Int[Array, "n h w"],
    shape: tuple[int, ...],
    scale: float,
    favour: float,
    min_score: float | Float[Array, ""],
    capacity: int,
) -> Peaks:
    square = (1, PEAK, PEAK)
    plateau = lax.reduce_window(margin, 0.0, lax.add, square, (1, 1, 1), "SAME") / PEAK**2
    rank = margin + 1e-3 * plateau + LARGER * favour
    highest = lax.reduce_window(rank, -jnp.inf, lax.max, square, (1, 1, 1), "SAME")
    rank = jnp.where((rank >= highest) & (margin >= min_score), rank, -1.0)
    rank = rank.reshape(len(rank), -1)
    overflow = (rank >= 0).sum(axis=1) > capacity
    rank, cells = lax.top_k(rank, min(capacity, rank.shape[1]))
    rows, columns = jnp.divmod(cells, margin.shape[2])
    corner = STRIDE * jnp.stack([columns, rows], axis=-1).astype(jnp.float32) - PAD
    unscale = jnp.array([side / _scaled(side, scale) for side in (shape[2], shape[1])])[None, None]
    windows = jnp.concatenate([corner * unscale, (corner + SIDE) * unscale], axis=-1)
    pick = jax.vmap(lambda array, cells: array.ravel()[cells])
    return Peaks(windows, pick(label, cells), pick(margin, cells), rank, overflow)


def _average(
    logits: Float[Array, "H W 10"],
) -> tuple[Float[Array, "h w"], Int[Array, "h w"]]:
    """Margin and label of the mean probabilities of 3×3 windows."""
    p = jax.nn.softmax(logits)
    size = (AVERAGED, AVERAGED, 1)
    mean = lax.reduce_window(p, 0.0, lax.add, size, (1, 1, 1), "VALID") / AVERAGED**2
    return margin_of(mean), jnp.argmax(mean, axis=-1).astype(jnp.int32)
