"""The command `digits-jax score`."""

from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import Literal

import numpy as np

from digits_jax.cli.arguments import Weights, resolve_weights
from digits_jax.data.mnist import load_mnist
from digits_jax.data.scenes import Scene, compose
from digits_jax.detect.detector import Detections, detect_batch
from digits_jax.detect.inputs import default_min_score
from digits_jax.eval.detection_metrics import score_detections as score_detections
from digits_jax.images.normalise import normalise
from digits_jax.models.cnn import Params
from digits_jax.runtime.errors import ArgumentError
from digits_jax.runtime.progress import log, progress

SCENES_AT_ONCE = 10
LOW_SCORE = 0.01  # average precision takes detections that are this unsure


def score(
    *,
    family: Literal["native", "savi-d", "mnist-od", "page", "coloured"],
    split: Literal["validation", "test"] = "test",
    count: int = 200,
    seed: int = 0,
    weights: Weights = "released",
    json: bool = False,
    data_dir: Path | None = None,
) -> None:
    """Score detection on scenes composed from MNIST's digits, normalised as `detect` does it.

    Args:
        family: What the scenes are like: `native` digits of 28 px, apart; `savi-d` of 22 to 36 px,
            apart; `mnist-od` of 15 to 99 px, which may overlap; `page` of 24 to 64 px, apart, dark
            on paper as a camera sees it; `coloured` the same, faint on flowing colours.
        split: Of MNIST, whose digits are drawn; the network was not trained on either.
        count: How many scenes.
        seed: Of the scenes.
        weights: The package's weights, a folder of `digits-jax train`, or a .safetensors file.
        json: Print one JSON object instead of a sentence.
        data_dir: Folder with MNIST, as for `train`.
    """
    if count < 1 or seed < 0:
        raise ArgumentError(
            f"expected --count of 1 or more and --seed of 0 or more; got {count} and {seed}"
        )
    params = resolve_weights(weights)
    scenes = compose(family, split, count, seed, mnist=load_mnist(data_dir, log))
    least = default_min_score(scenes[0].image, normalised=True)  # those of a family are of a kind
    scores = score_detections(scenes, _found_in(params, scenes), min_score=least)
    if json:
        asked = {"family": family, "split": split, "count": count, "seed": seed}
        print(dumps({**asked, "weights": weights, "min_score": least, **scores._asdict()}))
        return
    print(
        f"{scores.ap50:.2%} AP50 ({scores.ap50_voc07:.2%} as in VOC 2007) on {count:,} {family} "
        f"scenes of {scores.digits:,} {split} digits, seed {seed}; from score {least:g} up "
        f"{scores.precision:.2%} precision, {scores.recall:.2%} recall, F1 {scores.f1:.2%}, "
        f"{scores.right_count:.2%} of the scenes with the right count"
    )


def _found_in(params: Params, scenes: Sequence[Scene]) -> list[Detections]:
    """Detections of scenes of one size, those that average precision takes included."""
    detections: list[Detections] = []
    starts = range(0, len(scenes), SCENES_AT_ONCE)
    for start in progress(starts, "batch", len(starts)):
        images = [normalise(scene.image) for scene in scenes[start : start + SCENES_AT_ONCE]]
        # Filled up, since another number of images would be another program.
        full = np.stack(images + images[-1:] * (SCENES_AT_ONCE - len(images)))
        found = detect_batch(params, full, min_score=LOW_SCORE)
        detections += [found.of_image(i) for i in range(len(images))]
    return detections
