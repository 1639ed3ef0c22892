"""The paper's Figures 1, 2, 5 and 6, the last two with the paper's training and with `standard`;
pages, as they are seen, as they are normalised, and what is found on them; and what still fails.

Command:   python experiments/figures.py --paper runs/paper-0
Hardware:  any; needs the extra [bench].
Time:      two minutes on 2 cores.
Result:    experiments/results/figure_*.png, pages.png and failures.png, which the README shows in
           part. The flower in the last is dany13's (CC BY 2.0), from scikit-learn.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from PIL import Image, ImageDraw
from scipy import ndimage

from digits_jax import detect
from digits_jax.cli.arguments import resolve_weights
from digits_jax.data import scenes
from digits_jax.data.mnist import load_mnist
from digits_jax.detect.inputs import default_min_score
from digits_jax.detect.visualize import draw_detections, draw_response_maps
from digits_jax.images.normalise import normalise
from digits_jax.models.cnn import INPUT_SIDE, Params
from experiments.common.provenance import RESULTS


def main(
    released: str = "released",
    paper: str | None = None,
    native_seed: int = 4,
    mixed_seed: int = 9,
) -> None:
    """Draws all of them; scenes are of test digits, their number and places by the seeds.

    Without the work folder of a run of `paper`, its pictures stay as they are.
    """
    digits = load_mnist().test.images[: 8 * 20].reshape(8, 20, INPUT_SIDE, INPUT_SIDE)
    sheet = digits.transpose(0, 2, 1, 3).reshape(8 * INPUT_SIDE, 20 * INPUT_SIDE)
    Image.fromarray(np.asarray(sheet)).save(RESULTS / "figure_1.png")

    params = resolve_weights(released)
    mixed = scenes.compose("mnist-od", "test", 1, mixed_seed)[0].image
    draw_detections(mixed, detect.detect(params, mixed)).save(RESULTS / "figure_2.png")

    rows = [_page(params, family, seed) for family, seed in (("page", 2), ("coloured", 1))]
    Image.fromarray(np.concatenate(rows)).save(RESULTS / "pages.png")

    failures = [_found(params, picture) for picture in (_flower(), _discs(), _thick_ink())]
    Image.fromarray(np.concatenate(failures, axis=1)).save(RESULTS / "failures.png")

    native = scenes.compose("native", "test", 1, native_seed)[0].image
    pixels = jnp.asarray(native[None, ..., None], jnp.float32) / 255
    drawn = {"standard": params} | ({"paper": resolve_weights(paper)} if paper else {})
    for name, weights in drawn.items():
        maps = jax.device_get(detect.response_maps(weights, pixels))
        files = (RESULTS / f"figure_{number}_{name}.png" for number in (5, 6))
        draw_response_maps(native, maps, *files)


def _page(params: Params, family: str, seed: int) -> np.ndarray:
    """A scene as it is seen, its ink, and its digits, side by side."""
    picture = scenes.compose(family, "test", 1, seed)[0].image
    ink = np.dstack([normalise(picture)] * 3)
    return np.concatenate([picture, ink, _found(params, picture)], axis=1)


def _found(params: Params, picture: np.ndarray) -> np.ndarray:
    """A picture with the digits that are found in it."""
    least = default_min_score(picture, normalised=True)
    found = draw_detections(picture, detect.detect(params, normalise(picture), min_score=least))
    return np.asarray(found.resize(picture.shape[1::-1]))


def _flower() -> np.ndarray:
    """The right half of scikit-learn's."""
    import sklearn.datasets

    file = Path(sklearn.datasets.__file__).parent / "images" / "flower.jpg"
    return np.asarray(Image.open(file).convert("RGB").crop((320, 63, 620, 363)))


def _discs() -> np.ndarray:
    """Discs and wheels, dark on light."""
    page = Image.new("RGB", (300, 300), "#ddd5c5")
    draw = ImageDraw.Draw(page)
    for number, radius in enumerate((12, 20, 30)):
        x, y = 60 + 90 * number, 80
        draw.circle((x, y), radius, fill="#28242c")
        draw.circle((x, y + 130), radius, outline="#28242c", width=4)
        for angle in np.arange(0, np.pi, np.pi / 3):
            across, down = radius * np.cos(angle), radius * np.sin(angle)
            ends = (x - across, y + 130 - down, x + across, y + 130 + down)
            draw.line(ends, fill="#28242c", width=3)
    return np.asarray(page)


def _thick_ink() -> np.ndarray:
    """Test digits of 100 px by thicker and thicker pens, dark on light."""
    page = Image.new("L", (300, 300))
    for number, digit in enumerate(load_mnist().test.images[:9].reshape(9, INPUT_SIDE, INPUT_SIDE)):
        row, column = divmod(number, 3)
        large = Image.fromarray(np.asarray(digit)).resize((100, 100), Image.Resampling.BICUBIC)
        thick = ndimage.grey_dilation(np.asarray(large), size=(1 + 8 * row,) * 2)
        page.paste(Image.fromarray(thick), (100 * column, 100 * row))
    return np.dstack([255 - np.asarray(page)] * 3)


if __name__ == "__main__":
    tyro.cli(main)
