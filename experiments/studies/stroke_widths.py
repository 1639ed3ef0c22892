"""Does `classify` gain from framing digits as MNIST does, and from normalising stroke widths?

Draws validation digits eight times as large with thinner and thicker strokes: pixels are added to
or removed from the edges by half of the difference in width. The digits are classified in three
ways: scaled to 28×28 pixels; framed as MNIST's digits are; and framed with a normal stroke width,
as `digits-jax classify` does.

Command:   python -m experiments.studies.stroke_widths
Hardware:  any.
Time:      two minutes on 2 cores.
Result:    experiments/results/stroke_widths.json; the verdict is in experiments/LOG.md.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from PIL import Image
from scipy import ndimage

from digits_jax.data.mnist import load_mnist
from digits_jax.images.mnist_format import frame_digit, normalise_stroke_width
from digits_jax.images.pixels import uint8_to_float
from digits_jax.models.cnn import INPUT_SIDE, classify
from digits_jax.models.weights import load_pretrained
from experiments.common.provenance import provenance, write_result

ENLARGEMENT = 8
WIDTHS = (0.8, 1.2, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)  # px in a digit of 28×28

Preprocess = Callable[[np.ndarray], np.ndarray]


def main(count: int = 1000) -> None:
    """Classifies the first validation digits at each stroke width, preprocessed in each way.

    Args:
        count: Number of digits.
    """
    digits = load_mnist().validation
    images, labels = np.asarray(digits.images[:count]), np.asarray(digits.labels[:count])
    methods: dict[str, Preprocess] = {
        "scaled": lambda picture: _resize(picture, INPUT_SIDE),
        "framed": frame_digit,
        "framed, normal stroke width": lambda picture: frame_digit(normalise_stroke_width(picture)),
    }
    predict = jax.jit(lambda pixels: jnp.argmax(classify(load_pretrained(), pixels), axis=-1))
    rows = []
    for width in WIDTHS:
        pictures = [_draw(image, width) for image in images]
        row: dict[str, float] = {"width": width}
        for name, preprocess in methods.items():
            pixels = np.stack([preprocess(picture) for picture in pictures])[..., None]
            predicted = np.asarray(predict(uint8_to_float(pixels)))
            row[name] = round(float((predicted == labels).mean()), 4)
        rows.append(row)
        print(row)
    question = "Does framing, and a normal stroke width, help to classify thin and thick digits?"
    result = {"question": question, **provenance(), "count": count, "rows": rows}
    print(write_result("stroke_widths", result))


def _draw(digit: np.ndarray, width: float) -> np.ndarray:
    """Draws a digit, enlarged, with strokes of this width."""
    inside = np.pad(_resize(digit, INPUT_SIDE * ENLARGEMENT) > 127, INPUT_SIDE)
    distance = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    current_width = 4 * distance[inside].mean() - 2
    # At least one pixel of the stroke remains.
    distance += max((width * ENLARGEMENT - current_width) / 2, 1 - distance.max())
    return np.rint(255 * np.clip(distance + 0.5, 0, 1)).astype(np.uint8)


def _resize(picture: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))


if __name__ == "__main__":
    tyro.cli(main)
