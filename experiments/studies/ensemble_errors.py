"""How accurate are networks trained with several seeds together, and what do they get wrong?

The networks' probabilities are averaged (an ensemble). A figure shows every test digit whose most
probable class is then not its label.

Command:   python -m experiments.studies.ensemble_errors
Hardware:  any; needs the work folders of `experiments.studies.accuracy --config accurate`.
Time:      half a minute on 2 cores.
Result:    experiments/results/ensemble_errors.json and ensemble_errors.png, from which
           `experiments.figures.tables` writes lines of docs/results.md.
"""

from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jaxtyping import Float, UInt8

from digits_jax.data.mnist import Dataset, load_mnist
from digits_jax.models.cnn import Params, classify
from digits_jax.train.batch import to_network_input
from digits_jax.train.checkpoints import load_best
from experiments.common.provenance import RESULTS, provenance, write_result

CHUNK = 1000  # digits classified at once
COLUMNS = 8  # of the figure
# Test digits whose label fewer than three of five people chose, with the class that most of them
# chose, or None if most chose neither the label nor the other class that they were offered: the 15
# label errors that Northcutt, Athalye and Mueller (2021, "Pervasive label errors in test sets
# destabilize machine learning benchmarks") found in MNIST.
MISLABELLED = {
    **{947: 9, 1621: 6, 1901: 4, 2130: None, 2462: 0, 2597: 3, 2654: None, 3520: None},
    **{3558: 0, 5937: 3, 6651: 6, 6783: 6, 8527: None, 9679: None, 9729: 6},
}


def main(
    config: str = "accurate",
    seeds: Annotated[list[int], tyro.conf.arg(metavar="SEED…")] = [0, 1, 2, 3, 4],  # noqa: B006
    workdirs: Path = Path("runs"),
) -> None:
    """Counts and draws the errors of an ensemble on the test digits.

    Args:
        config: Training configuration.
        seeds: Seeds of the networks.
        workdirs: Folder with the runs' work folders.
    """
    test = load_mnist().test
    networks = [load_best(workdirs / f"{config}-{seed}")[1] for seed in seeds]
    each = np.stack([_probabilities(params, test) for params in networks])
    labels = np.asarray(test.labels)
    errors = find_errors(each, labels)
    result = {
        "question": "How accurate is the mean of several networks, and what does it get wrong?",
        "config": config,
        "seeds": seeds,
        **provenance(),
        "test_errors_of_each": (each.argmax(axis=2) != labels).sum(axis=1).tolist(),
        "test_errors": len(errors),
        "test_accuracy": (len(labels) - len(errors)) / len(labels),
        "mislabelled": sum(error["mislabelled"] for error in errors),
        "errors": errors,
    }
    _draw(np.asarray(test.images), errors).savefig(RESULTS / "ensemble_errors.png", dpi=100)
    print(write_result("ensemble_errors", result))


def find_errors(
    each: Float[np.ndarray, "k n 10"], labels: UInt8[np.ndarray, " n"]
) -> list[dict[str, Any]]:
    """Returns the digits whose most probable class is not their label, the surest errors first.

    Args:
      each: the probabilities of each network; their mean is the ensemble's.
      labels: the labels of the test digits.
    """
    together = each.mean(axis=0)
    probability = together.max(axis=1)
    wrong = np.flatnonzero(together.argmax(axis=1) != labels)
    return [
        {
            "index": index,
            "label": int(labels[index]),
            "predicted": int(together[index].argmax()),
            "probability": round(float(probability[index]), 3),
            "probability_of_label": round(float(together[index, labels[index]]), 3),
            "networks_wrong": int((each[:, index].argmax(axis=1) != labels[index]).sum()),
            "mislabelled": index in MISLABELLED,
            "people_say": MISLABELLED.get(index),
        }
        for index in wrong[np.argsort(-probability[wrong])].tolist()
    ]


def _probabilities(params: Params, digits: Dataset) -> Float[np.ndarray, "n 10"]:
    program = jax.jit(lambda images: jax.nn.softmax(classify(params, images)))
    starts = range(0, len(digits.labels), CHUNK)
    chunks = (jnp.asarray(digits.images[begin : begin + CHUNK]) for begin in starts)
    return np.concatenate([np.asarray(program(to_network_input(chunk))) for chunk in chunks])


def _draw(images: np.ndarray, errors: list[dict[str, Any]]) -> Any:
    """Draws the digits that are wrong, the mislabelled ones in a red frame."""
    from matplotlib.figure import Figure

    rows = max(1, -(-len(errors) // COLUMNS))
    figure = Figure(figsize=(1.25 * COLUMNS, 1.6 * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        axis.set_axis_off()
    for axis, error in zip(axes, errors, strict=False):
        axis.set_axis_on()
        axis.imshow(images[error["index"]], cmap="gray_r")
        colour = "tab:red" if error["mislabelled"] else "black"
        for spine in axis.spines.values():
            spine.set(color=colour, linewidth=2.5 if error["mislabelled"] else 0.5)
        axis.set_title(
            f"{error['predicted']} ({error['probability']:.0%})\nlabel {error['label']}",
            fontsize=9,
            color=colour,
        )
        said = "" if error["people_say"] is None else f"\npeople: {error['people_say']}"
        axis.set_xlabel(f"no. {error['index']}{said}", fontsize=8)
    return figure


if __name__ == "__main__":
    tyro.cli(main)
