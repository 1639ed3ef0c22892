"""Digits that the tests of the formats write and read again."""

import numpy as np
import pytest

from digits_jax.data.font_glyphs import load_font_digits
from digits_jax.data.mnist import Dataset


@pytest.fixture(scope="session")
def own() -> Dataset:
    """200 different digits of fonts, 20 of each class, which are not MNIST's."""
    digits = load_font_digits("validation")
    rows = np.concatenate([np.flatnonzero(digits.labels == label)[:20] for label in range(10)])
    return Dataset(np.asarray(digits.images)[rows], np.asarray(digits.labels)[rows])
