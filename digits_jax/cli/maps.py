"""The command `digits-jax maps`."""

from pathlib import Path
from typing import Annotated

import jax.numpy as jnp
import numpy as np
import tyro

from digits_jax.cli.arguments import (
    PRETRAINED,
    ImageArgument,
    MaxFileMibArgument,
    MaxMegapixelsArgument,
    WeightsArgument,
    log_that_first_page_is_read,
    set_read_limits,
)
from digits_jax.detect.inputs import read_ink
from digits_jax.detect.visualize import draw_response_maps
from digits_jax.images.pixels import uint8_to_float
from digits_jax.images.read import ImageError
from digits_jax.models.cnn import INPUT_SIDE
from digits_jax.models.fcn.response_maps import response_maps
from digits_jax.runtime.files import atomic_write, make_output_folder
from digits_jax.runtime.progress import log
from digits_jax.train.initial_weights import resolve_weights


def maps(
    image: ImageArgument,
    /,
    *,
    output: Annotated[Path, tyro.conf.arg(metavar="FOLDER")],
    weights: WeightsArgument = PRETRAINED,
    normalise: bool = True,
    max_megapixels: MaxMegapixelsArgument = None,
    max_file_mib: MaxFileMibArgument = None,
) -> None:
    """Write the network's output for every 28×28 window of an image, as arrays and as pictures.

    The windows are 2 pixels apart. The image is not scaled, so that the maps respond to digits
    about 20 pixels high. `digits-jax detect` finds digits of other sizes.

    Args:
        image: An image file, at least 28 pixels wide and high. Of several pages the first is read.
        output: Folder to write to, which is made if it is missing. maps.npz holds four arrays:
            probabilities [h, w, 10], and margin, entropy (in nats) and label, each [h, w].
            class_maps.png shows the probabilities (the paper's Figure 5), and confidence_maps.png
            shows margin and entropy (Figure 6).
        weights: The weights to use: `pretrained` for those of the package, a folder that
            `digits-jax train` has written, or a .safetensors file.
        normalise: Accept ink of any colour on paper of any colour, in uneven light. With
            --no-normalise the ink has to be bright on a black background.
        max_megapixels: Largest picture that is read whole, in millions of pixels. It guards against
            files that unpack into more than the memory holds.
        max_file_mib: Largest file of a picture that is read whole, in MiB.
    """
    set_read_limits(max_megapixels, max_file_mib)
    _, ink = read_ink(image, normalised=normalise)
    height, width = ink.shape
    if min(height, width) < INPUT_SIDE:
        raise ImageError(
            f"{image} is too small: expected at least {INPUT_SIDE} pixels a side, got {width} × "
            f"{height}; enlarge it, or add a black border"
        )
    log_that_first_page_is_read(image)
    make_output_folder(output)
    params = resolve_weights(weights)
    responses = response_maps(params, uint8_to_float(jnp.asarray(ink[None, ..., None])))
    arrays = output / "maps.npz"
    pictures = (output / "class_maps.png", output / "confidence_maps.png")
    with atomic_write(arrays) as temporary:
        np.savez(
            temporary,
            probabilities=responses.probabilities[0],
            margin=responses.margin[0],
            entropy=responses.entropy[0],
            label=responses.label[0],
        )
    draw_response_maps(ink, responses, *pictures)
    log("Wrote " + ", ".join(map(str, (arrays, *pictures))))
