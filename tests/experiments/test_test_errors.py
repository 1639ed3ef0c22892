"""The errors of an ensemble on the test digits."""

import numpy as np

from digits_jax.data.mnist import load_mnist
from experiments.studies.test_errors import MISLABELLED


def test_the_mislabelled_digits_are_those_of_which_people_say_something_else() -> None:
    labels = np.asarray(load_mnist().test.labels)
    given = [8, 0, 9, 4, 2, 5, 6, 6, 5, 5, 0, 1, 4, 6, 5]  # as Northcutt et al. list them
    assert labels[list(MISLABELLED)].tolist() == given
    assert all(labels[index] != people for index, people in MISLABELLED.items())
