"""The scores of all detections in composed scenes, and whether they are right."""

import numpy as np
from jaxtyping import Bool, Float32

from digits_jax.data.scenes import SCENE_DATASETS, compose
from digits_jax.detect import Detector
from digits_jax.eval.detection_metrics import are_right
from digits_jax.images.normalise import normalise
from digits_jax.runtime.progress import log, progress

Scores = tuple[Float32[np.ndarray, " n"], Bool[np.ndarray, " n"]]


def scene_scores(detector: Detector, split: str, count: int, seed: int = 0) -> dict[str, Scores]:
    """Detects digits in scenes of each dataset.

    Args:
      detector: its `min_score` decides which detections are there.
      split: "validation" or "test".
      count: number of scenes of each dataset.
      seed: of the scenes.

    Returns:
      By dataset, the scores of all detections, and whether each is right.
    """
    return {name: _scores(detector, name, split, count, seed) for name in SCENE_DATASETS}


def _scores(detector: Detector, dataset: str, split: str, count: int, seed: int) -> Scores:
    log(f"{dataset}, {split}")
    scenes = compose(dataset, split, count, seed)
    images = [normalise(scene.image) for scene in scenes]
    results = progress(detector.detect_each(enumerate(images)), "image", count)
    found = [detections for _, _, detections in results]
    rights = [are_right(*pair) for pair in zip(scenes, found, strict=True)]
    return np.concatenate([image.scores for image in found]), np.concatenate(rights)
