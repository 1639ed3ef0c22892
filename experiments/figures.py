"""The paper's Figures 1, 2, 5 and 6, the last two with the paper's training and with `standard`;
and pages, as they are seen, as they are normalised, and what is found on them.

Command:   python experiments/figures.py --paper runs/paper-0
Hardware:  any.
Time:      two minutes on 2 cores.
Result:    experiments/results/figure_*.png and pages.png, some of which the README shows.
"""

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from PIL import Image
from provenance import RESULTS

from digits_jax import detect, scenes
from digits_jax.annotate import annotate, draw_maps
from digits_jax.data import load_mnist
from digits_jax.network import SIDE, Params
from digits_jax.normalise import normalise
from digits_jax.weights import resolve_weights


def main(
    released: str = "released",
    paper: str | None = None,
    native_seed: int = 4,
    mixed_seed: int = 9,
) -> None:
    """Draws all of them; scenes are of test digits, their number and places by the seeds.

    Without the work folder of a run of `paper`, its pictures stay as they are.
    """
    digits = load_mnist().test.images[: 8 * 20].reshape(8, 20, SIDE, SIDE)
    sheet = digits.transpose(0, 2, 1, 3).reshape(8 * SIDE, 20 * SIDE)
    Image.fromarray(np.asarray(sheet)).save(RESULTS / "figure_1.png")

    params = resolve_weights(released)
    mixed = scenes.compose("mnist-od", "test", 1, mixed_seed)[0].image
    annotate(mixed, detect.detect(params, mixed)).save(RESULTS / "figure_2.png")

    rows = [_page(params, family, seed) for family, seed in (("page", 2), ("coloured", 1))]
    Image.fromarray(np.concatenate(rows)).save(RESULTS / "pages.png")

    native = scenes.compose("native", "test", 1, native_seed)[0].image
    pixels = jnp.asarray(native[None, ..., None], jnp.float32) / 255
    drawn = {"standard": params} | ({"paper": resolve_weights(paper)} if paper else {})
    for name, weights in drawn.items():
        maps = jax.device_get(detect.response_maps(weights, pixels))
        files = (RESULTS / f"figure_{number}_{name}.png" for number in (5, 6))
        draw_maps(native, maps, *files)


def _page(params: Params, family: str, seed: int) -> np.ndarray:
    """A scene as it is seen, its ink, and its digits, side by side."""
    picture = scenes.compose(family, "test", 1, seed)[0].image
    ink = normalise(picture)
    found = annotate(picture, detect.detect(params, ink)).resize(picture.shape[1::-1])
    return np.concatenate([picture, np.dstack([ink] * 3), np.asarray(found)], axis=1)


if __name__ == "__main__":
    tyro.cli(main)
