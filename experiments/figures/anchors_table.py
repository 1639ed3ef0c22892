"""The table of where the project stands beside published results."""

import statistics
from pathlib import Path

from experiments.common.detection_results import read_detection_rows
from experiments.common.provenance import RESULTS, read_result
from experiments.figures.markdown import Row, table_header, table_row

DEFAULT_SIZES = [12.0, None]


def render_anchors(results: Path = RESULTS) -> str:
    """Renders published results and ours on the same test sets."""
    paper = _accuracies("paper", results)
    quick, accurate = _runs("quick", results), _accuracies("accurate", results)
    together = read_result("test_errors", results)
    ap50, f1 = (_detection(name, metric, results) for name, metric in DETECTION)
    rows = [
        ("MNIST: the paper (Yang, 2018)", "99.3%", f"{_mean(paper)}, `paper`"),
        (
            "MNIST: 1,500 nets, larger, with batch norm (cdeotte/MNIST-CNN-99.75)",
            "mean 99.641%",
            f"{_mean(accurate)}, `accurate`",
        ),
        (
            "MNIST: our layers with batch norm and dropout (hwalsuklee/tensorflow-mnist-cnn)",
            "99.61%, the best of 30 runs",
            f"{max(accurate):.2%}, the best of {len(accurate)}",
        ),
        ("MNIST: one net (ttdoucet/mnist)", "99.82%, claimed", f"{max(accurate):.2%}"),
        (
            "MNIST: 15 of the 1,500 nets together",
            "mean 99.745%",
            f"{together['test_accuracy']:.2%}, {len(together['seeds'])} of `accurate` together",
        ),
        (
            "MNIST: an ensemble (An et al., 2020)",
            "99.91%",
            f"{together['test_accuracy']:.2%}, the same",
        ),
        (
            "MNIST, time: tuomaso/train_mnist_fast",
            "99.04% in 0.76 s on a laptop's GPU",
            f"{_mean([run['test_accuracy'] for run in quick])} in "
            f"{60 * statistics.mean(run['training_minutes'] for run in quick):.0f} s on 2 cores, "
            "`quick`",
        ),
        (
            "`mnist-od`: SSD300s trained for it (hukkelas/MNIST-ObjectDetection)",
            "AP50 0.869",
            f"AP50 {ap50:.3f}",
        ),
        (
            "`savi-d`: sliding windows with a background class and hard negatives",
            "F1 0.868",
            f"F1 {f1:.3f}",
        ),
    ]
    return "\n".join([*table_header("test set, and who", "theirs", "ours"), *_lines(rows)])


DETECTION = (("mnist-od", "ap50"), ("savi-d", "f1"))


def _lines(rows: list[tuple[str, str, str]]) -> list[str]:
    return [table_row(*row) for row in rows]


def _runs(config: str, results: Path) -> list[Row]:
    runs: list[Row] = read_result(f"accuracy_{config}", results)["runs"]
    return runs


def _accuracies(config: str, results: Path) -> list[float]:
    return [run["test_accuracy"] for run in _runs(config, results)]


def _mean(accuracies: list[float]) -> str:
    return f"mean {statistics.mean(accuracies):.2%} of {len(accuracies)} seeds"


def _detection(images: str, metric: str, results: Path) -> float:
    """Returns a metric of the pretrained weights at default sizes."""
    (row,) = (
        row
        for row in read_detection_rows(results=results)
        if (row["weights"], row["images"], row["sizes"]) == ("pretrained", images, DEFAULT_SIZES)
    )
    return float(row[metric])
