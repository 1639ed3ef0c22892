"""The part of detection that runs on the device, as one jitted program of static shapes.

Pyramid → score maps → local maxima → part suppression → NMS and soft-NMS → calibration.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from digits_jax.detect.calibration import calibrate
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.nms import nms, part_suppression
from digits_jax.detect.peaks import (
    Candidates,
    average_margin,
    default_max_detections,
    log_sizes,
    merge_levels,
    peaks_of_level,
    pyramid_levels,
    pyramid_sizes,
    sort_by_priority,
)
from digits_jax.models.cnn import INPUT_SIDE, Params
from digits_jax.models.fcn.features import STRIDE
from digits_jax.models.fcn.pyramid import pyramid_padding
from digits_jax.models.fcn.tiling import pyramid_maps


@partial(jax.jit, static_argnames=("config", "precision"))
def find_detections(
    params: Params,
    images: Float[Array, "n H W 1"],
    extents: Int[Array, "n 2"],
    min_score: float | Float[Array, ""],
    *,
    config: DetectorConfig,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> Candidates:
    """Returns the detections of a batch as candidates with their scores, without boxes.

    The result does not depend on how much padding there is.

    Args:
      params: as `init` or `load_checkpoint` return them.
      images: `[n, H, W, 1]` float32 in 0–1, ink bright. Of image i only the pixels
        `[:extents[i, 0], :extents[i, 1]]` are image; the rest is zero.
      extents: `[n, 2]` height and width of each image in px.
      min_score: the lowest score of a detection, 0–1. It is traced and replaces
        `config.min_score`, so that one program serves all thresholds.
      config: the constants of detection.
      precision: that of the matrix products, as for `response_maps`.

    Returns:
      At most `config.max_detections` entries an image, or if that is None
      `default_max_detections`, by descending score. Their priority is the
      score, or −1 where there is no detection.
    """
    shape = images.shape[1:3]
    sizes = pyramid_sizes(config.min_size, config.max_size, max(shape), config.peaks)
    max_detections = config.max_detections or default_max_detections(shape)
    scales = [INPUT_SIDE / size for size in sizes]
    levels = pyramid_levels(shape, sizes, config.peaks)
    padding = pyramid_padding(scales)
    images = jnp.pad(images, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    limits = [extents.astype(jnp.float32) * (scale / STRIDE) for scale in scales]
    valid_extents = [jnp.floor(limit).astype(jnp.int32) + 1 for limit in limits]
    maps = pyramid_maps(
        params,
        images,
        levels,
        partial(average_margin, config=config.peaks),
        config.peaks.averaging_windows - 1,
        valid_extents=valid_extents,
        precision=precision,
    )
    # A whole digit suppresses its parts even if its own score is below min_score.
    whole_min_margin = config.part_suppression.whole_min_margin
    peaks = [
        peaks_of_level(
            images,
            level,
            margins,
            labels,
            extents,
            threshold=jnp.minimum(min_score, whole_min_margin),
            confident_margin=whole_min_margin,
            log_size=log_size,
            max_detections=max_detections,
            peaks=config.peaks,
            contact=config.border_contact,
        )
        for (margins, labels), level, log_size in zip(maps, levels, log_sizes(sizes), strict=True)
    ]
    candidates = merge_levels(peaks, max_detections)
    return suppress_and_calibrate(candidates, min_score, config)


def suppress_and_calibrate(
    candidates: Candidates, min_score: float | Float[Array, ""], config: DetectorConfig
) -> Candidates:
    """Returns the detections among the candidates, by descending score of the search.

    Candidates below min_score still suppress others. So a higher threshold removes the less certain
    detections and changes nothing else.

    Args:
      candidates: as `merge_levels` returns them; their scores are margins.
      min_score: the lowest score of the search, 0–1.
      config: the constants of suppression and calibration.

    Returns:
      The same number of entries; their priority is their score, or −1 where there is no detection.
    """
    windows, labels, margins, contacts, priority, _ = candidates
    suppress_parts = partial(part_suppression, config=config.part_suppression)
    parts = jax.vmap(suppress_parts)(windows, margins, contacts, priority)
    whole = jnp.where(parts, -1.0, priority)
    nms_config = config.nms
    strict = partial(nms, radius=nms_config.radius, max_size_ratio=nms_config.max_size_ratio)
    soft = partial(
        nms,
        radius=nms_config.overlap_radius,
        max_size_ratio=nms_config.overlap_max_size_ratio,
    )
    kept, soft_kept = jax.vmap(strict)(windows, whole), jax.vmap(soft)(windows, whole)
    scores = calibrate(labels, margins, contacts, config.calibration)
    scores *= jnp.where(kept, 1.0, nms_config.overlap_score_factor)
    detected = (kept | soft_kept) & (scores >= min_score)
    candidates = candidates._replace(scores=scores)
    return sort_by_priority(candidates, jnp.where(detected, scores, -1.0), priority.shape[1])
