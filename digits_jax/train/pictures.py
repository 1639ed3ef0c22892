"""All pictures that are drawn for a run: negatives, and digits in other hands."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import cv2

from digits_jax.data.mnist import Dataset
from digits_jax.train.config import TrainConfig
from digits_jax.train.hands.draw import draw_other_hands, other_hands_sha256, other_hands_spec
from digits_jax.train.negatives.draw import (
    NegativePictures,
    draw_negatives,
    negatives_sha256,
    negatives_spec,
)


class DrawnPictures(NamedTuple):
    """The pictures from which windows are composed; those that a configuration lacks are None."""

    negatives: NegativePictures | None = None
    hands: Dataset | None = None


def draw_pictures(digits: Dataset, config: TrainConfig) -> DrawnPictures:
    """Draws the pictures that a configuration needs; they are the same on every call.

    Args:
      digits: MNIST's training digits.
      config: the shares of the kinds of window and of other hands.
    """
    with _one_opencv_thread():
        hands = draw_other_hands(digits) if config.other_hands else None
        if not config.composes:
            return DrawnPictures(None, hands)
        if config.negative_framed:
            return DrawnPictures(draw_negatives(digits, hands), hands)
        return DrawnPictures(draw_negatives(), hands)


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Keeps OpenCV from using several threads, which take longer for pictures as small as these."""
    count = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(count)


def pictures_spec(config: TrainConfig) -> DrawnPictures:
    """Returns the shapes and dtypes of `draw_pictures()`, to compile for before they are drawn."""
    framed = config.negative_framed > 0
    return DrawnPictures(
        negatives_spec(framed=framed) if config.composes else None,
        other_hands_spec() if config.other_hands else None,
    )


def pictures_sha256(pictures: DrawnPictures) -> tuple[str | None, str | None]:
    """Returns the hashes of the negatives and of the digits in other hands; None without them."""
    negatives, hands = pictures
    return (
        None if negatives is None else negatives_sha256(negatives),
        None if hands is None else other_hands_sha256(hands),
    )
