import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from windows import COUNT, KEY, PLAIN, blob, centres, windows_of

from digits_jax.data.mnist import Mnist
from digits_jax.train.augment import NegativePictures, centredness, draw_negatives
from digits_jax.train.config import CONFIGS, ConfigError
from digits_jax.train.step import Batch, augment, translate
from digits_jax.train.warp import Placement


@pytest.fixture(scope="module")
def digits(mnist: Mnist) -> np.ndarray:
    return np.asarray(mnist.train.images[:COUNT], np.float32) / 255


def test_with_nothing_asked_for_the_digits_come_back(digits: np.ndarray) -> None:
    """As they are, or blurred: by less than the widest triangle, with all of their ink."""
    windows, centred = windows_of(digits, PLAIN)
    assert (centred == 1).all()
    same = np.abs(windows - digits).max(axis=(1, 2)) < 1e-5
    assert 0.5 < same.mean() < 0.7  # 0.6 expected, ± 0.02
    np.testing.assert_allclose(windows.sum(axis=(1, 2)), digits.sum(axis=(1, 2)), rtol=0.05)
    np.testing.assert_allclose(centres(windows), centres(digits), atol=0.2)


def test_the_standard_recipe_s_windows(digits: np.ndarray) -> None:
    recipe = CONFIGS["standard"]
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
    recipe = CONFIGS["standard"]
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


def background_only(
    digits: np.ndarray, distractors: NegativePictures | None = None, /, **share: Any
) -> np.ndarray:
    """The background windows of a recipe which makes hardly any other."""
    windows, centred = windows_of(
        digits, dataclasses.replace(PLAIN, **share), distractors=distractors
    )
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
    place = Placement(jnp.float32([scale]), jnp.float32([offset]), jnp.ones(1))
    found = centredness(place, CONFIGS["standard"])
    np.testing.assert_allclose(found, [expected], atol=1e-5)


def test_what_a_recipe_calls_a_digit_is_centred_however_far_that_goes() -> None:
    recipe = dataclasses.replace(CONFIGS["standard"], shift=9, scale=2.0)
    place = Placement(
        jnp.array([1.0, 1.9, 0.55]), jnp.array([[0, 8.9], [0, 0], [9, 0]]), jnp.ones(3)
    )
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
    spots = draw_negatives()._replace(shapes=spot[None])
    windows = background_only(digits, spots, shapes=0.99, shift=2)
    windows = windows[windows.max(axis=(1, 2)) > 0.2]  # what the other 1 % are, too
    near = np.abs(centres(windows)).max(axis=1) < 2.1
    assert 0.45 < near.mean() < 0.65  # and of the others one in 25
    sizes = np.sqrt(windows.sum(axis=(1, 2)))  # a spot's sum goes by the square of its size
    spread, of_others = (np.ptp(np.quantile(s, [0.1, 0.9])) for s in (sizes[near], sizes[~near]))
    assert spread < 0.2 * of_others
    assert np.abs(centres(windows[~near])).max() > 6


def test_clutter_is_seen_from_all_sides_whole_in_part_or_ending(
    digits: np.ndarray,
) -> None:
    """85 % of texture windows are clutter, of which 70 % fill the window."""
    white = np.full((1, 28, 28), 255, np.uint8)
    distractors = draw_negatives()._replace(clutter=white)
    filled = (background_only(digits, distractors, textures=0.99) > 0.999).all(axis=(1, 2))
    assert abs(filled.mean() - 0.85 * 0.7) < 5 * np.sqrt(0.25 / COUNT)

    # Its picture and the seven mirror images are alike likely.
    sided = white.copy()
    sided[:, :, :14] = 0
    sided[:, :2] = 128
    windows = background_only(digits, distractors._replace(clutter=sided), textures=0.99)
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
    recipe = CONFIGS["standard"]
    batch = Batch(images, labels, jnp.ones(COUNT))
    with pytest.raises(ValueError, match="draw_distractors"):
        augment(KEY, batch, recipe)
    found = jax.jit(partial(augment, recipe=recipe))(KEY, batch, distractors=draw_negatives())
    windows, centred = windows_of(digits, recipe)
    np.testing.assert_allclose(found.images[..., 0], windows, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_allclose(found.centred, centred, rtol=0, atol=1e-4)


def test_the_paper_s_recipe_only_shifts(digits: np.ndarray) -> None:
    recipe = CONFIGS["paper"]
    assert not recipe.composes
    assert CONFIGS["standard"].composes
    images = jnp.asarray(digits)[..., None]
    labels = jnp.asarray(np.arange(COUNT) % 10, jnp.uint8)
    found = augment(KEY, Batch(images, labels, jnp.ones(COUNT)), recipe)
    np.testing.assert_array_equal(found.images, translate(KEY, images, 6))
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
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(PLAIN, **change)
