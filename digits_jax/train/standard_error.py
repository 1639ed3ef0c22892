"""How exact a validation accuracy is, by which the best checkpoint is chosen."""

import math

STANDARD_ERROR = 0.000705  # of an accuracy of 99.5 % on 10,000 digits


def standard_error(accuracy: float, own_digits: int | None) -> float:
    """Returns the standard error of an accuracy, 0–1.

    Args:
      accuracy: on the validation digits, 0–1.
      own_digits: how many these are; None for MNIST's 10,000. With few digits an accuracy of 1 is
        not exact either, for which two wrong and two right ones are added (Agresti and Coull,
        1998).
    """
    if own_digits is None:
        return STANDARD_ERROR
    share = (accuracy * own_digits + 2) / (own_digits + 4)
    return math.sqrt(share * (1 - share) / (own_digits + 4))
