"""The table of where the project stands beside published results."""

import statistics
from pathlib import Path

from experiments.common.detection_results import pretrained_rows
from experiments.common.provenance import RESULTS, read_result
from experiments.figures.markdown import table_header, table_row


def render_anchors(results: Path = RESULTS) -> str:
    """Renders published results beside ours on the same test sets."""
    paper, quick, accurate = (
        _accuracies(config, results) for config in ("paper", "quick", "accurate")
    )
    minutes = [run["training_minutes"] for run in read_result("accuracy_quick", results)["runs"]]
    detection = pretrained_rows(results)
    together = read_result("ensemble_errors", results)
    ensemble = (
        f"{together['test_accuracy']:.2%}, {len(together['seeds'])} of `{together['config']}`"
    )
    best = f"{max(accurate):.2%}, the best of {len(accurate)} of `accurate`"
    rows = [
        ("MNIST: the paper (Yang, 2018)", "99.3%", f"{_mean(paper)} of `paper`"),
        (
            "MNIST: 1,500 nets, larger, with batch norm (cdeotte/MNIST-CNN-99.75)",
            "mean 99.641%",
            f"{_mean(accurate)} of `accurate`",
        ),
        (
            "MNIST: our layers with batch norm and dropout (hwalsuklee/tensorflow-mnist-cnn)",
            "99.61%, the best of 30",
            best,
        ),
        ("MNIST: one net (ttdoucet/mnist)", "99.82%, claimed", best),
        ("MNIST: ensembles of 15 of the 1,500 nets", "mean 99.745%", ensemble),
        ("MNIST: an ensemble (An et al., 2020)", "99.91%", ensemble),
        (
            "MNIST, fast: one epoch (tuomaso/train_mnist_fast)",
            "99.04% in 0.76 s on a laptop's GPU",
            f"{_mean(quick)} of `quick`, in {60 * statistics.mean(minutes):.0f} s on 2 CPU cores",
        ),
        (
            "`mnist-od`: SSD300s trained for it (hukkelas/MNIST-ObjectDetection)",
            "AP50 0.869",
            f"AP50 {detection['mnist-od']['ap50']:.3f}",
        ),
        (
            "`savi-d`: sliding windows with a background class and hard negatives",
            "F1 0.868",
            f"F1 {detection['savi-d']['f1']:.3f}",
        ),
    ]
    lines = [table_row(*row) for row in rows]
    return "\n".join([*table_header("test set, and who", "theirs", "ours"), *lines])


def _accuracies(config: str, results: Path) -> list[float]:
    return [run["test_accuracy"] for run in read_result(f"accuracy_{config}", results)["runs"]]


def _mean(accuracies: list[float]) -> str:
    return f"mean {statistics.mean(accuracies):.2%} of {len(accuracies)} seeds"
