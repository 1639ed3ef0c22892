from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jax import lax

import digits_jax
from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import compose
from digits_jax.models.cnn import Params
from digits_jax.models.fcn import sparse_tiles as parts
from digits_jax.models.fcn import tiling as levels
from digits_jax.models.fcn.features import window_features
from digits_jax.models.fcn.pyramid import PyramidLevel
from digits_jax.models.fcn.response_maps import (
    patch_maps,
    response_maps,
    to_response_maps,
    window_of_cell,
)
from digits_jax.models.fcn.tiling import map_size, pyramid_maps

by_patches = jax.jit(patch_maps)


def random_params(seed: int, scale: float = 1.0, bias: float = 0.3) -> Params:
    """Untrained, with biases, on which SAME padding by zeros depends."""
    keys = iter(jax.random.split(jax.random.key(seed), 9))
    params = digits_jax.init(next(keys))
    return {
        layer: {
            "kernel": leaves["kernel"] * scale,
            "bias": bias * jax.random.normal(next(keys), leaves["bias"].shape),
        }
        for layer, leaves in params.items()
    }


def assert_same_logits(mine: jax.Array, expected: jax.Array) -> None:
    """To 1e-4 · max(1, the largest |logit|)."""
    assert mine.dtype == jnp.float32
    assert mine.shape == expected.shape
    tolerance = 1e-4 * max(1.0, float(jnp.abs(expected).max()))
    np.testing.assert_allclose(mine, expected, rtol=0, atol=tolerance)


# Each compiles once. Odd, not square; the batch of four is spread over the four devices.
SHAPES = [(1, 75, 36), (4, 31, 46)]


@st.composite
def batches(draw: st.DrawFn) -> jax.Array:
    shape = draw(st.sampled_from(SHAPES))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    low, high = draw(st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (-1e3, 1e3), (0.0, 0.0)]))
    pixels = rng.uniform(low, high, (*shape, 1))
    pixels[rng.random(pixels.shape) < draw(st.sampled_from([0.0, 0.8]))] = 0
    pixels[rng.random(pixels.shape) < draw(st.sampled_from([0.0, 0.001]))] = 1e3
    return jnp.asarray(pixels, jnp.float32)


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    images=batches(),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([0.3, 1.0, 2.0]),
    bias=st.sampled_from([0.0, 0.3, 3.0]),
)
def test_the_maps_are_the_classifier_s_answer_for_every_window(
    images: jax.Array, seed: int, scale: float, bias: float
) -> None:
    params = random_params(seed, scale, bias)
    found = response_maps(params, images)
    assert_same_logits(found.logits, by_patches(params, images).logits)
    assert len(found.logits.sharding.device_set) == len(images)


def test_the_patches_are_the_windows_of_the_cells() -> None:
    """The slow maps, which the fast ones are held to, against slices written out."""
    params = random_params(0)
    images = jax.random.uniform(jax.random.key(1), SHAPES[0] + (1,))
    found = by_patches(params, images).logits
    assert found.shape == (1, map_size(75), map_size(36), 10)
    for row, column in [(0, 0), (3, 1), (23, 4)]:
        x0, y0, x1, y1 = window_of_cell(row, column)
        expected = digits_jax.classify(params, images[:, y0:y1, x0:x1])
        assert_same_logits(found[:, row, column], expected)


def test_a_real_scene(mnist: Mnist) -> None:
    """Where paper is exactly black, all maxima tie."""
    scene = compose("native", "validation", 1, 0, mnist=mnist)[0]
    image = jnp.asarray(scene.image[None, ..., None], jnp.float32) / 255
    params = random_params(2)
    found, expected = response_maps(params, image), by_patches(params, image)
    assert found.logits.shape == (1, 57, 57, 10)
    for mine, other in zip(found, expected, strict=True):
        assert mine.dtype == other.dtype
        assert mine.shape == other.shape
    assert_same_logits(found.logits, expected.logits)
    np.testing.assert_allclose(found.margin, expected.margin, atol=1e-3)
    np.testing.assert_allclose(found.entropy, expected.entropy, atol=1e-3)
    clear = np.asarray(expected.margin) > 1e-3
    np.testing.assert_array_equal(found.label[clear], expected.label[clear])


def test_the_lowest_precision_rounds_factors_to_bfloat16(mnist: Mnist) -> None:
    """Of eight bits: of some thousand products the errors mostly cancel, to a few in a thousand."""
    scene = compose("native", "validation", 1, 0, mnist=mnist)[0]
    image = jnp.asarray(scene.image[None, ..., None], jnp.float32) / 255
    exact = response_maps(digits_jax.load_pretrained(), image)
    found = response_maps(digits_jax.load_pretrained(), image, precision=lax.Precision.DEFAULT)
    assert found.logits.dtype == jnp.float32
    apart = np.abs(found.logits - exact.logits) / np.abs(exact.logits).max()
    assert 1e-5 < apart.mean() < apart.max() < 0.02
    clear = np.asarray(exact.margin) > 0.5
    assert clear.sum() > 20
    np.testing.assert_array_equal(found.label[clear], exact.label[clear])
    low = lax.Precision.DEFAULT
    needed = [jnp.array([found.logits.shape[1:3]])]
    (skipped,) = pyramid_maps(
        digits_jax.load_pretrained(), image, own_level(image), needed=needed, precision=low
    )
    np.testing.assert_allclose(skipped, found.logits, rtol=0, atol=1e-3)
    cells = window_features(random_params(0), image[0, :40, :40, 0], precision=low)
    assert {grid.dtype for grid in cells.values()} == {jnp.dtype(jnp.bfloat16)}


def test_a_window_alone_under_vmap_and_jit() -> None:
    params = random_params(3)
    images = jax.random.uniform(jax.random.key(4), (3, 28, 28, 1))
    each = jax.jit(jax.vmap(lambda image: response_maps(params, image[None]).logits[0]))
    expected = digits_jax.classify(params, images)
    assert_same_logits(each(images), expected[:, None, None])


def test_what_no_window_reads_changes_nothing() -> None:
    """The last row and column of odd sides, however bright, beside windows that share products."""
    params = random_params(10)
    image = np.random.default_rng(11).random((1, 31, 47, 1), np.float32)
    bright = image.copy()
    bright[:, -1] = bright[:, :, -1] = 1e30
    found = response_maps(params, jnp.asarray(bright)).logits
    np.testing.assert_array_equal(found, response_maps(params, jnp.asarray(image)).logits)


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tiles of at most five windows a side, parts of three, in programs that no other test sees."""
    monkeypatch.setattr(levels, "TILE_ON_CPU", 5)
    monkeypatch.setattr(parts, "SUBTILE", 3)
    pyramid_maps.clear_cache()  # type: ignore[attr-defined]
    yield
    pyramid_maps.clear_cache()  # type: ignore[attr-defined]


def corner_and_mean(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Each window's logits, and the mean over it and its neighbours to the right and below."""
    total = lax.reduce_window(logits, 0.0, lax.add, (3, 3, 1), (1, 1, 1), "VALID")
    return logits[:-2, :-2], total / 9


def own_level(images: jax.Array) -> tuple[PyramidLevel, ...]:
    return (PyramidLevel(1.0, 0.0, *images.shape[1:3]),)


def whole(images: jax.Array, level: PyramidLevel) -> jax.Array:
    """Interpolated all at once."""
    shape = (images.shape[0], level.height, level.width, 1)
    scales, begins = jnp.full(2, level.scale), jnp.full(2, level.begin)
    return jax.image.scale_and_translate(images, shape, (1, 2), scales, begins, "linear")


@pytest.fixture
def four_images() -> jax.Array:
    """With black around them, for any scale from a half on."""
    images = jax.random.uniform(jax.random.key(0), (4, 45, 56, 1))
    return jnp.pad(images, [(0, 0), (5, 5), (5, 5), (0, 0)])


@pytest.mark.usefixtures("small_tiles")
def test_tiles_of_several_levels_fit_together(four_images: jax.Array) -> None:
    """Of 7×13, 5×5 and 14×1 windows, in tiles that divide no more than one of these sides.

    The batch is spread over the devices, and what `finish` makes of a window needs others, which
    lie in the next tile. One level is the images themselves; one is larger and cut off, and one
    smaller, with much black around.
    """
    params = random_params(5)
    pyramid = (
        PyramidLevel(1.0, -5.0, 45, 56), PyramidLevel(1.3, -6.5, 40, 41), PyramidLevel(0.55, 6.0, 58, 32)
    )  # fmt: skip
    windows = [(map_size(level.height) - 2, map_size(level.width) - 2) for level in pyramid]
    assert windows == [(7, 13), (5, 5), (14, 1)]
    side = levels._tile_side(windows, 2, whole=True)
    assert side <= 3
    assert 7 % side or 13 % side
    found = pyramid_maps(params, four_images, pyramid, corner_and_mean, 2)
    np.testing.assert_array_equal(whole(four_images, pyramid[0]), four_images[:, 5:50, 5:61])
    for (corner, mean), level, (h, w) in zip(found, pyramid, windows, strict=True):
        logits = by_patches(params, whole(four_images, level)).logits
        assert logits.shape == (4, h + 2, w + 2, 10)
        assert_same_logits(corner, logits[:, :h, :w])
        shifted = [logits[:, y : y + h, x : x + w] for y in range(3) for x in range(3)]
        assert_same_logits(mean, jnp.stack(shifted).mean(axis=0))


@pytest.mark.usefixtures("small_tiles")
def test_what_is_needed_is_right_and_the_rest_is_not_done(four_images: jax.Array) -> None:
    """Of each image of a batch that is spread over the devices its own part, on two levels."""
    params = random_params(5)
    pyramid = (PyramidLevel(1.0, -5.0, 45, 56), PyramidLevel(0.8, -4.0, 45, 36))
    needed = [
        jnp.array([[7, 13], [0, 5], [4, 1], [1, 13]]),
        jnp.array([[7, 3], [2, 1], [0, 0], [-3, 2]]),
    ]
    black = by_patches(params, jnp.zeros((1, 28, 28, 1))).logits[0, 0, 0]
    found = pyramid_maps(params, four_images, pyramid, corner_and_mean, 2, needed=needed)
    for (corner, _), level, of_level in zip(found, pyramid, needed, strict=True):
        logits = by_patches(params, whole(four_images, level)).logits
        for mine, expected, (h, w) in zip(corner, logits, of_level, strict=True):
            if h > 0 and w > 0:
                assert_same_logits(mine[:h, :w], expected[:h, :w])
            # A tile is of three windows a side: none of those beyond has been looked at.
            down, across = (3 * -(-max(int(limit), 0) // 3) for limit in (h, w))
            for beyond in (mine[down:], mine[:, across:]):
                untouched = jnp.broadcast_to(black, beyond.shape)
                np.testing.assert_allclose(beyond, untouched, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("small_tiles")
def test_what_is_of_one_grey_is_answered_by_one_window() -> None:
    """Black, grey, and ink in between, to the same answer as when nothing is left out."""
    params = random_params(9)
    pixels = np.zeros((1, 60, 90, 1), np.float32)
    pixels[:, :, 40:] = 0.4
    pixels[:, 40, 5] = 1
    image, needed = jnp.asarray(pixels), [jnp.array([[15, 30]])]
    found = pyramid_maps(params, image, own_level(image), corner_and_mean, 2, needed=needed)[0][0]
    expected = by_patches(params, image).logits
    assert_same_logits(found, expected[:, :-2, :-2])
    # Above the ink all that is grey has the same answer to the last bit.
    grey = np.asarray(found[0, :3, 21:])
    np.testing.assert_array_equal(grey, np.broadcast_to(grey[0, 0], grey.shape))


@pytest.mark.usefixtures("small_tiles")
def test_blank_parts_of_a_tile_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those and no others, unless most of a tile is left: what answers for them is in the map."""
    monkeypatch.setattr(levels, "TILE_ON_CPU", 4)
    monkeypatch.setattr(parts, "SUBTILE", 2)
    monkeypatch.setattr(levels, "classify", lambda *_, **__: jnp.full((1, 10), 7.0))
    image = np.zeros((58, 78), np.float32)  # of 16 × 26 windows
    image[:, 40:] = 0.4
    image[33, 0] = image[40, 5] = 1
    pixels, needed = jnp.asarray(image[None, ..., None]), [jnp.array([[16, 26]])]
    found = pyramid_maps(random_params(9), pixels, own_level(pixels), needed=needed)[0]
    beyond = np.pad(image, ((0, 8), (0, 8)))

    def is_blank(row: int, column: int) -> bool:
        seen = beyond[4 * row : 4 * row + 30, 4 * column : 4 * column + 30]  # by two windows a side
        return bool(seen.min() == seen.max())

    blank = np.array([[is_blank(row, column) for column in range(14)] for row in range(8)])
    blank[:, 13] = True  # or not needed
    of_tile = blank.reshape(4, 2, 7, 2).sum(axis=(1, 3))
    assert {*range(5)} == set(of_tile.flat)
    blank &= np.kron(
        of_tile >= 2, np.ones((2, 2), bool)
    )  # of three parts in four the whole is done
    expected = np.kron(blank, np.ones((2, 2), bool))[:16, :26]
    np.testing.assert_array_equal((found[0] == 7).all(axis=-1), expected)
    assert 0 < expected.sum() < expected.size


@pytest.mark.usefixtures("small_tiles")
def test_gradients_are_those_of_the_patches() -> None:
    """With respect to parameters and pixels, over two tiles. Random pixels have no ties."""
    params = random_params(6)
    image = jax.random.uniform(jax.random.key(7), (1, 31, 38, 1))
    weights = jax.random.normal(jax.random.key(8), (1, 2, 6, 10))
    assert levels._tile_side([(2, 6)], 0, whole=True) < 6

    def gradient(of: Callable[..., Any]) -> tuple[Params, jax.Array]:
        program = jax.jit(jax.grad(lambda p, x: (of(p, x).logits * weights).sum(), (0, 1)))
        return program(params, image)

    mine, expected = gradient(response_maps), gradient(patch_maps)
    for one, other in zip(jax.tree.leaves(mine), jax.tree.leaves(expected), strict=True):
        largest = float(jnp.abs(other).max())
        assert largest > 0
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * largest)


def test_what_is_said_of_logits() -> None:
    p = np.full(10, 0.02)
    p[[7, 3]] = 0.54, 0.3
    certain = np.where(np.arange(10) == 4, 1e4, 0.0)
    logits = jnp.asarray(np.stack([np.log(p) + 5, np.zeros(10), certain]), jnp.float32)
    found = to_response_maps(logits.reshape(1, 1, 3, 10))
    np.testing.assert_array_equal(found.logits[0, 0], logits)
    np.testing.assert_allclose(found.probabilities[0, 0, 0], p, rtol=1e-5)
    np.testing.assert_allclose(found.probabilities[0, 0, 2], certain / 1e4)
    np.testing.assert_allclose(found.margin[0, 0], [0.24, 0, 1], atol=1e-6)
    entropy = -(0.54 * np.log(0.54) + 0.3 * np.log(0.3) + 8 * 0.02 * np.log(0.02))
    np.testing.assert_allclose(found.entropy[0, 0], [entropy, np.log(10), 0], atol=1e-6)
    np.testing.assert_array_equal(found.label[0, 0], [7, 0, 4])
    assert found.label.dtype == jnp.int32
    # Logits that differ by less than their probabilities can tell: the label is of these.
    tie = to_response_maps(jnp.zeros((1, 1, 1, 10)).at[..., 3].set(1e-9))
    assert tie.label[0, 0, 0] == np.argmax(tie.probabilities) == 0


def test_windows_of_cells() -> None:
    assert window_of_cell(0, 0) == (0, 0, 28, 28)
    assert window_of_cell(3, 5) == (10, 6, 38, 34)  # x first
    sides = [map_size(pixels) for pixels in (28, 29, 30, 31, 140, 4096)]
    assert sides == [1, 1, 2, 2, 57, 2035]


@pytest.mark.parametrize("of", [response_maps, patch_maps])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((1, 27, 40, 1), "float32"),
        ((1, 40, 27, 1), "float32"),
        ((28, 28, 1), "float32"),
        ((1, 28, 28), "float32"),
        ((1, 28, 28, 3), "float32"),
        ((0, 28, 28, 1), "float32"),
        ((1, 28, 28, 1), "float16"),
        ((1, 28, 28, 1), "uint8"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_the_maps_say_what_they_take(
    of: jax.stages.Wrapped, shape: tuple[int, ...], dtype: str
) -> None:
    params = digits_jax.init(jax.random.key(0))
    sides = ", ".join(map(str, shape))
    with pytest.raises(ValueError, match=rf"at least 28 px a side; got \[{sides}\] of {dtype}"):
        of(params, jnp.zeros(shape, dtype))
