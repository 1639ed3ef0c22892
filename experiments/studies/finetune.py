"""Do a hundred pictures a digit of another hand improve the pretrained weights, and at what cost?

The weights are fine-tuned on pictures of one kind, and counted on others of the same kind, which
are neither trained on nor chosen by, and on MNIST's test digits:

- UCI's optical digits of scikit-learn, of 8×8 px: the first 100 of each digit train. They are in
  the order of their writers, so that most of the others are of other writers.
- The digits of the validation fonts of the package: two families of three train, the third tests.
- The same leaning far to the left, as some left-handed people write: MNIST has few such.

Each is tried with the configuration `finetune` and several seeds; UCI's digits with one change at a
time as well. Detection before and after is scored on scenes of MNIST's validation digits.

Command:   python -m experiments.studies.finetune
Hardware:  any; needs scikit-learn, of the extra [bench], and pycocotools, of [eval].
Time:      half an hour on 2 cores.
Result:    experiments/results/finetune.json
"""

import dataclasses
import tempfile
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import tyro
from PIL import Image

from digits_jax.data.custom.framing import RawDigits, frame_arrays
from digits_jax.data.font_glyphs import GLYPHS_FILE, load_font_digits
from digits_jax.data.mnist import Dataset, Mnist, load_mnist
from digits_jax.data.scenes import compose
from digits_jax.detect import Detector
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.detect.inputs import default_min_score
from digits_jax.eval.detection_metrics import AP_MIN_SCORE, check_pycocotools, score_detections
from digits_jax.images.mnist_format import frame_ink
from digits_jax.images.normalise import normalise
from digits_jax.models.cnn import Params
from digits_jax.models.weights import load_pretrained
from digits_jax.train.config import TrainConfig
from digits_jax.train.evaluate import count_errors
from digits_jax.train.loop import train
from digits_jax.train.named_configs import CONFIGS
from digits_jax.train.pictures import DrawnPictures, draw_pictures
from experiments.common.provenance import provenance, write_result
from experiments.studies.detection import detect_all

PICTURES_A_DIGIT = 100
LEAN = 0.6  # px that the top of a digit lies to the left for each px of height
CHANGES: dict[str, dict[str, Any]] = {
    "no digits of MNIST beside": {"mnist_share": 0.0},
    "dense layers alone": {"convolution_share": 0.0},
    "a third of the rate": {"learning_rate": CONFIGS["finetune"].learning_rate / 3},
}
SCENES = ("native", "page")


class Run(NamedTuple):
    """One fine-tuning."""

    digits: str  # a name of `load_hands`
    config: str  # "finetune", or a name of `CHANGES`
    seed: int


def main(seeds: tuple[int, ...] = (0, 1, 2), scenes: int = 40) -> None:
    """Fine-tunes and counts errors before and after; writes what it has after each run.

    Args:
        seeds: Seeds of the runs with the configuration as it is; the changes have the first one.
        scenes: Number of scenes of each dataset on which detection is scored.
    """
    check_pycocotools()
    mnist, hands, pretrained = load_mnist(), load_hands(), load_pretrained()
    runs = [Run("UCI", "finetune", seed) for seed in seeds]
    runs += [Run(name, "finetune", seeds[0]) for name in hands if name != "UCI"]
    runs += [Run("UCI", change, seeds[0]) for change in CHANGES]
    runs += [Run(name, "finetune", seed) for seed in seeds[1:] for name in hands if name != "UCI"]
    before = {name: count(pretrained, apart, mnist) for name, (_, apart) in hands.items()}
    detection = {"before": score_scenes(pretrained, mnist, scenes)}
    rows: list[dict[str, Any]] = []
    question = "Do a hundred pictures a digit improve the pretrained weights, and at what cost?"
    header = {"question": question, **provenance(["scikit-learn"]), "scenes": scenes}
    header["finetune"] = dataclasses.asdict(CONFIGS["finetune"])
    for run in runs:
        own, apart = hands[run.digits]
        change = CHANGES.get(run.config, {})
        config = dataclasses.replace(CONFIGS["finetune"], **change)
        params = fine_tune(config, own, mnist, run.seed)
        counts = {"own_pictures": len(own.labels), "test_digits": len(apart.labels)}
        errors = {"before": before[run.digits], "after": count(params, apart, mnist)}
        rows.append({**run._asdict(), "change": change, **counts, **errors})
        if run.config == "finetune" and run.seed == seeds[0]:
            detection[run.digits] = score_scenes(params, mnist, scenes)
        write_result("finetune", {**header, "rows": rows, "detection": detection})
        print(rows[-1], flush=True)


def load_hands() -> dict[str, tuple[Dataset, Dataset]]:
    """Returns each kind of digits: those to fine-tune on, and those to test on."""
    return {"UCI": split_by_count(load_uci()), **load_font_hands()}


def load_font_hands() -> dict[str, tuple[Dataset, Dataset]]:
    """Returns the digits of fonts of both kinds: two families of three, and the third."""
    fonts = load_font_digits("validation")
    with np.load(GLYPHS_FILE, allow_pickle=False) as glyphs:
        is_test = glyphs["validation_digit_families"] % 3 == 0
    return {
        "fonts leaning left": (lean(select(fonts, ~is_test)), lean(select(fonts, is_test))),
        "fonts": (select(fonts, ~is_test), select(fonts, is_test)),
    }


def load_uci() -> Dataset:
    """Loads the 1,797 UCI digits of scikit-learn, framed as digits of one's own are."""
    from sklearn import datasets

    bunch: Any = datasets.load_digits()
    return frame_arrays(RawDigits("scikit-learn", bunch.images, bunch.target)).digits


def split_by_count(digits: Dataset) -> tuple[Dataset, Dataset]:
    """Returns the first `PICTURES_A_DIGIT` of each digit, and the others."""
    labels = np.asarray(digits.labels)
    is_first = np.zeros(len(labels), bool)
    for label in range(10):
        is_first[np.flatnonzero(labels == label)[:PICTURES_A_DIGIT]] = True
    return select(digits, is_first), select(digits, ~is_first)


def lean(digits: Dataset) -> Dataset:
    """Returns digits that lean by `LEAN`, framed anew."""
    images = []
    for image in np.asarray(digits.images):
        large = Image.fromarray(np.pad(image, 14)).resize((224, 224), Image.Resampling.BICUBIC)
        shear = (1, -LEAN, LEAN * 112, 0, 1, 0)  # about the middle row
        images.append(
            frame_ink(np.asarray(large.transform((224, 224), Image.Transform.AFFINE, shear)))
        )
    return Dataset(np.stack(images), np.asarray(digits.labels))


def select(digits: Dataset, rows: np.ndarray) -> Dataset:
    """Returns the digits of some rows."""
    return Dataset(np.asarray(digits.images)[rows], np.asarray(digits.labels)[rows])


def fine_tune(config: TrainConfig, own: Dataset, mnist: Mnist, seed: int) -> Params:
    """Fine-tunes the pretrained weights in a folder that is deleted afterwards.

    While it trains, only a few of MNIST's test digits are counted, to save time.
    """
    few = Dataset(mnist.test.images[:500], mnist.test.labels[:500])
    with tempfile.TemporaryDirectory() as folder:
        return train(
            config,
            folder,
            seed,
            mnist=mnist._replace(test=few),
            digits=own,
            init="pretrained",
            draw_pictures=draw_pictures_once,
        )


@cache
def _draw(config: TrainConfig) -> DrawnPictures:
    return draw_pictures(load_mnist(log=lambda _: None).train, config)


def draw_pictures_once(_: Dataset, config: TrainConfig) -> DrawnPictures:
    """Returns the pictures of the configuration, which are the same for all runs."""
    drawn = _draw(CONFIGS["finetune"])
    return drawn if config.other_hands else drawn._replace(hands=None)


def count(params: Params, apart: Dataset, mnist: Mnist) -> dict[str, int]:
    """Returns the errors on the digits apart and on MNIST's test digits."""
    return {"own": count_errors(params, apart), "mnist": count_errors(params, mnist.test)}


def score_scenes(params: Params, mnist: Mnist, number: int) -> dict[str, float]:
    """Returns F1 at the default thresholds on scenes of validation digits."""
    detector = Detector(params, dataclasses.replace(DEFAULT_CONFIG, min_score=AP_MIN_SCORE))
    scores = {}
    for name in SCENES:
        scenes = compose(name, "validation", number, 0, mnist=mnist)
        found = detect_all(detector, [normalise(scene.image) for scene in scenes])
        min_score = default_min_score(scenes[0].image, normalised=True)
        scores[name] = round(score_detections(scenes, found, min_score=min_score).f1, 4)
    return scores


if __name__ == "__main__":
    tyro.cli(main)
