"""The network's probabilities and margins, and how well margins tell digits from other windows."""

import jax
import numpy as np
from jaxtyping import Float

from digits_jax.models.cnn import Params, classify
from digits_jax.train.batch import to_network_input
from experiments.common.windows_without_digits import Windows

CHUNK = 1000  # windows classified at once
FALSE_POSITIVE_RATE = 0.01


def probabilities(params: Params, windows: Windows) -> Float[np.ndarray, "n 10"]:
    """Classifies windows.

    Args:
      params: the network's parameters.
      windows: 0–255, ink bright on black.

    Returns:
      The probability of each class, 0–1.
    """
    program = jax.jit(lambda images: jax.nn.softmax(classify(params, images)))
    chunks = (windows[begin : begin + CHUNK] for begin in range(0, len(windows), CHUNK))
    return np.concatenate([np.asarray(program(to_network_input(chunk))) for chunk in chunks])


def margins(probabilities: Float[np.ndarray, "n 10"]) -> Float[np.ndarray, " n"]:
    """Computes the best probability less the second (section 4 of the paper)."""
    second, best = np.partition(probabilities, -2, axis=1)[:, -2:].T
    return best - second


def separate(
    digit_margins: Float[np.ndarray, " n"], params: Params, windows: Windows
) -> dict[str, float]:
    """Tells how well margins tell digits from windows without digits.

    Args:
      digit_margins: the margins of digits.
      params: the network's parameters.
      windows: windows that show no digit.

    Returns:
      The number of windows, the area under the ROC curve, the share of digits kept where 1 % of the
      windows pass, and the windows' mean margin.
    """
    from sklearn.metrics import roc_auc_score

    others = margins(probabilities(params, windows))
    is_digit = np.repeat([True, False], [len(digit_margins), len(others)])
    threshold = np.quantile(others, 1 - FALSE_POSITIVE_RATE)
    return {
        "count": len(windows),
        "auroc": round(float(roc_auc_score(is_digit, np.append(digit_margins, others))), 5),
        "digits_kept": round(float((digit_margins > threshold).mean()), 4),
        "mean_margin": round(float(others.mean()), 4),
    }
