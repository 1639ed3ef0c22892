"""Needed windows are correct, and tiles that are blank or not needed are not computed."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from map_cases import (
    SMALL_TILES,
    assert_same_logits,
    corner_and_mean,
    jitted_patch_maps,
    own_level,
    random_params,
    whole_level,
)

from digits_jax.models.fcn import tiling
from digits_jax.models.fcn.pyramid import PyramidLevel
from digits_jax.models.fcn.tiling import pyramid_maps


@pytest.mark.slow
def test_valid_extents_are_correct_and_tiles_beyond_them_are_not_computed(
    four_images: jax.Array,
) -> None:
    """Each image of the batch has its own extents on two levels. Devices share the batch."""
    params = random_params(5)
    pyramid = (PyramidLevel(1.0, -5.0, 45, 56), PyramidLevel(0.8, -4.0, 45, 36))
    extents = [
        jnp.array([[7, 13], [0, 5], [4, 1], [1, 13]]),
        jnp.array([[7, 3], [2, 1], [0, 0], [-3, 2]]),
    ]
    black = jitted_patch_maps(params, jnp.zeros((1, 28, 28, 1))).logits[0, 0, 0]
    maps = pyramid_maps(
        params, four_images, pyramid, corner_and_mean, 2, valid_extents=extents, **SMALL_TILES
    )
    for (corner, _), level, level_extents in zip(maps, pyramid, extents, strict=True):
        logits = jitted_patch_maps(params, whole_level(four_images, level)).logits
        for image_map, expected, (h, w) in zip(corner, logits, level_extents, strict=True):
            if h > 0 and w > 0:
                assert_same_logits(image_map[:h, :w], expected[:h, :w])
            # A tile has three windows a side: those beyond hold the output of black.
            down, across = (3 * -(-max(int(limit), 0) // 3) for limit in (h, w))
            for beyond in (image_map[down:], image_map[:, across:]):
                untouched = jnp.broadcast_to(black, beyond.shape)
                np.testing.assert_allclose(beyond, untouched, rtol=0, atol=1e-6)


def test_areas_of_one_grey_value_are_computed_from_one_window() -> None:
    """Black, grey, and ink in between give the same map as without skipping."""
    params = random_params(9)
    pixels = np.zeros((1, 60, 90, 1), np.float32)
    pixels[:, :, 40:] = 0.4
    pixels[:, 40, 5] = 1
    image, extents = jnp.asarray(pixels), [jnp.array([[15, 30]])]
    ((corner, _),) = pyramid_maps(
        params, image, own_level(image), corner_and_mean, 2, valid_extents=extents, **SMALL_TILES
    )
    expected = jitted_patch_maps(params, image).logits
    assert_same_logits(corner, expected[:, :-2, :-2])
    # Above the ink, all windows of grey have the same output to the last bit.
    grey = np.asarray(corner[0, :3, 21:])
    np.testing.assert_array_equal(grey, np.broadcast_to(grey[0, 0], grey.shape))


@pytest.fixture
def grey_output_of_sevens(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Marks the outputs of blank areas, in programs that no other test sees."""
    monkeypatch.setattr(tiling, "classify", lambda *_, **__: jnp.full((1, 10), 7.0))
    pyramid_maps.clear_cache()  # type: ignore[attr-defined]
    yield
    pyramid_maps.clear_cache()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("grey_output_of_sevens")
def test_exactly_the_blank_subtiles_are_skipped_unless_most_of_a_tile_is_busy() -> None:
    image = np.zeros((58, 78), np.float32)  # 16 × 26 windows
    image[:, 40:] = 0.4
    image[33, 0] = image[40, 5] = 1
    pixels, extents = jnp.asarray(image[None, ..., None]), [jnp.array([[16, 26]])]
    (logits,) = pyramid_maps(
        random_params(9),
        pixels,
        own_level(pixels),
        valid_extents=extents,
        tile_windows=4,
        subtile_windows=2,
    )
    padded = np.pad(image, ((0, 8), (0, 8)))

    def is_blank(row: int, column: int) -> bool:
        seen = padded[4 * row : 4 * row + 30, 4 * column : 4 * column + 30]  # by 2×2 windows
        return bool(seen.min() == seen.max())

    blank = np.array([[is_blank(row, column) for column in range(14)] for row in range(8)])
    blank[:, 13] = True  # not needed
    blank_by_tile = blank.reshape(4, 2, 7, 2).sum(axis=(1, 3))
    assert {*range(5)} == set(blank_by_tile.flat)
    # A tile with three busy subtiles of four is computed as a whole.
    blank &= np.kron(blank_by_tile >= 2, np.ones((2, 2), bool))
    expected = np.kron(blank, np.ones((2, 2), bool))[:16, :26]
    np.testing.assert_array_equal((logits[0] == 7).all(axis=-1), expected)
    assert 0 < expected.sum() < expected.size
