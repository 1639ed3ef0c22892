"""Pictures placed in windows by scale, offset and blur, and warped."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from windows import PIXEL, blob, centres

from digits_jax.data.mnist import Mnist
from digits_jax.train.random_warp import MAX_BLUR_PX
from digits_jax.train.warp import MIN_SCALE, Placement, Warp, place_pictures, warp_pictures

place_compiled = jax.jit(place_pictures)


def place_picture(
    picture: np.ndarray, scale: float = 1, offset: tuple[float, float] = (0, 0), blur: float = 1
) -> np.ndarray:
    placement = Placement(jnp.float32([scale]), jnp.float32([offset]), jnp.float32([blur]))
    return np.asarray(place_compiled(jnp.asarray(picture, jnp.float32)[None], placement))[0]


def test_a_picture_of_scale_1_and_offset_0_is_unchanged(mnist: Mnist) -> None:
    digit = np.asarray(mnist.train.images[0], np.float32) / 255
    np.testing.assert_allclose(place_picture(digit), digit, atol=1e-6)


@pytest.mark.parametrize("down", [-27, -3, 0, 5, 28])
@pytest.mark.parametrize("right", [-4, 0, 11])
def test_offsets_of_whole_pixels_move_the_picture_and_fill_with_zeros(
    down: int, right: int
) -> None:
    picture = np.random.default_rng(1).random((28, 28), np.float32)
    expected = np.roll(picture, (down, right), (0, 1))
    expected[: max(down, 0)] = 0
    expected[28 + min(down, 0) :] = 0
    expected[:, : max(right, 0)] = 0
    expected[:, 28 + min(right, 0) :] = 0
    np.testing.assert_allclose(place_picture(picture, offset=(down, right)), expected, atol=1e-6)


scales = st.floats(0.2, 3.7)  # everything that the configs draw
offsets = st.tuples(st.floats(-10, 10), st.floats(-10, 10))
blurs = st.floats(1, MAX_BLUR_PX)


@settings(deadline=None)
@given(scales, offsets, blurs)
def test_constant_pictures_stay_constant_inside_and_are_0_outside(
    scale: float, offset: tuple[float, float], blur: float
) -> None:
    result = place_picture(np.full((28, 28), 0.5), scale, offset, blur)
    width = max(blur, 1 / scale)
    # Distance of each window pixel's source from the picture's centre, in the picture's pixels.
    y, x = (np.abs(PIXEL - shift) / scale for shift in offset)
    farthest = np.maximum(y[:, None], x[None])
    np.testing.assert_allclose(result[farthest < 13.5 - width - 0.01], 0.5, atol=1e-5)
    np.testing.assert_array_equal(result[farthest > 13.5 + width + 0.01], 0)
    assert result.min() >= 0
    assert result.max() <= 0.5 + 1e-5


@settings(deadline=None)
@given(st.floats(0.5, 1.5), offsets, blurs)
def test_the_centre_of_mass_and_the_ink_scale_with_the_picture(
    scale: float, offset: tuple[float, float], blur: float
) -> None:
    offset = (offset[0] / 4, offset[1] / 4)
    picture = blob(1, -2, 2.0)  # smooth enough for its pixels
    result = place_picture(picture, scale, offset, blur)[None]
    expected = (offset[0] + scale, offset[1] - 2 * scale)
    np.testing.assert_allclose(centres(result)[0], expected, atol=0.1)
    assert result.sum() == pytest.approx(scale**2 * picture.sum(), rel=0.05)


def test_blur_spreads_the_ink_and_keeps_its_sum() -> None:
    """With a blur of 2, the filter is a triangle of half width 2 px along each axis."""
    dot = np.zeros((28, 28))
    dot[14, 14] = 1
    triangle = np.zeros(28)
    triangle[13:16] = 0.25, 0.5, 0.25
    np.testing.assert_allclose(place_picture(dot, blur=2), np.outer(triangle, triangle), atol=1e-6)


def test_a_warp_without_distortion_equals_placement_at_any_scale_offset_and_blur() -> None:
    rng = np.random.default_rng(3)
    pictures = jnp.asarray(rng.random((50, 28, 28)), jnp.float32)
    scale, offset = rng.uniform(0.3, 3, 50), rng.uniform(-9, 9, (50, 2))
    placement = Placement(
        *(jnp.asarray(x, jnp.float32) for x in (scale, offset, rng.uniform(1, 2.6, 50)))
    )
    y, x = ((PIXEL[None] - offset[:, axis, None]) / scale[:, None] for axis in (0, 1))
    undistorted = (
        np.broadcast_to(y[:, :, None], (50, 28, 28)),
        np.broadcast_to(x[:, None], (50, 28, 28)),
    )
    result = warp_pictures(
        pictures, placement, Warp(*(jnp.asarray(source, jnp.float32) for source in undistorted))
    )
    np.testing.assert_allclose(result, place_pictures(pictures, placement), atol=1e-4)


def test_warps_on_a_cpu_equal_those_on_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the least scale that is allowed up, with filters of any width."""
    rng = np.random.default_rng(4)
    n = 60
    pictures = jnp.asarray(rng.random((n, 28, 28)), jnp.float32)
    scale = np.where(np.arange(n) < 20, MIN_SCALE, rng.uniform(MIN_SCALE, 3.7, n))
    placement = Placement(
        jnp.asarray(scale, jnp.float32),
        jnp.zeros((n, 2)),
        jnp.asarray(rng.uniform(1, 1 / MIN_SCALE, n), jnp.float32),
    )
    warp = Warp(*jnp.asarray(rng.uniform(-20, 20, (2, n, 28, 28)), jnp.float32))
    on_cpu = warp_pictures(pictures, placement, warp)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    np.testing.assert_allclose(on_cpu, warp_pictures(pictures, placement, warp), atol=1e-5)
    assert on_cpu.std() > 0.01
