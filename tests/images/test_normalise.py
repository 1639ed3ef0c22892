"""Photo normalisation: ink of any colour on any paper becomes bright ink on black."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import compose
from digits_jax.images.normalise import is_ink_on_black, normalise


@pytest.fixture(scope="module")
def ink(mnist: Mnist) -> np.ndarray:
    """Four digits on 140×140 px of black."""
    return next(
        s.image for s in compose("native", "validation", 9, 3, mnist=mnist) if len(s[2]) > 3
    )


def draw(
    ink: np.ndarray, paper: float | tuple[float, ...], pen: float | tuple[float, ...]
) -> np.ndarray:
    """Draws ink of one colour on paper of another, each 0–1."""
    covered = ink / 255
    if np.ndim(pen):
        covered = covered[..., None]
    return np.rint(255 * (np.asarray(paper) * (1 - covered) + np.asarray(pen) * covered)).astype(
        np.uint8
    )


def test_digits_on_black_change_by_3_grey_levels_at_most(mnist: Mnist) -> None:
    for scene in compose("native", "validation", 20, 3, mnist=mnist):
        np.testing.assert_allclose(normalise(scene.image), scene.image, atol=3)


def test_ink_on_black_is_distinguished_from_other_pictures(ink: np.ndarray, mnist: Mnist) -> None:
    """MNIST's digits, paper of up to 8 grey levels and coloured ink are; other paper is not."""
    assert is_ink_on_black(ink)
    assert is_ink_on_black(np.asarray(mnist.validation.images[0]))
    assert is_ink_on_black(np.maximum(ink, 8))
    assert is_ink_on_black(draw(ink, (0.0, 0.0, 0.0), (1.0, 0.3, 0.0)))
    assert not is_ink_on_black(np.maximum(ink, 9))
    assert not is_ink_on_black(255 - ink)
    assert not is_ink_on_black(draw(ink, (0.0, 0.1, 0.0), (1.0, 0.3, 0.0)))  # dark green
    for dataset in ("page", "textured"):
        for scene in compose(dataset, "validation", 5, 3, mnist=mnist):
            assert not is_ink_on_black(scene.image)


@pytest.mark.parametrize(
    ("paper", "pen"),
    [
        (0.0, 0.3),  # faint on black
        (1.0, 0.0),
        (0.9, 0.5),
        (0.4, 0.6),
        ((0.2, 0.4, 0.3), (0.5, 0.3, 0.3)),  # of the same luma
        ((0.5, 0.5, 0.5), (0.5, 0.5, 0.8)),
    ],
)
def test_ink_of_any_colour_on_paper_of_any_colour_becomes_bright_on_black(
    ink: np.ndarray, paper: float | tuple[float, ...], pen: float | tuple[float, ...]
) -> None:
    picture = draw(ink, paper, pen)
    # Amplifying the contrast amplifies the rounding to grey levels.
    contrast = np.max(np.abs(np.asarray(paper) - np.asarray(pen)))
    np.testing.assert_allclose(normalise(picture), ink, atol=4 / contrast)


def test_a_negative_is_normalised_to_the_same_picture(ink: np.ndarray) -> None:
    light = np.linspace(0.3, 1, ink.shape[1])
    picture = np.rint(255 * (0.2 + 0.6 * ink / 255) * light).astype(np.uint8)
    assert picture.std() > 10
    np.testing.assert_allclose(normalise(255 - picture).astype(int), normalise(picture), atol=2)


def test_dark_ink_and_light_ink_in_one_image_both_become_bright(ink: np.ndarray) -> None:
    picture = np.concatenate([draw(ink, 0.9, 0.2), draw(ink, 0.1, 0.9)], axis=1)
    result = normalise(picture)
    # Both are scaled alike: the contrast is 7/9 of full on the left, and 8/9 on the right.
    tolerance = 255 * (1 - 7 / 8)
    left, right = result[:, :90], result[:, -90:]  # away from where the papers meet
    np.testing.assert_allclose(left, ink[:, :90], atol=tolerance)
    np.testing.assert_allclose(right, ink[:, -90:], atol=tolerance)


def test_uneven_light_keeps_ink_above_100_and_paper_below_25(ink: np.ndarray) -> None:
    x = np.linspace(0, 1, ink.shape[1])
    light = 0.35 + 0.6 * np.sin(2 * x) * x[:, None]
    picture = np.rint(draw(ink, 1.0, 0.3) * light).astype(np.uint8)
    result = normalise(picture).astype(float)
    # The slope of the light counts as noise, which is subtracted from the ink.
    assert result[ink > 200].min() > 100
    assert result[ink == 0].max() < 25


@pytest.mark.parametrize("grey", [0, 1, 60, 128, 254, 255])
def test_blank_paper_has_no_ink(grey: int) -> None:
    assert not normalise(np.full((60, 90), grey, np.uint8)).any()
    slope = np.linspace(grey / 2, grey, 90).astype(np.uint8)
    assert normalise(np.tile(slope, (60, 1))).max() < 30


def test_noise_of_3_percent_is_not_ink(ink: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    noise = 255 * 0.03 * rng.normal(size=ink.shape)
    picture = (draw(ink, 0.8, 0.2) + noise).clip(0, 255).astype(np.uint8)
    result = normalise(picture)
    assert (result[ink == 0] > 40).mean() < 0.002
    assert (result[ink > 200] > 150).mean() > 0.98


@pytest.mark.parametrize("count", [1, 5, 28, 90])
def test_a_thin_line_is_ink(count: int) -> None:
    line = np.zeros((100, 100), np.uint8)
    line[range(count), range(count)] = 200
    np.testing.assert_array_equal(normalise(line), np.where(line, 255, 0))
    np.testing.assert_array_equal(normalise(255 - line), np.where(line, 255, 0))


@pytest.mark.parametrize(("bright_pixels", "others_level"), [(45, 255), (75, 100)])
def test_as_many_bright_pixels_as_a_small_digit_has_set_the_contrast(
    bright_pixels: int, others_level: int
) -> None:
    """Specks of fewer than 60 px do not dim fainter ink, and the ink of a digit does."""
    picture = np.zeros((100, 100), np.uint8)
    picture[::4, ::4] = 100
    ink = np.argwhere(picture)
    picture[tuple(ink[:bright_pixels].T)] = 255
    result = normalise(picture)
    np.testing.assert_array_equal(result[tuple(ink[:bright_pixels].T)], 255)
    np.testing.assert_array_equal(result[tuple(ink[bright_pixels:].T)], others_level)


SHAPES = st.one_of(
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.tuples(st.integers(1, 30), st.integers(1, 30), st.sampled_from([1, 3])),
)


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.uint8, SHAPES))
def test_images_of_any_size_are_normalised_and_their_negatives_alike(image: np.ndarray) -> None:
    result = normalise(image)
    assert result.shape == image.shape[:2]
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(normalise(255 - image), result)


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.uint8, SHAPES, elements=st.sampled_from([0, 255])))
def test_negatives_of_black_and_white_images_are_normalised_alike(image: np.ndarray) -> None:
    np.testing.assert_array_equal(normalise(255 - image), normalise(image))


@settings(max_examples=30, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))), st.booleans())
def test_turned_and_mirrored_pictures_have_turned_and_mirrored_ink(
    image: np.ndarray, grey_as_colours: bool
) -> None:
    """The samples lie in the middle of the steps; the last step of a side may be cut off."""
    if min(image.shape) > 21:
        image = image[: len(image) // 3 * 3, : image.shape[1] // 3 * 3]
    picture = np.dstack([image] * 3) if grey_as_colours else image
    result = normalise(picture)
    np.testing.assert_array_equal(normalise(image), result)
    np.testing.assert_allclose(normalise(picture.swapaxes(0, 1)).T.astype(int), result, atol=1)
    np.testing.assert_allclose(
        normalise(picture[::-1, ::-1])[::-1, ::-1].astype(int), result, atol=1
    )


def test_ink_is_the_share_of_the_largest_possible_difference() -> None:
    """Of paper of grey 200: 0 is all of it, 50 is 150 / 200; above, 255 is all of it as well."""
    picture = np.full((60, 80), 200, np.uint8)
    picture[10:20, 10:20], picture[30:40, 10:20], picture[30:40, 50:52] = 0, 50, 255
    want = np.zeros((60, 80))
    # The divisor of light ink is a quarter of full light at least, and 55 is less than that.
    want[10:20, 10:20], want[30:40, 10:20], want[30:40, 50:52] = 1, 150 / 200, 55 / (255 / 4)
    want = np.minimum(want / np.quantile(want[want >= 0.5], 0.8), 1)
    np.testing.assert_allclose(normalise(picture), 255 * want, atol=0.6)


def test_the_noise_of_the_paper_is_subtracted_from_ink() -> None:
    """A third each of the pixels is 95, 100 and 105: the median is 100, and g is 1.48 · 5."""
    levels = np.array([[100, 95, 105], [95, 105, 100], [105, 100, 95]], np.uint8)
    picture = np.tile(levels, (100, 100))
    picture[150:160, 150:160] = 0  # 100 below the paper
    picture[180:190, 180:190] = 50  # 50 below the paper
    noise = 3 * 1.4826 * 5
    faint = 255 * (50 - noise) / (100 - noise)
    result = normalise(picture)[100:200, 100:200]  # away from the border
    np.testing.assert_array_equal(result[50:60, 50:60], 255)
    np.testing.assert_allclose(result[80:90, 80:90], faint, atol=1)
    result[50:60, 50:60] = result[80:90, 80:90] = 0
    assert not result.any()


@pytest.mark.parametrize("factor", [2, 3])
def test_ink_of_a_larger_picture_is_the_ink_enlarged(factor: int, mnist: Mnist) -> None:
    for scene in compose("page", "validation", 3, 3, mnist=mnist):
        small = normalise(scene.image)
        size = (factor * 300, factor * 300)
        result = normalise(cv2.resize(scene.image, size, interpolation=cv2.INTER_CUBIC))
        want = cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)
        assert ((result > 127) != (want > 127)).mean() < 0.005
        assert np.abs(result.astype(int) - want).mean() < 3


@pytest.mark.parametrize(("side", "thickness"), [(200, 60), (300, 70), (1200, 280)])
@pytest.mark.parametrize("light_on_dark", [False, True])
def test_thick_strokes_in_even_light_are_filled(
    side: int, thickness: int, light_on_dark: bool
) -> None:
    """A bar that covers more than half of the narrow surroundings."""
    ink = np.zeros((side, side), bool)
    ink[side // 8 : -side // 8, (side - thickness) // 2 : (side + thickness) // 2] = True
    noise = np.random.default_rng(0).integers(-3, 4, ink.shape)
    picture = (np.where(ink, 40, 230) + noise).astype(np.uint8)
    result = normalise(255 - picture if light_on_dark else picture)
    assert result[ink].min() > 200
    assert result[~ink].max() < 25


def test_soft_strokes_that_cover_about_half_of_the_surroundings_are_filled() -> None:
    """The paper's median is right there, and what counts as its noise is as strong as the ink."""
    ink = np.zeros((300, 300), np.uint8)
    cv2.circle(ink, (150, 150), 60, 255, 30)
    ink = np.asarray(cv2.GaussianBlur(ink, (0, 0), 4))
    picture = draw(ink, 0.9, 0.2).astype(int) + np.random.default_rng(0).integers(-3, 4, ink.shape)
    result = normalise(picture.astype(np.uint8))
    union = (result > 127) | (ink > 127)
    assert ((result > 127) & (ink > 127)).sum() > 0.9 * union.sum()


def test_an_image_of_one_pixel_has_no_ink() -> None:
    for shape in ((1, 1), (1, 1, 3), (1, 1, 4)):
        result = normalise(np.full(shape, 77, np.uint8))
        assert result.dtype == np.uint8
        np.testing.assert_array_equal(result, [[0]])


@pytest.mark.parametrize("shape", [(1, 100_000), (100_000, 1), (2, 40_000, 3), (43, 3000)])
def test_long_and_narrow_images_are_normalised(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    result = normalise(image)
    assert result.shape == shape[:2]
    np.testing.assert_array_equal(normalise(255 - image), result)


def test_pictures_are_left_as_they_are_and_may_be_views(ink: np.ndarray) -> None:
    picture = draw(ink, (0.9, 0.9, 0.8), (0.2, 0.2, 0.6))
    view = np.repeat(np.repeat(picture, 2, axis=0), 2, axis=1)[::2, ::2]
    view.flags.writeable = False
    np.testing.assert_array_equal(normalise(view), normalise(picture))
    np.testing.assert_array_equal(view, picture)


def test_strips_do_not_show(ink: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = draw(ink, (0.9, 0.8, 0.7), (0.2, 0.3, 0.6))
    want = normalise(picture)
    for values in (1, 5000, 10**9):
        monkeypatch.setattr("digits_jax.images.normalise.STRIP_VALUES", values)
        np.testing.assert_array_equal(normalise(picture), want)
