"""How well are digits found, and how often where there are none: `standard` against `paper`?

The families of scenes, composed of test digits, and images without a digit: photographs,
textures and figures that training never saw (scikit-image's own), blank ones of every grey, and
letters, which are reported apart. Scenes are normalised, as `digits-jax detect` does; the other
images are searched as they are, and photographs normalised, too. The weights that the package comes
with at the default sizes; and, as the paper reads an image at one scale, `paper` and those at that.

Command:   python experiments/detection.py
           python experiments/detection.py --sizes 28 28 --weights released runs/paper-0
Hardware:  any; needs the extra [bench].
Time:      on 2 cores three hours at the default sizes, ten minutes for each of the weights at one
           scale; on a GPU minutes.
Result:    experiments/results/detection.json; the figures are in the README.
"""

import json
import string
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from digits_jax import detect
from digits_jax.cli.arguments import resolve_weights
from digits_jax.cli.score import LOW_SCORE
from digits_jax.data import scenes
from digits_jax.detect.detector import MAX_SIZE, MIN_SIZE
from digits_jax.detect.inputs import default_min_score
from digits_jax.eval.detection_metrics import score_detections
from digits_jax.images.normalise import normalise
from experiments.common.provenance import RESULTS, provenance, write_result

PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "coins", "moon", "rocket", "retina",
               "hubble_deep_field", "motorcycle_left")  # fmt: skip
TEXTURES = ("brick", "grass", "gravel", "ihc", "cell")
FIGURES = ("horse", "phantom", "chessboard_GRAY", "chessboard_RGB", "logo")
NORMALISED = "photographs, normalised"
Find = Callable[[np.ndarray], detect.BatchDetections]

SIDE = 300  # px: images without digits are cut into squares of it, so that one program serves all


def _asked(row: dict[str, Any]) -> tuple[object, ...]:
    return row["weights"], tuple(row["sizes"]), row["images"]


def _measured(
    find: Find, families: list[str], split: str, count: int, kinds: list[str]
) -> Iterator[dict[str, Any]]:
    for family in families:
        yield _scenes(find, family, split, count)
    for kind in kinds:
        yield _without_digits(find, kind)


def _scenes(find: Find, family: str, split: str, count: int) -> dict[str, Any]:
    composed = scenes.compose(family, split, count, seed=0)
    begun = time.monotonic()
    found = [
        detection
        for first in tqdm(range(0, count, 10), desc=family)
        for detection in _found(find, [normalise(s.image) for s in composed[first : first + 10]])
    ]
    seconds = (time.monotonic() - begun) / count
    least = default_min_score(composed[0].image, normalised=True)  # those of a family are of a kind
    scores = score_detections(composed, found, min_score=least)
    figures = {key: round(value, 4) for key, value in scores._asdict().items()}
    return {"images": family, "min_score": least, **figures, "seconds_per_image": round(seconds, 2)}


def _found(find: Find, images: list[np.ndarray]) -> list[detect.Detections]:
    batch = find(np.stack(images))
    return [batch.of_image(i) for i in range(len(images))]


def _without_digits(find: Find, kind: str) -> dict[str, Any]:
    cut = KINDS[kind]()
    normalised = kind == NORMALISED
    found = 0
    for first in tqdm(range(0, len(cut), 10), desc=kind):
        batch = cut[first : first + 10]
        least = [default_min_score(picture, normalised=normalised) for picture in batch]
        images = [normalise(picture) for picture in batch] if normalised else batch
        images += [np.zeros_like(images[0])] * (10 - len(images))
        each = zip(_found(find, images), least, strict=False)  # none is asked of what fills up
        found += sum(len(digits.from_score(of_picture).labels) for digits, of_picture in each)
    megapixels = len(cut) * SIDE**2 / 1e6
    rate = round(found / megapixels, 2)
    return {"images": kind, "megapixels": round(megapixels, 2), "false_per_megapixel": rate}


def _photographs(*names: str) -> list[np.ndarray]:
    return [square for name in names for square in squares(grey(photograph(name)))]


def _coloured(*names: str) -> list[np.ndarray]:
    return [square for name in names for square in squares(photograph(name))]


def _blank() -> list[np.ndarray]:
    return [np.full((SIDE, SIDE), level, np.uint8) for level in range(0, 256, 15)]


def photograph(name: str) -> np.ndarray:
    """One of scikit-image's own pictures, in colour."""
    from skimage import data

    file = next(Path(data.__file__).parent.glob(f"{name}.*"))
    return np.asarray(Image.open(file).convert("RGB"))


def grey(image: np.ndarray) -> np.ndarray:
    """The luma of colours."""
    return np.asarray(Image.fromarray(image).convert("L"))


def squares(image: np.ndarray) -> list[np.ndarray]:
    """Whole squares of an image, from its middle; a smaller image is put on black."""
    below, beside = (max(0, SIDE - side) for side in image.shape[:2])
    image = np.pad(image, ((0, below), (0, beside), *[(0, 0)] * (image.ndim - 2)))
    rows, columns = (side // SIDE for side in image.shape[:2])
    top, left = (image.shape[0] - rows * SIDE) // 2, (image.shape[1] - columns * SIDE) // 2
    return [
        image[top + SIDE * r : top + SIDE * (r + 1), left + SIDE * c : left + SIDE * (c + 1)]
        for r in range(rows)
        for c in range(columns)
    ]


def letters(seed: int) -> np.ndarray:
    """Lines of Latin letters of 16 to 60 px, in Pillow's own font."""
    rng = np.random.default_rng(seed)
    page = Image.new("L", (SIDE, SIDE))
    draw, y = ImageDraw.Draw(page), 4.0
    while y < SIDE - 60:
        size = float(rng.uniform(16, 60))
        text = "".join(rng.choice(list(string.ascii_letters), 24))
        draw.text((4, y), text, fill=255, font=ImageFont.load_default(size))
        y += 1.2 * size
    return np.asarray(page)


KINDS: dict[str, Callable[[], list[np.ndarray]]] = {
    "photographs": partial(_photographs, *PHOTOGRAPHS),
    NORMALISED: partial(_coloured, *PHOTOGRAPHS),
    "textures": partial(_photographs, *TEXTURES),
    "figures": partial(_photographs, *FIGURES),
    "blank": _blank,
    "letters": lambda: [letters(seed) for seed in range(10)],
}


def main(
    weights: Annotated[list[str], tyro.conf.arg(metavar="WEIGHTS…")] = ["released"],  # noqa: B006
    families: Annotated[list[str], tyro.conf.arg(metavar="FAMILY…")] = [*scenes.SCENE_DATASETS],  # noqa: B006
    sizes: tuple[float, float] = (MIN_SIZE, MAX_SIZE),
    count: int = 200,
    split: str = "test",
    kinds: Annotated[list[str], tyro.conf.arg(metavar="KIND…")] = [*KINDS],  # noqa: B006
) -> None:
    """Scores each of the weights and adds it to what is already written down."""
    name = "detection" if split == "test" else f"detection_{split}"
    path = RESULTS / f"{name}.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    made = provenance(["scikit-image"])
    for chosen in weights:
        params = resolve_weights(chosen)
        find = partial(
            detect.detect_batch, params, min_size=sizes[0], max_size=sizes[1], min_score=LOW_SCORE
        )
        for measured in _measured(find, families, split, count, kinds):
            row = {"weights": Path(chosen).stem, "sizes": list(sizes), **measured, **made}
            rows = [other for other in rows if _asked(other) != _asked(row)] + [row]
            write_result(name, {"question": "How well are digits found?", "rows": rows})


if __name__ == "__main__":
    tyro.cli(main)
