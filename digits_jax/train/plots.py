"""The training curve, as in the paper's Figure 4."""

import os
from collections.abc import Sequence
from pathlib import Path

from digits_jax.train.workdir import Evaluation, read_metrics


def plot_training_curve(workdir: Path) -> Path | None:
    """Draws a run's record as `training_curve.png`, whole or not at all.

    Returns:
      The picture's path, or None when the run has no evaluation yet.
    """
    rows = read_metrics(workdir / "metrics.jsonl")
    if not rows:
        return None
    path = workdir / "training_curve.png"
    temporary = workdir / f".training_curve.{os.getpid()}.png"
    _draw(rows, temporary)
    os.replace(temporary, path)
    return path


def _draw(rows: Sequence[Evaluation], path: Path) -> None:
    # Imported here: drawing is the last thing a run does, and the slowest import.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    steps = [row.step for row in rows]
    train = [row.train_accuracy for row in rows]
    axes.plot(steps, train, marker=".", label="training set, shifted, since the last point")
    axes.plot(steps, [row.test_accuracy for row in rows], marker=".", label="test set")
    axes.set(xscale="log", xlabel="training iterations", ylabel="accuracy", ylim=(0, 1.01))
    final = rows[-1]
    axes.annotate(
        f"{final.test_accuracy:.2%}",
        (final.step, final.test_accuracy),
        xytext=(-6, -14),
        textcoords="offset points",
        ha="right",
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=150)
