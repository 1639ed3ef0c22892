"""Subjects are turned, slanted, stretched and bent as far as a recipe asks, and no farther."""

import dataclasses

import numpy as np
from windows import COUNT, PIXEL, PLAIN, blob, windows_of


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
