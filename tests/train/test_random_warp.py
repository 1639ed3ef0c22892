"""Digits are rotated, sheared, stretched and bent as far as the config says, and no farther."""

import dataclasses

import numpy as np
from windows import COUNT, PIXEL, PLAIN, blob, compose


def moments(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the variances of the ink along y and x, and their covariance, in px²."""
    mass = windows.sum(axis=(1, 2))
    yy = windows.sum(axis=2) @ PIXEL**2 / mass
    xx = windows.sum(axis=1) @ PIXEL**2 / mass
    return yy, xx, np.einsum("nij,i,j->n", windows, PIXEL, PIXEL) / mass


def test_rotations_reach_the_config_s_angle_either_way() -> None:
    """A bar along x, whose axis then differs from x by the rotation."""
    bar = np.exp(-(PIXEL[:, None] ** 2) / 2 - PIXEL[None] ** 2 / 32)
    windows, _ = compose(
        np.repeat(bar[None], COUNT, axis=0), dataclasses.replace(PLAIN, rotation_deg=10.0)
    )
    yy, xx, yx = moments(windows)
    angle = np.rad2deg(np.arctan2(2 * yx, xx - yy) / 2)
    assert 9 < np.abs(angle).max() < 10.5
    assert angle.min() < -9
    assert angle.max() > 9
    assert abs(angle.mean()) < 1
    # The bar's length is unchanged except by the blur, a triangle of variance 2.6² / 6, and by the
    # two shears, which change its variance of 16 by tan² 10° either way.
    lengthening = (xx + yy + np.hypot(xx - yy, 2 * yx)) / 2 - moments(bar[None])[1]
    assert lengthening.min() > -0.6
    assert lengthening.max() < 2.0


def test_shears_move_rows_sideways_and_keep_their_height() -> None:
    bar = np.exp(-(PIXEL[:, None] ** 2) / 32 - PIXEL[None] ** 2 / 2)
    config = dataclasses.replace(PLAIN, shear=0.3)
    yy, _, yx = moments(compose(np.repeat(bar[None], COUNT, axis=0), config)[0])
    shear = yx / yy
    assert 0.25 < shear.max() < 0.32
    assert -0.32 < shear.min() < -0.25
    # The blur, a triangle, adds a variance of 2.6² / 6 at most.
    assert (np.abs(yy - moments(bar[None])[0] - 0.6) < 0.8).all()


def test_aspects_reach_the_config_s_factor_and_keep_the_amount_of_ink() -> None:
    pictures = np.repeat(blob(0, 0, 2.5)[None], COUNT, axis=0)
    windows, confidence = compose(pictures, dataclasses.replace(PLAIN, aspect=1.3))
    assert (confidence == 1).all()
    yy, xx, _ = moments(windows)
    ratio = (xx / yy) ** 0.25  # the two axes' factors are each other's inverse
    assert 1.25 < ratio.max() < 1.31
    assert 1 / 1.31 < ratio.min() < 1 / 1.25
    np.testing.assert_allclose(windows.sum(axis=(1, 2)), pictures.sum(axis=(1, 2)), rtol=0.02)


def test_elastic_displacements_move_parts_of_a_digit_independently_by_pixels() -> None:
    """Nine dots each move in their own direction, by up to a few standard deviations."""
    picture = sum(blob(y, x, 1) for y in (-8, 0, 8) for x in (-8, 0, 8))
    windows, _ = compose(
        np.repeat(np.asarray(picture)[None], COUNT, axis=0),
        dataclasses.replace(PLAIN, elastic_sigma_px=1.0),
    )
    parts = [np.s_[2:11], np.s_[10:18], np.s_[17:26]]
    displacements = []
    for rows, y in zip(parts, (-8, 0, 8), strict=True):
        for columns, x in zip(parts, (-8, 0, 8), strict=True):
            dot = windows[:, rows, columns]
            mass = dot.sum(axis=(1, 2))
            displacements.append(dot.sum(axis=2) @ PIXEL[rows] / mass - y)
            displacements.append(dot.sum(axis=1) @ PIXEL[columns] / mass - x)
    displacement = np.stack(displacements)
    # At most 1/√3: the root mean square of a standard deviation that is uniform in 0–1.
    assert 0.2 < displacement.std() < 0.8
    assert abs(displacement.mean()) < 0.05
    correlations = np.corrcoef(displacement)[np.triu_indices(len(displacement), 1)]
    assert np.abs(correlations).mean() < 0.2
