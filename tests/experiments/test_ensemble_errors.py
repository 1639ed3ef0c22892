"""The errors of an ensemble on the test digits."""

import numpy as np

from digits_jax.data.mnist import load_mnist
from experiments.studies.ensemble_errors import MISLABELLED, find_errors


def test_the_mislabelled_digits_are_those_of_which_people_say_something_else() -> None:
    labels = np.asarray(load_mnist().test.labels)
    given = [8, 0, 9, 4, 2, 5, 6, 6, 5, 5, 0, 1, 4, 6, 5]  # as Northcutt et al. list them
    assert labels[list(MISLABELLED)].tolist() == given
    people = {index: label for index, label in MISLABELLED.items() if label is not None}
    assert len(people) == 10
    assert all(labels[index] != label for index, label in people.items())


def test_errors_are_those_of_the_mean_probabilities_the_surest_first() -> None:
    """Of three digits, the second is wrong in one network alone, and is outvoted by the other."""
    each = np.zeros((2, 3, 10))
    each[0, 0, [3, 5]] = 0.9, 0.1
    each[1, 0, [3, 5]] = 0.4, 0.6
    each[0, 1, [7, 1]] = 0.9, 0.1
    each[1, 1, [7, 1]] = 0.3, 0.7
    each[:, 2, [8, 0]] = 0.8, 0.2
    first, second = find_errors(each, np.array([5, 7, 0], np.uint8))
    assert (first["index"], first["label"], first["predicted"]) == (2, 0, 8)
    assert (first["probability"], first["probability_of_label"]) == (0.8, 0.2)
    assert (first["networks_wrong"], first["mislabelled"], first["people_say"]) == (2, False, None)
    assert (second["index"], second["predicted"], second["networks_wrong"]) == (0, 3, 1)
    assert (second["probability"], second["probability_of_label"]) == (0.65, 0.35)


def test_a_mislabelled_digit_is_marked() -> None:
    each = np.zeros((1, 1000, 10))
    each[..., 0] = 1
    each[0, 947] = np.eye(10)[9]
    labels = np.zeros(1000, np.uint8)
    labels[947] = 8
    (error,) = find_errors(each, labels)
    assert (error["mislabelled"], error["people_say"]) == (True, 9)
