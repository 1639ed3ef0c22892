"""The pictures of what is no digit."""

import numpy as np

from digits_jax.train.augment import draw_negatives, negatives_spec
from digits_jax.train.negatives.clutter import draw_clutter


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


def test_distractors_are_as_many_as_is_said_before_they_are_drawn() -> None:
    for drawn, expected in zip(draw_negatives(), negatives_spec(), strict=True):
        assert drawn.shape == expected.shape
        assert drawn.dtype == expected.dtype
