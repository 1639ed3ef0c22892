"""Draws the paper's Figures 1, 2, 5 and 6, and examples of pages and of failures.

Figures 5 and 6 are drawn with the weights of `standard` and of `paper`. Pages are shown as they
are, normalised, and with their detections.

Command:   python -m experiments.figures.paper_figures --paper runs/paper-0
Hardware:  any; needs the extra [bench].
Time:      two minutes on 2 cores.
Result:    experiments/results/figure_*.png, pages.png and failures.png, of which README.md and
           docs/ show some. The flower in failures.png is dany13's (CC BY 2.0), from scikit-learn.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from PIL import Image, ImageDraw
from scipy import ndimage

from digits_jax import detect
from digits_jax.data import scenes
from digits_jax.data.mnist import load_mnist
from digits_jax.detect.inputs import default_min_score
from digits_jax.detect.visualize import draw_detections, draw_response_maps
from digits_jax.images.normalise import normalise
from digits_jax.images.pixels import uint8_to_float
from digits_jax.models.cnn import INPUT_SIDE, Params
from digits_jax.train.initial_weights import resolve_weights
from experiments.common.provenance import RESULTS


def main(
    pretrained: str = "pretrained",
    paper: str | None = None,
    native_seed: int = 4,
    mixed_seed: int = 9,
) -> None:
    """Draws all figures, of scenes of test digits.

    Args:
        pretrained: Weights of `standard`.
        paper: Work folder of a run of `paper`; without it, its figures stay as they are.
        native_seed: Seed of the scene in Figures 5 and 6.
        mixed_seed: Seed of the scene in Figure 2.
    """
    digits = load_mnist().test.images[: 8 * 20].reshape(8, 20, INPUT_SIDE, INPUT_SIDE)
    grid = digits.transpose(0, 2, 1, 3).reshape(8 * INPUT_SIDE, 20 * INPUT_SIDE)
    Image.fromarray(np.asarray(grid)).save(RESULTS / "figure_1.png")

    params = resolve_weights(pretrained)
    mixed = scenes.compose("mnist-od", "test", 1, mixed_seed)[0].image
    draw_detections(mixed, detect.detect(params, mixed)).save(RESULTS / "figure_2.png")

    rows = [_draw_page(params, name, seed) for name, seed in (("page", 2), ("textured", 1))]
    Image.fromarray(np.concatenate(rows)).save(RESULTS / "pages.png")

    failures = [
        _draw_with_detections(params, picture) for picture in (_flower(), _discs(), _thick_ink())
    ]
    Image.fromarray(np.concatenate(failures, axis=1)).save(RESULTS / "failures.png")

    native = scenes.compose("native", "test", 1, native_seed)[0].image
    pixels = uint8_to_float(jnp.asarray(native[None, ..., None]))
    networks = {"standard": params} | ({"paper": resolve_weights(paper)} if paper else {})
    for name, weights in networks.items():
        maps = jax.device_get(detect.response_maps(weights, pixels))
        files = (RESULTS / f"figure_{number}_{name}.png" for number in (5, 6))
        draw_response_maps(native, maps, *files)


def _draw_page(params: Params, dataset: str, seed: int) -> np.ndarray:
    """Draws a scene, its ink and its detections side by side."""
    picture = scenes.compose(dataset, "test", 1, seed)[0].image
    ink = np.dstack([normalise(picture)] * 3)
    return np.concatenate([picture, ink, _draw_with_detections(params, picture)], axis=1)


def _draw_with_detections(params: Params, picture: np.ndarray) -> np.ndarray:
    """Draws a picture with its detections, at its own size."""
    min_score = default_min_score(picture, normalised=True)
    detections = detect.detect(params, normalise(picture), min_score=min_score)
    annotated = draw_detections(picture, detections)
    return np.asarray(annotated.resize(picture.shape[1::-1]))


def _flower() -> np.ndarray:
    """Cuts the right half out of scikit-learn's flower."""
    import sklearn.datasets

    file = Path(sklearn.datasets.__file__).parent / "images" / "flower.jpg"
    return np.asarray(Image.open(file).convert("RGB").crop((320, 63, 620, 363)))


def _discs() -> np.ndarray:
    """Draws discs and wheels, dark on light."""
    page = Image.new("RGB", (300, 300), "#ddd5c5")
    draw = ImageDraw.Draw(page)
    for number, radius in enumerate((12, 20, 30)):
        x, y = 60 + 90 * number, 80
        draw.circle((x, y), radius, fill="#28242c")
        draw.circle((x, y + 130), radius, outline="#28242c", width=4)
        for angle in np.arange(0, np.pi, np.pi / 3):
            dx, dy = radius * np.cos(angle), radius * np.sin(angle)
            spoke = (x - dx, y + 130 - dy, x + dx, y + 130 + dy)
            draw.line(spoke, fill="#28242c", width=3)
    return np.asarray(page)


def _thick_ink() -> np.ndarray:
    """Draws test digits of 100 px with thicker and thicker strokes, dark on light."""
    page = Image.new("L", (300, 300))
    for number, digit in enumerate(load_mnist().test.images[:9].reshape(9, INPUT_SIDE, INPUT_SIDE)):
        row, column = divmod(number, 3)
        large = Image.fromarray(np.asarray(digit)).resize((100, 100), Image.Resampling.BICUBIC)
        thick = ndimage.grey_dilation(np.asarray(large), size=(1 + 8 * row,) * 2)
        page.paste(Image.fromarray(thick), (100 * column, 100 * row))
    return np.dstack([255 - np.asarray(page)] * 3)


if __name__ == "__main__":
    tyro.cli(main)
