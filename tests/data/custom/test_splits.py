"""Splits by the pixels: no picture in two of them, stratified, and stable."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digits_jax.data.custom.splits import SPLITS, CustomDigits, split_digits
from digits_jax.data.idx import DataError
from digits_jax.data.mnist import Dataset, Mnist

# One picture for each number: its bits are the first pixels.
NO_MNIST = Mnist(*(Dataset(np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8)),) * 3)
Examples = list[tuple[int, int]]  # number of the picture, label


def digits_of(examples: Examples) -> Dataset:
    images = np.zeros((len(examples), 28, 28), np.uint8)
    for image, (number, _) in zip(images, examples, strict=True):
        image[0, :16] = [255 * (number >> bit & 1) for bit in range(16)]
    return Dataset(images, np.array([label for _, label in examples], np.uint8))


def examples_of(split: Dataset) -> Examples:
    numbers = [int(np.dot(i[0, :16] > 0, 1 << np.arange(16))) for i in np.asarray(split.images)]
    return sorted(zip(numbers, np.asarray(split.labels).tolist(), strict=True))


def split(examples: Examples) -> CustomDigits:
    return split_digits(digits_of(examples), NO_MNIST)


labelled = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), min_size=1, max_size=80)
# Three pictures of a 0 that nothing else has, so that no split is empty.
LEAST: Examples = [(61, 0), (62, 0), (63, 0)]


@settings(max_examples=60, deadline=None)
@given(labelled)
def test_every_example_is_in_one_split_and_no_picture_in_two(examples: Examples) -> None:
    custom = split(examples + LEAST)
    parts = [examples_of(part) for part in custom.splits]
    assert sorted(example for part in parts for example in part) == sorted(examples + LEAST)
    pictures = [{number for number, _ in part} for part in parts]
    assert sum(len(part) for part in pictures) == len(set.union(*pictures))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 200), min_size=10, max_size=10))
def test_each_class_is_divided_into_80_10_and_10_percent(counts: list[int]) -> None:
    """Pictures that all differ: the shares of every class are within half a picture."""
    numbers = iter(range(sum(counts) + 3))
    examples = [(next(numbers), label) for label, count in enumerate(counts) for _ in range(count)]
    examples += [(next(numbers), 0) for _ in range(3)]
    custom = split(examples)
    counts[0] += 3
    described = custom.describe()
    for label, count in enumerate(counts):
        train, validation, test = (described[name][label] for name in SPLITS)
        assert train + validation + test == count
        if count < 3:
            assert train == count
        else:
            assert validation == test == max(round(count / 10), 1)


@settings(max_examples=40, deadline=None)
@given(labelled, st.randoms(use_true_random=False))
def test_neither_order_nor_source_matters_but_every_pixel_and_label_does(
    examples: Examples, random: object
) -> None:
    examples = examples + LEAST
    shuffled = list(examples)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    custom = split(examples)
    assert split(shuffled).sha256 == custom.sha256
    assert split([(64, 1), *examples]).sha256 != custom.sha256
    number, label = examples[0]
    assert split([(number, (label + 1) % 10), *examples[1:], *LEAST]).sha256 != custom.sha256


def test_no_training_picture_becomes_a_test_picture_when_pictures_are_added() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.permutation(2**16)[:2000].tolist()
    before = split([(number, 1) for number in numbers[:1000]])
    after = split([(number, 1) for number in numbers])
    old, new = (
        [{number for number, _ in examples_of(part)} for part in custom.splits]
        for custom in (before, after)
    )
    assert not old[0] & new[2]
    assert not old[2] & new[0]
    moved = sum(len(old[a] & new[b]) for a in range(3) for b in range(3) if a != b)
    assert moved < 60  # of 1,000


def test_too_few_pictures_are_refused_with_what_is_needed() -> None:
    with pytest.raises(DataError, match="found 2 different ones, and none for validation and test"):
        split([(1, 1), (2, 1), (1, 1)])


def test_arrays_of_another_form_are_refused() -> None:
    images = np.zeros((3, 28, 28), np.uint8)
    for digits in (
        (images, np.array([0, 1, 10], np.uint8)),
        (images[:2], np.array([0, 1, 2], np.uint8)),
        (images[:0], np.zeros(0, np.uint8)),
    ):
        with pytest.raises(DataError, match="expected digits as uint8 images"):
            split_digits(Dataset(*digits), NO_MNIST)
