import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import Mesh

from digits_jax.background import (
    BLUR,
    Pictures,
    centredness,
    compose,
    draw_pictures,
    pictures_to_come,
)
from digits_jax.clutter import draw_clutter
from digits_jax.data import Mnist
from digits_jax.network import Params, init
from digits_jax.place import Place, Warp, put, warped
from digits_jax.recipe import RECIPES, Recipe, RecipeError
from digits_jax.step import Batch, augment, loss_and_accuracy, shift

# Nothing but the digit: every test adds what it is about.
PLAIN = dataclasses.replace(
    RECIPES["standard"],
    shift=0,
    scale=1.0,
    turn=0.0,
    slant=0.0,
    stretch=1.0,
    bend=0.0,
    neighbours=0.0,
    off_centre=0.0,
    wrong_size=0.0,
    shapes=0.0,
    textures=0.0,
    blank=0.0,
    near_misses=0.0,
)
KEY = jax.random.key(0)
COUNT = 600
PIXEL = np.arange(28) + 0.5 - 14  # pixels' centres, from the window's

place_all = jax.jit(put)


def put_one(
    picture: np.ndarray, scale: float = 1, offset: tuple[float, float] = (0, 0), blur: float = 1
) -> np.ndarray:
    place = Place(jnp.float32([scale]), jnp.float32([offset]), jnp.float32([blur]))
    return np.asarray(place_all(jnp.asarray(picture, jnp.float32)[None], place))[0]


def windows_of(
    digits: np.ndarray, recipe: Recipe, key: jax.Array = KEY, pictures: Pictures | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Without `jit`, which would compile all of it anew for each recipe."""
    windows, centred = compose(
        key, jnp.asarray(digits, jnp.float32), pictures or draw_pictures(), recipe
    )
    assert windows.shape == (len(digits), 28, 28, 1)
    assert windows.dtype == jnp.float32
    assert centred.shape == (len(digits),)
    return np.asarray(windows[..., 0]), np.asarray(centred)


def blob(y: float, x: float, width: float) -> np.ndarray:
    return np.exp(-((PIXEL[:, None] - y) ** 2 + (PIXEL[None] - x) ** 2) / (2 * width**2))


def centres(windows: np.ndarray) -> np.ndarray:
    """Centres of mass, as (y, x) from the window's centre."""
    along_y, along_x = windows.sum(axis=2) @ PIXEL, windows.sum(axis=1) @ PIXEL
    return np.stack([along_y, along_x], axis=-1) / windows.sum(axis=(1, 2))[:, None]


@pytest.fixture(scope="module")
def digits(mnist: Mnist) -> np.ndarray:
    return np.asarray(mnist.train.images[:COUNT], np.float32) / 255


def test_a_picture_put_in_its_own_place_is_itself(digits: np.ndarray) -> None:
    np.testing.assert_allclose(put_one(digits[0]), digits[0], atol=1e-6)


@pytest.mark.parametrize("down", [-27, -3, 0, 5, 28])
@pytest.mark.parametrize("right", [-4, 0, 11])
def test_whole_pixels_move_it_and_nothing_comes_in(down: int, right: int) -> None:
    picture = np.random.default_rng(1).random((28, 28), np.float32)
    expected = np.roll(picture, (down, right), (0, 1))
    expected[: max(down, 0)] = 0
    expected[28 + min(down, 0) :] = 0
    expected[:, : max(right, 0)] = 0
    expected[:, 28 + min(right, 0) :] = 0
    np.testing.assert_allclose(put_one(picture, offset=(down, right)), expected, atol=1e-6)


scales = st.floats(0.2, 3.7)  # all that the recipes ask for
offsets = st.tuples(st.floats(-10, 10), st.floats(-10, 10))
blurs = st.floats(1, BLUR)


@settings(deadline=None)
@given(scales, offsets, blurs)
def test_constant_pictures_stay_so_inside_and_end_where_they_end(
    scale: float, offset: tuple[float, float], blur: float
) -> None:
    found = put_one(np.full((28, 28), 0.5), scale, offset, blur)
    width = max(blur, 1 / scale)
    # How far from the picture's centre, in its pixels, a window's pixel reads.
    y, x = (np.abs(PIXEL - along) / scale for along in offset)
    farthest = np.maximum(y[:, None], x[None])
    np.testing.assert_allclose(found[farthest < 13.5 - width - 0.01], 0.5, atol=1e-5)
    np.testing.assert_array_equal(found[farthest > 13.5 + width + 0.01], 0)
    assert found.min() >= 0
    assert found.max() <= 0.5 + 1e-5


@settings(deadline=None)
@given(st.floats(0.5, 1.5), offsets, blurs)
def test_centre_and_mass_scale(scale: float, offset: tuple[float, float], blur: float) -> None:
    offset = (offset[0] / 4, offset[1] / 4)
    picture = blob(1, -2, 2.0)  # smooth enough for its pixels
    found = put_one(picture, scale, offset, blur)[None]
    expected = (offset[0] + scale, offset[1] - 2 * scale)
    np.testing.assert_allclose(centres(found)[0], expected, atol=0.1)
    assert found.sum() == pytest.approx(scale**2 * picture.sum(), rel=0.05)


def test_blur_spreads_the_ink() -> None:
    """A triangle of half width 2 along each axis, which passes on all of it."""
    dot = np.zeros((28, 28))
    dot[14, 14] = 1
    triangle = np.zeros(28)
    triangle[13:16] = 0.25, 0.5, 0.25
    np.testing.assert_allclose(put_one(dot, blur=2), np.outer(triangle, triangle), atol=1e-6)


def test_with_nothing_asked_for_the_digits_come_back(digits: np.ndarray) -> None:
    """As they are, or blurred: by less than the widest triangle, with all of their ink."""
    windows, centred = windows_of(digits, PLAIN)
    assert (centred == 1).all()
    same = np.abs(windows - digits).max(axis=(1, 2)) < 1e-5
    assert 0.5 < same.mean() < 0.7  # 0.6 expected, ± 0.02
    np.testing.assert_allclose(windows.sum(axis=(1, 2)), digits.sum(axis=(1, 2)), rtol=0.05)
    np.testing.assert_allclose(centres(windows), centres(digits), atol=0.2)


def test_the_standard_recipe_s_windows(digits: np.ndarray) -> None:
    recipe = RECIPES["standard"]
    windows, centred = windows_of(digits, recipe)
    assert windows.min() >= 0
    assert windows.max() <= 1
    assert np.isfinite(windows).all()
    # Of the near misses a quarter is within the shift, and a third of these within the scale.
    digits_share = 1 - sum(recipe.background_shares()) - recipe.near_misses * (1 - 1 / 12)
    found = (centred == 1).mean()
    assert abs(found - digits_share) < 5 * np.sqrt(digits_share * (1 - digits_share) / COUNT)
    assert ((centred > 0) & (centred < 1)).mean() > recipe.near_misses / 10


def test_windows_are_a_function_of_the_key(digits: np.ndarray) -> None:
    recipe = RECIPES["standard"]
    first, same, other = (windows_of(digits, recipe, jax.random.key(k)) for k in (1, 1, 2))
    for one, again, another in zip(first, same, other, strict=True):
        np.testing.assert_array_equal(one, again)
        assert not np.array_equal(one, another)


def test_digits_are_shifted_and_scaled_within_the_limits() -> None:
    pictures = np.repeat(blob(0, 0, 2)[None], COUNT, axis=0)
    windows, centred = windows_of(pictures, dataclasses.replace(PLAIN, shift=3, scale=1.25))
    assert (centred == 1).all()
    off = centres(windows)
    assert np.abs(off).max() < 3.05
    assert (off.min(axis=0) < -2.8).all()
    assert (off.max(axis=0) > 2.8).all()
    factor = np.sqrt(windows.sum(axis=(1, 2)) / pictures[0].sum())
    assert 0.78 < factor.min() < 0.83  # 1/1.25
    assert 1.21 < factor.max() < 1.28
    assert abs(np.log(factor).mean()) < 0.02


def test_a_warp_that_moves_nothing_puts_the_picture_in_its_place() -> None:
    """Whatever the place: the two are one filter, of the whole picture or of each pixel."""
    rng = np.random.default_rng(3)
    pictures = jnp.asarray(rng.random((50, 28, 28)), jnp.float32)
    scale, offset = rng.uniform(0.3, 3, 50), rng.uniform(-9, 9, (50, 2))
    place = Place(*(jnp.asarray(x, jnp.float32) for x in (scale, offset, rng.uniform(1, 2.6, 50))))
    y, x = ((PIXEL[None] - offset[:, axis, None]) / scale[:, None] for axis in (0, 1))
    still = np.broadcast_to(y[:, :, None], (50, 28, 28)), np.broadcast_to(x[:, None], (50, 28, 28))
    found = warped(pictures, place, Warp(*(jnp.asarray(source, jnp.float32) for source in still)))
    np.testing.assert_allclose(found, put(pictures, place), atol=1e-4)


def moments(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Variances of the ink along y and x, and their covariance, in px²."""
    mass = windows.sum(axis=(1, 2))
    yy = windows.sum(axis=2) @ PIXEL**2 / mass
    xx = windows.sum(axis=1) @ PIXEL**2 / mass
    return yy, xx, np.einsum("nij,i,j->n", windows, PIXEL, PIXEL) / mass


def test_turns_reach_what_is_asked_for_either_way() -> None:
    """A bar that lies along x, whose axis is then off it by the turn."""
    bar = np.exp(-(PIXEL[:, None] ** 2) / 2 - PIXEL[None] ** 2 / 32)
    windows, _ = windows_of(
        np.repeat(bar[None], COUNT, axis=0), dataclasses.replace(PLAIN, turn=10.0)
    )
    yy, xx, yx = moments(windows)
    angle = np.rad2deg(np.arctan2(2 * yx, xx - yy) / 2)
    assert 9 < np.abs(angle).max() < 10.5
    assert angle.min() < -9
    assert angle.max() > 9
    assert abs(angle.mean()) < 1
    # As long as it was, but for the blur, a triangle of variance 2.6² / 6, and for what the two
    # shears do to its length, tan² 10° of its variance of 16 either way.
    longer = (xx + yy + np.hypot(xx - yy, 2 * yx)) / 2 - moments(bar[None])[1]
    assert longer.min() > -0.6
    assert longer.max() < 2.0


def test_slants_move_rows_sideways_and_leave_them_their_height() -> None:
    bar = np.exp(-(PIXEL[:, None] ** 2) / 32 - PIXEL[None] ** 2 / 2)
    recipe = dataclasses.replace(PLAIN, slant=0.3)
    yy, _, yx = moments(windows_of(np.repeat(bar[None], COUNT, axis=0), recipe)[0])
    slant = yx / yy
    assert 0.25 < slant.max() < 0.32
    assert -0.32 < slant.min() < -0.25
    # But for the blur, a triangle of variance 2.6² / 6 at most.
    assert (np.abs(yy - moments(bar[None])[0] - 0.6) < 0.8).all()


def test_stretched_digits_are_taller_or_broader_and_as_much_ink() -> None:
    pictures = np.repeat(blob(0, 0, 2.5)[None], COUNT, axis=0)
    windows, centred = windows_of(pictures, dataclasses.replace(PLAIN, stretch=1.3))
    assert (centred == 1).all()
    yy, xx, _ = moments(windows)
    ratio = (xx / yy) ** 0.25  # each axis by a factor, one the other's inverse
    assert 1.25 < ratio.max() < 1.31
    assert 1 / 1.31 < ratio.min() < 1 / 1.25
    np.testing.assert_allclose(windows.sum(axis=(1, 2)), pictures.sum(axis=(1, 2)), rtol=0.02)


def test_bends_move_parts_of_a_digit_apart_by_pixels() -> None:
    """Dots in the corners and the middle each move their own way, by up to some deviations."""
    picture = sum(blob(y, x, 1) for y in (-8, 0, 8) for x in (-8, 0, 8))
    windows, _ = windows_of(
        np.repeat(np.asarray(picture)[None], COUNT, axis=0), dataclasses.replace(PLAIN, bend=1.0)
    )
    parts = [np.s_[2:11], np.s_[10:18], np.s_[17:26]]
    moved = []
    for rows, y in zip(parts, (-8, 0, 8), strict=True):
        for columns, x in zip(parts, (-8, 0, 8), strict=True):
            dot = windows[:, rows, columns]
            mass = dot.sum(axis=(1, 2))
            moved.append(dot.sum(axis=2) @ PIXEL[rows] / mass - y)
            moved.append(dot.sum(axis=1) @ PIXEL[columns] / mass - x)
    apart = np.stack(moved)
    assert 0.2 < apart.std() < 0.8  # the mean square of a deviation uniform in 0–1, 1/√3, and less
    assert abs(apart.mean()) < 0.05
    one_way = np.corrcoef(apart)[np.triu_indices(len(apart), 1)]
    assert np.abs(one_way).mean() < 0.2


def background_only(
    digits: np.ndarray, pictures: Pictures | None = None, /, **share: Any
) -> np.ndarray:
    """The background windows of a recipe which makes hardly any other."""
    windows, centred = windows_of(digits, dataclasses.replace(PLAIN, **share), pictures=pictures)
    assert 0.96 < (centred == 0).mean() < 1
    assert ((centred == 0) | (centred == 1)).all()
    return windows[centred == 0]


def test_off_centre_digits_are_beside_the_centre() -> None:
    windows = background_only(np.repeat(blob(0, 0, 1)[None], COUNT, axis=0), off_centre=0.99)
    rim = np.ones((28, 28), bool)
    rim[3:-3, 3:-3] = False
    whole = windows[windows[:, rim].max(axis=1) < 0.01]
    whole = whole[whole.sum(axis=(1, 2)) > 1]  # and not beyond the edge
    assert len(whole) > 0.1 * COUNT
    far = np.abs(centres(whole)).max(axis=1)
    assert 5.9 < far.min() < 6.5
    beyond = windows.sum(axis=(1, 2)) < 0.1
    assert 0.1 < beyond.mean() < 0.5  # 17 to 20 px off, of 6 to 20


def test_near_misses_are_digits_anywhere_near_and_as_centred_as_they_are() -> None:
    """A spot that is small enough to be seen whole: 1 px wide, in a window of 28."""
    picture = blob(0, 0, 1)
    recipe = dataclasses.replace(PLAIN, near_misses=0.99, shift=3, scale=1.25)
    windows, centred = windows_of(np.repeat(picture[None], COUNT, axis=0), recipe)
    off = np.abs(centres(windows)).max(axis=1)
    factor = np.sqrt(windows.sum(axis=(1, 2)) / picture.sum())
    assert 11 < off.max() < 12.1
    assert abs((off < 3).mean() - 0.25) < 0.07
    assert factor.min() < 0.66
    assert 2.0 < factor.max() < 2.3
    expected = np.clip((6 - off) / 3, 0, 1)
    expected *= np.clip(np.log(1.45 / factor) / np.log(1.45 / 1.25), 0, 1)
    expected *= np.clip(np.log(factor / 0.62) / np.log(0.8 / 0.62), 0, 1)
    # A spot's centre and its size are known from its pixels to some hundredths.
    assert np.quantile(np.abs(centred - expected), 0.99) < 0.12
    assert np.abs(centred - expected).mean() < 0.02


@pytest.mark.parametrize(
    ("scale", "offset", "expected"),
    [
        (1.0, (0, 0), 1.0),
        (1.25, (3, -3), 1.0),
        (0.8, (0, 2.9), 1.0),
        (1.0, (0, 4), 2 / 3),
        (1.0, (-5, 4), 1 / 3),
        (1.0, (1, 6), 0.0),
        (np.sqrt(1.25 * 1.45), (0, 0), 0.5),
        (np.sqrt(0.8 * 0.62), (4.5, 0), 0.25),
        (1.5, (0, 0), 0.0),
        (0.6, (0, 0), 0.0),
    ],
)
def test_centredness_falls_from_the_digits_to_the_background(
    scale: float, offset: tuple[float, float], expected: float
) -> None:
    place = Place(jnp.float32([scale]), jnp.float32([offset]), jnp.ones(1))
    found = centredness(place, RECIPES["standard"])
    np.testing.assert_allclose(found, [expected], atol=1e-5)


def test_what_a_recipe_calls_a_digit_is_centred_however_far_that_goes() -> None:
    recipe = dataclasses.replace(RECIPES["standard"], shift=9, scale=2.0)
    place = Place(jnp.array([1.0, 1.9, 0.55]), jnp.array([[0, 8.9], [0, 0], [9, 0]]), jnp.ones(3))
    np.testing.assert_array_equal(centredness(place, recipe), 1)


def test_wrong_sizes_are_small_and_near_or_large() -> None:
    picture = blob(0, 0, 1)
    windows = background_only(np.repeat(picture[None], COUNT, axis=0), wrong_size=0.99)
    rim = np.ones((28, 28), bool)
    rim[1:-1, 1:-1] = False
    whole = windows[windows[:, rim].max(axis=1) < 0.01]
    assert len(whole) > 0.5 * COUNT
    factor = np.sqrt(whole.sum(axis=(1, 2)) / picture.sum())
    small = factor < 1
    assert 0.3 < small.mean() < 0.75
    for (low, high), found in (((0.2, 0.62), factor[small]), ((1.45, 3.7), factor[~small])):
        assert found.min() > 0.93 * low
        assert found.max() < 1.07 * high
        assert found.max() / found.min() > 0.7 * high / low
    assert np.abs(centres(whole[small])).max() < 0.1  # without a shift
    assert np.abs(centres(whole[~small])).max() > 5


@pytest.mark.parametrize(
    ("kind", "has_digit"),
    [("off_centre", True), ("wrong_size", True), ("shapes", False), ("textures", False)],
)
def test_what_shows_the_digit_and_what_does_not(
    kind: str, has_digit: bool, digits: np.ndarray
) -> None:
    shown = background_only(digits, **{kind: 0.99})
    without = background_only(np.zeros_like(digits), **{kind: 0.99})
    if has_digit:
        assert not without.any()
        assert (shown.max(axis=(1, 2)) > 0.2).mean() > 0.7
    else:
        np.testing.assert_array_equal(shown, without)
        varied = np.ptp(shown, axis=(1, 2)) > 0.01
        assert varied.mean() > 0.9
        assert len(np.unique(shown[:, ::7, ::7], axis=0)) > 0.8 * len(shown)


def test_half_of_the_shapes_are_where_digits_are_and_the_others_anywhere(
    digits: np.ndarray,
) -> None:
    """A spot of 3 px as the only shape, of which half are to be within a shift of 2 px each way."""
    spot = np.rint(255 * blob(0, 0, 3)).astype(np.uint8)
    spots = draw_pictures()._replace(shapes=spot[None])
    windows = background_only(digits, spots, shapes=0.99, shift=2)
    windows = windows[windows.max(axis=(1, 2)) > 0.2]  # what the other 1 % are, too
    near = np.abs(centres(windows)).max(axis=1) < 2.1
    assert 0.45 < near.mean() < 0.65  # and of the others one in 25
    sizes = np.sqrt(windows.sum(axis=(1, 2)))  # a spot's sum goes by the square of its size
    spread, of_others = (np.ptp(np.quantile(s, [0.1, 0.9])) for s in (sizes[near], sizes[~near]))
    assert spread < 0.2 * of_others
    assert np.abs(centres(windows[~near])).max() > 6


def test_clutter_fills_windows_with_edges_of_all_greys() -> None:
    clutter = draw_clutter().astype(np.float32)
    assert clutter.shape[1:] == (28, 28)
    assert len(np.unique(clutter, axis=0)) > 0.99 * len(clutter) > 1000
    contrast = np.ptp(clutter, axis=(1, 2))
    assert (contrast > 20).mean() > 0.8
    assert (contrast > 200).mean() > 0.1
    # Of normalised pieces most is black, but not the middle.
    kind = len(clutter) // 7
    normalised = clutter[3 * kind :]
    assert (normalised < 30).mean() > 0.5
    assert (normalised[:, 8:-8, 8:-8].max(axis=(1, 2)) > 60).all()
    # Of others, light and dark in the middle and in the corners alike: no shape on a ground.
    clutter, strokes = clutter[: 2 * kind], clutter[2 * kind : 3 * kind]
    corners = clutter[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    middle = clutter[:, 13:15, 13:15].reshape(-1, 4)
    for part in (corners, middle):
        assert 40 < part.mean() < 130
        assert (part < 10).mean() > 0.02
        assert (part > 200).mean() > 0.02
    # A stroke has an end beyond the window.
    rim = np.concatenate(
        [strokes[:, [0, -1]].reshape(kind, -1), strokes[:, :, 0], strokes[:, :, -1]], 1
    )
    assert (rim.max(axis=1) > 0.3 * strokes.max(axis=(1, 2))).mean() > 0.95


def test_clutter_is_seen_from_all_sides_whole_in_part_or_ending(
    digits: np.ndarray,
) -> None:
    """85 % of texture windows are clutter, of which 70 % fill the window."""
    white = np.full((1, 28, 28), 255, np.uint8)
    pictures = draw_pictures()._replace(clutter=white)
    filled = (background_only(digits, pictures, textures=0.99) > 0.999).all(axis=(1, 2))
    assert abs(filled.mean() - 0.85 * 0.7) < 5 * np.sqrt(0.25 / COUNT)

    # Its picture and the seven mirror images are alike likely.
    sided = white.copy()
    sided[:, :, :14] = 0
    sided[:, :2] = 128
    windows = background_only(digits, pictures._replace(clutter=sided), textures=0.99)
    views = [np.rot90(side, k) for side in (sided[0], sided[0, ::-1]) for k in range(4)]
    seen = [(np.abs(windows - view / 255) < 1e-3).all(axis=(1, 2)).mean() for view in views]
    # Three in ten are neither scaled nor moved: 19 windows of each view, ± 4.
    assert min(seen) > 0.3 * 0.85 * 0.3 / 8
    assert max(seen) < 1.9 * 0.85 * 0.3 / 8


def test_blank_windows_are_of_one_grey(digits: np.ndarray) -> None:
    windows = background_only(digits, blank=0.99)
    assert not np.ptp(windows, axis=(1, 2)).any()
    grey = windows[:, 0, 0]
    assert 0.2 < (grey == 0).mean() < 0.4  # 0.3 expected
    np.testing.assert_allclose(
        np.quantile(grey[grey > 0], [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.1
    )


def test_neighbours_only_add_ink_and_are_as_many_as_asked_for(digits: np.ndarray) -> None:
    """One digit in four is a full square, which shows wherever it is as a neighbour."""
    pictures = np.zeros((COUNT, 28, 28))
    pictures[::4] = 1
    asked = (0.0, 1.2, 3.0)
    recipes = [dataclasses.replace(PLAIN, neighbours=number) for number in asked]
    none, some, all_three = (windows_of(pictures, recipe)[0] for recipe in recipes)
    assert (some >= none).all()
    assert (all_three >= some).all()
    others = np.arange(COUNT) % 4 > 0
    seen = [windows[others].any(axis=(1, 2)).mean() for windows in (none, some, all_three)]
    assert seen[0] == 0
    assert 0.3 < seen[1] < 0.52  # 0.4 a neighbour, some of them shapes instead
    assert seen[2] > 0.85
    # Crowded and empty windows: at u^1.5 each, all three are missing in 0.37; were it 0.4, in 0.22.
    around_nothing = windows_of(1 - pictures, recipes[1])[0][::4]
    assert 0.55 < around_nothing.any(axis=(1, 2)).mean() < 0.69

    recognised = windows_of(digits, recipes[2])[1]
    assert (recognised == 1).all()


def test_augment_says_how_far_a_window_s_digit_is_centred(digits: np.ndarray) -> None:
    images = jnp.asarray(digits)[..., None]
    labels = jnp.asarray(np.arange(COUNT) % 10, jnp.uint8)
    recipe = RECIPES["standard"]
    found = jax.jit(partial(augment, recipe=recipe))(KEY, Batch(images, labels, jnp.ones(COUNT)))
    windows, centred = windows_of(digits, recipe)
    np.testing.assert_allclose(found.images[..., 0], windows, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_allclose(found.centred, centred, rtol=0, atol=1e-4)


def test_the_paper_s_recipe_only_shifts(digits: np.ndarray) -> None:
    recipe = RECIPES["paper"]
    assert not recipe.composes
    assert RECIPES["standard"].composes
    images = jnp.asarray(digits)[..., None]
    labels = jnp.asarray(np.arange(COUNT) % 10, jnp.uint8)
    found = augment(KEY, Batch(images, labels, jnp.ones(COUNT)), recipe)
    np.testing.assert_array_equal(found.images, shift(KEY, images, 6))
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.centred, 1)


@pytest.mark.parametrize(
    "field",
    [
        *("off_centre", "wrong_size", "shapes", "textures", "blank", "near_misses"),
        *("neighbours", "turn", "bend"),
    ],
)
def test_any_background_is_composed(field: str) -> None:
    assert not PLAIN.composes
    assert dataclasses.replace(PLAIN, **{field: 0.1}).composes  # type: ignore[arg-type]
    assert dataclasses.replace(PLAIN, scale=1.1).composes
    assert dataclasses.replace(PLAIN, stretch=1.1).composes
    assert dataclasses.replace(PLAIN, slant=0.1).composes


def test_a_background_window_s_loss_is_least_at_uniform_probabilities() -> None:
    mesh = Mesh(jax.devices()[:1], ("data",))
    params = jax.tree.map(jnp.zeros_like, init(jax.random.key(0)))

    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def loss(
        bias: jax.Array, params: Params, labels: jax.Array, centred: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        biased = {**params, "dense2": {**params["dense2"], "bias": bias}}
        batch = Batch(jnp.zeros((4, 28, 28, 1)), labels, centred)
        return loss_and_accuracy(biased, batch, mesh)

    labels = jnp.array([2, 3, 7, 9], jnp.uint8)
    (found, accuracy), gradient = loss(jnp.zeros(10), params, labels, jnp.zeros(4))
    assert found == pytest.approx(np.log(10))
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
    assert accuracy == 0  # of no digits
    p = np.full(10, 0.05)
    p[2] = 0.55
    unequal = jnp.asarray(np.log(p), jnp.float32)
    expected = -np.log(p).mean()
    assert expected > np.log(10)
    (found, _), gradient = loss(unequal, params, labels, jnp.zeros(4))
    assert found == pytest.approx(expected)
    np.testing.assert_allclose(gradient, p - 0.1, atol=1e-6)
    # Two digits, of which one is right, and two background windows: accuracy is the digits'.
    (found, accuracy), _ = loss(unequal, params, labels, jnp.array([1.0, 0, 1, 0]))
    assert found == pytest.approx((-np.log(0.55) - np.log(0.05) + 2 * expected) / 4)
    assert accuracy == 0.5
    # A near miss of a 2, half centred, is at its least at a margin of one half, and no digit yet.
    twos = jnp.full(4, 2, jnp.uint8)
    (_, accuracy), gradient = loss(unequal, params, twos, jnp.full(4, 0.5))
    assert p[2] - np.delete(p, 2).max() == pytest.approx(0.5)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
    assert accuracy == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"off_centre": -0.1}, "shares"),
        ({"blank": -0.01, "textures": 0.5}, "shares"),
        ({"shapes": 1.0}, "shares whose sum is below 1"),
        ({"wrong_size": 0.5, "off_centre": 0.5}, "shares whose sum is below 1"),
        ({"textures": float("nan")}, "shares"),
        ({"neighbours": -0.1}, "neighbours must be 0 to 3"),
        ({"neighbours": 3.5}, "neighbours must be 0 to 3"),
        ({"scale": 0.9}, "scale must be 1 to 2"),
        ({"turn": -1.0}, "turn must be 0 to 45 degrees"),
        ({"slant": 1.1}, "slant must be 0 to 1"),
        ({"stretch": 0.9}, "stretch must be 1 to 2"),
        ({"bend": float("nan")}, "bend must be 0 to 5 pixels"),
        ({"scale": float("nan")}, "scale must be 1 to 2"),
    ],
)
def test_recipes_refuse_nonsense(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        dataclasses.replace(PLAIN, **change)


def test_pictures_are_as_many_as_is_said_before_they_are_drawn() -> None:
    for drawn, expected in zip(draw_pictures(), pictures_to_come(), strict=True):
        assert drawn.shape == expected.shape
        assert drawn.dtype == expected.dtype
