"""Candidates from score maps: the sizes of the pyramid, and border contacts of the windows."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import digits_jax
from digits_jax.data.mnist import Mnist
from digits_jax.detect.border_contact import border_contact
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.peaks import default_max_detections, log_sizes
from digits_jax.detect.peaks import pyramid_sizes as pyramid_sizes_of
from digits_jax.detect.pipeline import find_detections
from digits_jax.detect.steps import BorderContactConfig, PeakConfig
from digits_jax.models.cnn import INPUT_SIDE, Params

pyramid_sizes = partial(pyramid_sizes_of, longest_side=300, config=PeakConfig())


def test_neighbouring_sizes_differ_by_at_most_1_4_and_serve_half_of_it_on_either_side() -> None:
    assert pyramid_sizes(28.0, 28.0) == (28.0,)
    assert pyramid_sizes(20.0, 28.0) == pytest.approx((np.sqrt(20 * 28),))
    assert pyramid_sizes(25.0, 49.0) == pytest.approx((25 * 1.4**0.5, 25 * 1.4**1.5))
    sizes = np.array(pyramid_sizes(15.0, 100.0))
    ratio = sizes[1] / sizes[0]
    assert len(sizes) == 6
    assert 1.35 < ratio <= 1.4
    np.testing.assert_allclose(sizes[1:] / sizes[:-1], ratio)
    assert sizes[0] == pytest.approx(15 * ratio**0.5)
    assert sizes[-1] == pytest.approx(100 / ratio**0.5)
    assert log_sizes(sizes.tolist()) == pytest.approx([k * np.log(ratio) for k in range(6)])


@pytest.mark.parametrize(
    ("side", "count"), [(5, 1), (11, 1), (60, 6), (100, 8), (300, 11), (3000, 18)]
)
def test_without_a_largest_size_the_levels_reach_digits_that_fill_the_image(
    side: int, count: int
) -> None:
    """A digit as high as the image has 1.4 times its size."""
    sizes = np.array(pyramid_sizes(12.0, None, longest_side=side))
    assert len(sizes) == count
    np.testing.assert_allclose(sizes, 12 * 1.4 ** (np.arange(count) + 0.5))
    assert sizes[-1] * 1.4**0.5 >= 1.4 * side


@pytest.mark.parametrize(
    ("shape", "count"),
    [((1, 1), 256), ((64, 64), 256), ((512, 256), 256), ((512, 257), 512), ((1024, 1024), 2048)],
)
def test_the_number_of_candidates_grows_with_the_image_in_blocks_of_256(
    shape: tuple[int, int], count: int
) -> None:
    assert default_max_detections(shape) == count


def test_find_detections_can_be_traced_with_64_bit_types_enabled() -> None:
    params = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), digits_jax.load_pretrained()
    )
    images = jax.ShapeDtypeStruct((1, 64, 64, 1), jnp.float32)
    extents = jax.ShapeDtypeStruct((1, 2), jnp.int32)
    config = DetectorConfig(method="windows", min_size=28.0, max_size=28.0, max_detections=4)
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        search = partial(find_detections, config=config)
        candidates = jax.eval_shape(search, params, images, extents, jnp.float32(0.5))
    assert candidates.windows_xyxy.shape == (1, 4, 4)


@pytest.mark.slow
@pytest.mark.parametrize("size", [28.0, 56.0])
def test_border_contacts_are_those_of_the_resized_image_s_windows(
    size: float, params: Params, mnist: Mnist
) -> None:
    """Of digits on a bar that runs through them all, on the image's edges, too."""
    digits = np.zeros((2, 64, 64), np.float32)
    for i, y, x in np.ndindex(2, 2, 2):
        digit = mnist.validation.images[4 * i + 2 * y + x] / np.float32(255)
        digits[i, 34 * y : 34 * y + 28, 34 * x : 34 * x + 28] = digit
    digits[0, 14:16] = 1
    digits[1, :, 46:48] = 1
    scale = int(size / INPUT_SIDE)
    images = jnp.asarray(digits.repeat(scale, axis=1).repeat(scale, axis=2)[..., None])
    extents = jnp.array([images.shape[1:3]] * 2)
    config = DetectorConfig(min_size=size, max_size=size, max_detections=64)
    candidates = find_detections(params, images, extents, 0.0, config=config)
    seen = set()
    for image, *of_image in zip(images[..., 0], *candidates[:-1], strict=True):
        windows, _, _, contacts, priority = (np.asarray(array) for array in of_image)
        padded = Image.fromarray(np.pad(image, INPUT_SIDE * scale))
        level = np.asarray(
            padded.resize([side // scale for side in padded.size], Image.Resampling.BILINEAR)
        )
        valid = priority >= 0
        for (x, y), contact in zip(windows[valid, :2].astype(int), contacts[valid], strict=True):
            window = level[y // scale + INPUT_SIDE :, x // scale + INPUT_SIDE :][
                :INPUT_SIDE, :INPUT_SIDE
            ]
            seen.add(float(contact))
            expected = border_contact(jnp.asarray(window[None]), BorderContactConfig())[0]
            assert expected == pytest.approx(contact)
    assert min(seen) == 0
    assert len(seen) > 1
