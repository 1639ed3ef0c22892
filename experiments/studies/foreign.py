r"""Are digits found that MNIST's writers did not write?

Scenes of pages (`scenes`, family `page`: dark ink, 24 to 64 px, in uneven light) of two kinds of
digits, each framed as MNIST's makers framed theirs: the UCI set of handwritten digits (Alpaydin and
Kaynak, 1998; 43 writers, 8×8 px) that comes with scikit-learn, and handwriting fonts. None of them
has been trained on or chosen by.

Command:   apt-get install fonts-dkg-handwriting fonts-breip fonts-bwht \
               fonts-humor-sans fonts-klee fonts-rufscript fonts-sjfonts, then
           python experiments/foreign.py
Hardware:  any; needs the extra [bench] and Debian's fonts.
Time:      on 2 cores half an hour.
Result:    experiments/results/foreign.json; the figures are in the README.
"""

from pathlib import Path
from typing import Any

import numpy as np
import tyro
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from digits_jax.cli.arguments import resolve_weights
from digits_jax.cli.score import LOW_SCORE
from digits_jax.data import scenes
from digits_jax.data.mnist import Dataset, Mnist
from digits_jax.detect.detector import detect
from digits_jax.detect.inputs import default_min_score
from digits_jax.eval.detection_metrics import score_detections
from digits_jax.images.mnist_format import frame_digit
from digits_jax.images.normalise import normalise
from experiments.common.provenance import provenance, write_result

FOLDER = Path("/usr/share/fonts")
FONTS = (
    *("dkg", "Breip", "Humor-Sans", "KleeOne-Regular", "Rufscript010", "Delphine"),
    *("SteveHand", "BecauseWeBuild-Regular", "BecauseWeConnect-Regular", "BecauseWeCreate-Regular"),
    *("BecauseWeLearn-Regular", "BecauseWeMentor-Regular", "BecauseWeOrganize-Regular"),
)
DRAWN = 200  # px: a font's digits before they are framed


def main(weights: str = "released", count: int = 60, seed: int = 0) -> None:
    """Composes scenes of each kind of digits and scores what is found in them."""
    params = resolve_weights(weights)
    rows = []
    for name, digits in {"UCI digits": uci(), "handwriting fonts": fonts()}.items():
        composed = scenes.compose("page", "test", count, seed, mnist=Mnist(digits, digits, digits))
        found = [
            detect(params, normalise(scene.image), min_score=LOW_SCORE)
            for scene in tqdm(composed, desc=name)
        ]
        least = default_min_score(composed[0].image, normalised=True)  # all are of a kind
        scores = _rounded(score_detections(composed, found, min_score=least))
        rows.append({**scores, "digits": name, "count": scores["digits"], "min_score": least})
        sure = [digits.from_score(least) for digits in found]
        rows[-1]["by_label"] = [_recall(composed, sure, label) for label in range(10)]
        print(rows[-1])
    question = "Are digits found that are not MNIST's?"
    made = provenance(["scikit-learn"])
    print(write_result("foreign", {"question": question, "weights": weights, **made, "rows": rows}))


def uci() -> Dataset:
    """The UCI digits of scikit-learn, 1,797."""
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    return Dataset(
        np.stack([frame_digit(image) for image in images]), bunch.target.astype(np.uint8)
    )


def fonts() -> Dataset:
    """Ten digits of each font."""
    files = [next(FOLDER.rglob(f"{name}.*tf")) for name in FONTS]
    return Dataset(
        np.stack([_drawn(file, digit) for file in files for digit in "0123456789"]),
        np.tile(np.arange(10, dtype=np.uint8), len(files)),
    )


def _drawn(file: Path, digit: str) -> np.ndarray:
    canvas = Image.new("L", (2 * DRAWN, 2 * DRAWN))
    font = ImageFont.truetype(file, DRAWN)
    ImageDraw.Draw(canvas).text((DRAWN, DRAWN), digit, fill=255, font=font, anchor="mm")
    return frame_digit(np.asarray(canvas))


def _rounded(scores: Any) -> dict[str, Any]:
    return {key: round(value, 4) for key, value in scores._asdict().items()}


def _recall(composed: list[scenes.Scene], found: list[Any], label: int) -> float:
    """The share of a class's digits in whose box a detection of the class lies."""
    right = all_of = 0
    for scene, digits in zip(composed, found, strict=True):
        boxes = digits.boxes_xyxy[digits.labels == label]
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        for box in scene.boxes_xyxy[scene.labels == label]:
            all_of += 1
            right += bool(((centres >= box[:2]) & (centres < box[2:])).all(axis=1).any())
    return round(right / max(all_of, 1), 3)


if __name__ == "__main__":
    tyro.cli(main)
