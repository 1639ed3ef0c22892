"""The plot of a run's accuracy, as in the paper's Figure 4."""

from collections.abc import Sequence
from pathlib import Path

from digits_jax.runtime.files import atomic_write
from digits_jax.train.workdir import Evaluation, read_metrics


def plot_training_curve(workdir: Path) -> Path | None:
    """Plots a run's accuracies to `training_curve.png`, written completely or not at all.

    Args:
      workdir: the work folder of the run.

    Returns:
      The plot's path, or None if the run has no evaluation yet.
    """
    rows = read_metrics(workdir / "metrics.jsonl")
    if not rows:
        return None
    path = workdir / "training_curve.png"
    with atomic_write(path) as temporary:
        _plot(rows, temporary)
    return path


def _plot(rows: Sequence[Evaluation], path: Path) -> None:
    # Imported here because Matplotlib takes long to import, and only the end of a run needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    steps = [row.step for row in rows]
    train = [row.train_accuracy for row in rows]
    axes.plot(steps, train, marker=".", label="training set, augmented, since the last point")
    tested = [(row.step, row.test_accuracy) for row in rows if row.test_accuracy is not None]
    axes.plot(*zip(*tested, strict=True), marker=".", label="test set")
    axes.set(xscale="log", xlabel="training iterations", ylabel="accuracy", ylim=(0, 1.01))
    for step, accuracy in tested[-1:]:
        axes.annotate(
            f"{accuracy:.2%}",
            (step, accuracy),
            xytext=(-6, -14),
            textcoords="offset points",
            ha="right",
        )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=150)
