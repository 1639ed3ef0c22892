"""The negative pictures: their content, number and hash."""

import numpy as np

from digits_jax.train.negatives.draw import draw_negatives, negatives_sha256, negatives_spec
from digits_jax.train.negatives.photo_clutter import draw_clutter


def test_clutter_fills_pictures_with_edges_of_all_greys() -> None:
    clutter = draw_clutter().astype(np.float32)
    assert clutter.shape[1:] == (28, 28)
    assert len(np.unique(clutter, axis=0)) > 0.99 * len(clutter) > 1000
    contrast = np.ptp(clutter, axis=(1, 2))
    assert (contrast > 20).mean() > 0.8
    assert (contrast > 200).mean() > 0.1
    # The normalised crops are mostly black, but not in the middle.
    count = len(clutter) // 7
    normalised = clutter[3 * count :]
    assert (normalised < 30).mean() > 0.5
    assert (normalised[:, 8:-8, 8:-8].max(axis=(1, 2)) > 60).all()
    # In the others, middle and corners are equally light or dark: no shape lies on a background.
    clutter, strokes = clutter[: 2 * count], clutter[2 * count : 3 * count]
    corners = clutter[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    middle = clutter[:, 13:15, 13:15].reshape(-1, 4)
    for part in (corners, middle):
        assert 40 < part.mean() < 130
        assert (part < 10).mean() > 0.02
        assert (part > 200).mean() > 0.02
    # Strokes begin outside the picture.
    border = np.concatenate(
        [strokes[:, [0, -1]].reshape(count, -1), strokes[:, :, 0], strokes[:, :, -1]], 1
    )
    assert (border.max(axis=1) > 0.3 * strokes.max(axis=(1, 2))).mean() > 0.95


def test_negatives_spec_has_the_shapes_and_dtypes_of_the_pictures() -> None:
    assert draw_negatives().framed is None
    assert negatives_spec(framed=True).framed is not None
    for pictures, expected in zip(draw_negatives()[:2], negatives_spec()[:2], strict=True):
        assert pictures.shape == expected.shape
        assert pictures.dtype == expected.dtype


def test_the_hash_changes_with_one_grey_value_and_with_the_order_of_pictures() -> None:
    negatives = draw_negatives()
    sha256 = negatives_sha256(negatives)
    assert len(sha256) == 64
    assert negatives_sha256(draw_negatives()) == sha256
    changed = np.asarray(negatives.clutter).copy()
    changed[-1, 27, 27] ^= 1
    assert negatives_sha256(negatives._replace(clutter=changed)) != sha256
    assert negatives_sha256(negatives._replace(shapes=negatives.shapes[::-1])) != sha256
