"""The camera at the ends of each range that it draws from, and averages over many pictures."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits_jax.data import camera


class FixedGenerator(np.random.Generator):
    """Draws the same place of each range.

    Args:
      fraction: the place: 0 for the low end of a range and 1 for its high end.
      coin: the number that `random` returns.
      noise: whether normal numbers are random, or all 0.
    """

    def __init__(self, fraction: float, *, coin: float = 0.0, noise: bool = True) -> None:
        super().__init__(np.random.PCG64(0))
        self.fraction, self.coin, self.noise = fraction, coin, noise

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        value = float(low + self.fraction * (high - low))
        return value if size is None else np.full(size, value)

    def random(self, *_: Any, **__: Any) -> Any:
        return self.coin

    def integers(self, low: Any, high: Any = None, *_: Any, **__: Any) -> Any:
        return low + round(self.fraction * (high - 1 - low))

    def choice(self, a: Any, *_: Any, **__: Any) -> Any:
        return a[round(self.fraction * (len(a) - 1))]

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        return super().normal(loc, scale, size) if self.noise else np.zeros(size)


LOW, HIGH = FixedGenerator(0), FixedGenerator(1)


def test_paper_is_light_and_the_pen_darker_in_each_channel() -> None:
    paper, pen = camera.draw_page_colours(LOW)
    np.testing.assert_allclose(paper, [0.7] * 3)
    np.testing.assert_allclose(pen, [0.7 * 0.05] * 3)
    paper, pen = camera.draw_page_colours(HIGH)
    np.testing.assert_allclose(paper, [0.85] * 3)
    np.testing.assert_allclose(pen, [0.85 * 0.45 * 0.7] * 3)


def test_illumination_is_55_to_100_percent_and_varies_by_10_to_50_percent() -> None:
    np.testing.assert_allclose(camera.draw_illumination((6, 9), LOW), np.full((6, 9), 0.55 * 0.9))
    np.testing.assert_allclose(camera.draw_illumination((6, 9), HIGH), np.full((6, 9), 1.5))


def test_a_smooth_field_is_quadratic_between_three_knots_an_axis() -> None:
    """Third differences vanish except where the pieces meet, at a third and two thirds."""
    field = camera.draw_smooth_field((60, 90), np.random.default_rng(3))
    assert field.shape == (60, 90)
    assert np.abs(field).max() < 1  # nothing is clipped
    column = field[:, 45]
    meeting = np.flatnonzero(np.abs(np.diff(column, 3)) > 1e-9)  # first of the four pixels
    assert meeting.tolist() == [17, 18, 19, 37, 38, 39]
    assert (np.abs(np.diff(column, 2)) > 1e-4).all()
    clipped = [camera.draw_smooth_field((60, 90), np.random.default_rng(seed)) for seed in (0, 1)]
    assert (np.min(clipped), np.max(clipped)) == (-1, 1)


def test_a_shadow_falls_on_half_of_the_pictures() -> None:
    pictures = [camera.draw_shadow((4, 4), np.random.default_rng(seed)) for seed in range(400)]
    shadows = sum(not (picture == 1).all() for picture in pictures)
    assert 170 <= shadows <= 230  # 200 ± 3 standard deviations
    assert (camera.draw_shadow((4, 4), FixedGenerator(0, coin=0.5)) == 1).all()
    assert (camera.draw_shadow((4, 4), FixedGenerator(0, coin=0.499)) < 1).any()


def test_a_shadow_takes_10_to_40_percent_beyond_its_edge() -> None:
    """The edge lies 100 px to the left or right of the centre, with a logistic of 3 or 40 px."""
    hard = camera.draw_shadow((2, 1000), LOW)
    assert (hard[0] == hard[1]).all()
    columns = [300, 400, 403, 700]
    np.testing.assert_allclose(hard[0, columns], [1, 0.95, 1 - 0.1 * 0.7310586, 0.9], atol=1e-6)
    soft = camera.draw_shadow((2, 1000), HIGH)
    np.testing.assert_allclose(soft[0, [600, 640]], [0.8, 1 - 0.4 * 0.7310586], atol=1e-6)
    level = camera.draw_shadow((1000, 2), FixedGenerator(0.25))  # at 90°, 50 px above the centre
    np.testing.assert_allclose(level[450], [1 - 0.175 / 2] * 2, atol=1e-6)


def test_shadows_come_from_all_directions() -> None:
    """In 300 shadows each side of the picture is the darkest in about a quarter."""
    darkest = []
    for seed in range(600):
        shadow = camera.draw_shadow((200, 200), np.random.default_rng(seed))
        sides = [shadow[0, 100], shadow[-1, 100], shadow[100, 0], shadow[100, -1]]
        if min(sides) < 1:
            darkest.append(int(np.argmin(sides)))
    shares = np.bincount(darkest, minlength=4) / len(darkest)
    np.testing.assert_allclose(shares, 0.25, atol=0.08)


def _correlation(texture: np.ndarray, lag: int) -> float:
    return float(np.corrcoef(texture[:, lag:].ravel(), texture[:, :-lag].ravel())[0, 1])


def test_paper_texture_has_a_standard_deviation_of_0_to_3_percent() -> None:
    assert (camera.draw_paper_texture((50, 60), LOW) == 0).all()
    assert camera.draw_paper_texture((50, 60), HIGH).std() == pytest.approx(0.03)
    deviations = [
        camera.draw_paper_texture((20, 20), np.random.default_rng(seed)).std()
        for seed in range(300)
    ]
    assert np.mean(deviations) == pytest.approx(0.015, abs=0.002)


def test_paper_texture_is_blurred_by_half_a_pixel_to_two_pixels() -> None:
    """White noise after a Gaussian of sigma σ correlates as exp(−lag² / 4σ²), if σ is not small."""
    fine = camera.draw_paper_texture((300, 300), FixedGenerator(1e-9))
    # With weights 1 and e^(−2) of a pixel and its neighbours: 2 e^(−2) / (1 + 2 e^(−4)).
    assert _correlation(fine, 1) == pytest.approx(0.261, abs=0.01)
    coarse = camera.draw_paper_texture((300, 300), HIGH)
    assert _correlation(coarse, 3) == pytest.approx(np.exp(-9 / 16), abs=0.03)


def test_a_background_varies_around_25_to_75_percent_by_up_to_20() -> None:
    np.testing.assert_allclose(camera.draw_background((6, 9), LOW), np.full((6, 9, 3), 0.25))
    np.testing.assert_allclose(camera.draw_background((6, 9), HIGH), np.full((6, 9, 3), 0.95))


def test_ink_differs_from_the_background_by_9_to_40_percent() -> None:
    np.testing.assert_allclose(camera.draw_ink_contrast(LOW), [-0.15 * 0.6] * 3)
    np.testing.assert_allclose(camera.draw_ink_contrast(HIGH), [0.4] * 3)


def test_the_sharpest_and_cleanest_camera_rounds_and_clips() -> None:
    picture = np.array([-0.5, 0.0, 0.4 / 255, 0.6 / 255, 1.0, 2.0]).reshape(1, 2, 3)
    assert camera.expose(picture, LOW).ravel().tolist() == [0, 0, 0, 1, 255, 255]


def test_the_lens_blurs_by_up_to_0_8_px_within_a_channel() -> None:
    """An impulse becomes 255 k ⊗ k, where k is about 0.022, 0.228, 0.499, 0.228, 0.022."""
    picture = np.zeros((9, 9, 3))
    picture[4, 4, 1] = 1
    blurred = camera.expose(picture, FixedGenerator(1, noise=False))
    assert blurred[3:6, 3:6, 1].tolist() == [[13, 29, 13], [29, 63, 29], [13, 29, 13]]
    assert not blurred[..., [0, 2]].any()


def test_the_sensor_s_noise_has_a_standard_deviation_of_up_to_2_5_percent() -> None:
    pixels = camera.expose(np.full((200, 200, 3), 0.5), HIGH).astype(float)
    assert pixels.std() == pytest.approx(0.025 * 255, rel=0.02)
    channels = pixels.reshape(-1, 3).T
    assert abs(np.corrcoef(channels) - np.eye(3)).max() < 0.03  # each channel has its own


@pytest.mark.parametrize(("generator", "largest"), [(LOW, 97), (HIGH, 12)])
def test_jpeg_quality_is_60_to_95(generator: np.random.Generator, largest: int) -> None:
    """The standard's largest luminance step, 121, times 80 % at 60 and 10 % at 95, rounded."""
    file = camera.encode_jpeg(np.zeros((8, 8, 3), np.uint8), generator)
    with Image.open(BytesIO(file)) as image:
        tables: dict[int, Sequence[int]] = image.quantization  # type: ignore[attr-defined]
        assert image.format == "JPEG"
    assert max(tables[0]) == largest


def _two_areas(photograph: Any, generator: np.random.Generator) -> tuple[float, float]:
    """Returns the mean grey levels of an area without ink and of one that is covered with it."""
    ink = np.zeros((32, 1024), np.uint8)
    ink[16:] = 255
    picture = photograph(ink, generator)[:, 960:]
    return float(picture[:14].mean()), float(picture[18:].mean())


def test_a_page_multiplies_light_shadow_and_colours() -> None:
    """0.495 of the light on paper of 0.7 and ink of 0.035, times 0.9 in the shadow."""
    lit = _two_areas(camera.photograph_page, FixedGenerator(0, coin=0.9))
    np.testing.assert_allclose(lit, [255 * 0.7 * 0.495, 255 * 0.035 * 0.495], atol=1.5)
    shaded = _two_areas(camera.photograph_page, FixedGenerator(0))
    np.testing.assert_allclose(shaded, [0.9 * 255 * 0.7 * 0.495, 0.9 * 255 * 0.0173], atol=1.5)


def test_a_textured_picture_adds_ink_to_its_background() -> None:
    darker = _two_areas(camera.photograph_textured, LOW)
    np.testing.assert_allclose(darker, [255 * 0.25, 255 * 0.16], atol=1.5)
    middle = _two_areas(camera.photograph_textured, FixedGenerator(0.5, noise=False))
    # Of the two signs the even number 0 is chosen: 0.275 · 0.8 darker than 0.5.
    np.testing.assert_allclose(middle, [255 * 0.5, 255 * 0.28], atol=1.5)


def test_the_texture_of_paper_shows_in_a_page() -> None:
    """1.5 % of texture is 3.8 grey levels in all channels; sensor noise alone leaves 2.1."""
    blank = np.zeros((200, 200), np.uint8)
    picture = camera.photograph_page(blank, FixedGenerator(0.5, coin=0.9))
    assert picture.astype(float).mean(axis=2).std() > 3.2


@pytest.mark.parametrize(
    ("photograph", "following"),
    [
        (camera.photograph_page, 0.042042740349919394),
        (camera.photograph_textured, 0.8337309600640775),
    ],
)
def test_a_picture_takes_a_pinned_number_of_draws(photograph: Any, following: float) -> None:
    """The number that the generator draws next is pinned."""
    rng = np.random.default_rng(0)
    photograph(np.zeros((20, 30), np.uint8), rng)
    assert rng.random() == pytest.approx(following)
