"""The command `digits-jax score`."""

import dataclasses
from collections.abc import Sequence
from json import dumps
from typing import Annotated, Literal

import tyro

from digits_jax.cli.arguments import (
    PRETRAINED,
    DataDirArgument,
    LoadedModel,
    WeightsArgument,
    load_model,
)
from digits_jax.data.mnist import load_mnist
from digits_jax.data.scenes import Scene, canonical_dataset, compose
from digits_jax.detect.detections import Detections
from digits_jax.detect.detector import Detector
from digits_jax.detect.inputs import default_min_score
from digits_jax.eval.detection_metrics import AP_MIN_SCORE, check_pycocotools, score_detections
from digits_jax.images.normalise import normalise
from digits_jax.runtime.checks import check_range
from digits_jax.runtime.progress import log, progress


def score(
    *,
    dataset: Annotated[
        # `coloured` is the former name of `textured`.
        Literal["native", "savi-d", "mnist-od", "page", "textured", "coloured"],
        # tyro prints aliases first, and --family is the former name.
        tyro.conf.arg(
            name="family",
            aliases=["--dataset"],
            metavar="{native,savi-d,mnist-od,page,textured}",
        ),
    ],
    split: Literal["validation", "test"] = "test",
    count: int = 200,
    seed: int = 0,
    weights: WeightsArgument = PRETRAINED,
    json: bool = False,
    data_dir: DataDirArgument = None,
) -> None:
    """Measure how well `detect` finds the digits of composed scenes, and print the metrics.

    A scene is an image that is composed of MNIST's digits at random places. It is normalised as
    `detect` normalises images. The metrics are average precision at IoU 0.5 (AP50) over all
    detections, and four metrics of those that reach the default score threshold of `detect`:
    precision, recall, F1 and count accuracy, which is the share of scenes with the right number of
    detections. The command needs the package's extra `eval` (pycocotools).

    Args:
        dataset: The kind of scenes. `native` has digits of 28 px, `savi-d` of 22 to 36 px, and
            `mnist-od` of 15 to 99 px, which may overlap. `page` has dark digits of 24 to 64 px on
            paper, as a camera sees it. `textured` has faint digits on a coloured texture.
        split: The digits of MNIST that the scenes are composed of. The network was trained on
            neither split.
        count: Number of scenes, at least 1.
        seed: Seed of the scenes, at least 0. The same arguments give the same scenes.
        weights: The weights to use: `pretrained` for those of the package, a folder that
            `digits-jax train` has written, or a .safetensors file.
        json: Print one JSON object instead of a sentence.
        data_dir: Folder with MNIST, as for `train`.
    """
    check_range("--count", count, 1)
    check_range("--seed", seed, 0)
    check_pycocotools()
    model = load_model(weights)
    name = canonical_dataset(dataset)
    scenes = compose(name, split, count, seed, mnist=load_mnist(data_dir, log))
    # All scenes of a dataset are ink on black, or none is.
    min_score = default_min_score(scenes[0].image, normalised=True, config=model.config)
    metrics = score_detections(scenes, _detect_scenes(model, scenes), min_score=min_score)
    if json:
        former_names = {"family": dataset, "right_count": metrics.count_accuracy}
        settings = {"dataset": name, "split": split, "count": count, "seed": seed}
        settings |= {"weights": weights, "min_score": min_score}
        print(dumps({**former_names, **settings, **metrics._asdict()}))
        return
    print(
        f"AP50 {metrics.ap50:.2%} on {count:,} {name} scenes of {metrics.digits:,} {split} digits "
        f"(seed {seed}); at scores from {min_score:g} up: precision {metrics.precision:.2%}, "
        f"recall {metrics.recall:.2%}, F1 {metrics.f1:.2%}, "
        f"count accuracy {metrics.count_accuracy:.2%}"
    )


def _detect_scenes(model: LoadedModel, scenes: Sequence[Scene]) -> list[Detections]:
    """Returns the detections in each scene from AP_MIN_SCORE up."""
    config = dataclasses.replace(model.config, min_score=AP_MIN_SCORE)
    detector = Detector(model.params, config, log=log)
    images = ((k, normalise(scene.image)) for k, scene in enumerate(scenes))
    results = progress(detector.detect_each(images), "image", len(scenes))
    return [detections for _, _, detections in results]
