"""Does it help `classify` to frame digits as MNIST's makers did, and to draw them with their pens?

Validation digits, eight times as large, drawn by thinner and thicker pens: what is nearer to or
farther from the edge than half of the difference is added or taken away. Read as they are, scaled
to 28×28; framed; and framed with a usual pen, as `digits-jax classify` does it.

Command:   python experiments/pens.py
Hardware:  any.
Time:      two minutes on 2 cores.
Result:    experiments/results/pens.json; the verdict is in experiments/LOG.md.
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
from digits_jax.models.cnn import INPUT_SIDE, classify
from digits_jax.models.weights import load_pretrained
from experiments.common.provenance import provenance, write_result

LARGER = 8
WIDTHS = (0.8, 1.2, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)  # px of 28

Reader = Callable[[np.ndarray], np.ndarray]


def main(count: int = 1000) -> None:
    """Classifies the first validation digits by each pen, read in each way."""
    digits = load_mnist().validation
    images, labels = np.asarray(digits.images[:count]), np.asarray(digits.labels[:count])
    readers: dict[str, Reader] = {
        "scaled": lambda picture: _resized(picture, INPUT_SIDE),
        "framed": frame_digit,
        "framed, usual pen": lambda picture: frame_digit(normalise_stroke_width(picture)),
    }
    label = jax.jit(lambda pixels: jnp.argmax(classify(load_pretrained(), pixels), axis=-1))
    rows = []
    for width in WIDTHS:
        pictures = [_drawn(image, width) for image in images]
        row: dict[str, float] = {"width": width}
        for name, read in readers.items():
            pixels = np.stack([read(picture) for picture in pictures])[..., None]
            found = np.asarray(label(jnp.asarray(pixels, jnp.float32) / 255))
            row[name] = round(float((found == labels).mean()), 4)
        rows.append(row)
        print(row)
    question = "Does framing, and a usual pen, help to classify digits by thin and thick pens?"
    print(
        write_result("pens", {"question": question, **provenance(), "count": count, "rows": rows})
    )


def _drawn(digit: np.ndarray, width: float) -> np.ndarray:
    inside = np.pad(_resized(digit, INPUT_SIDE * LARGER) > 127, INPUT_SIDE)
    distance = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    own = 4 * distance[inside].mean() - 2
    # No thinner than leaves something.
    distance += max((width * LARGER - own) / 2, 1 - distance.max())
    return np.rint(255 * np.clip(distance + 0.5, 0, 1)).astype(np.uint8)


def _resized(picture: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))


if __name__ == "__main__":
    tyro.cli(main)
