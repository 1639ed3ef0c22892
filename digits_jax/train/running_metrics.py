"""What a run sums up between two evaluations, and saves besides its state."""

from typing import NamedTuple

from digits_jax.train.step import Metrics


class RunningMetrics(NamedTuple):
    """What a run saves besides its state: sums over the steps since the last evaluation."""

    loss: float = 0.0
    accuracy: float = 0.0
    steps: int = 0
    training_seconds: float = 0.0  # of those steps
    seconds: float = 0.0  # since the run began, with evaluations, without interruptions

    def add(self, sums: Metrics, steps: int, seconds: float) -> "RunningMetrics":
        """Returns the metrics with some more steps added.

        Args:
          sums: the sums of these steps' metrics.
          steps: how many steps they are.
          seconds: how long the steps took.
        """
        return RunningMetrics(
            self.loss + float(sums.loss),
            self.accuracy + float(sums.accuracy),
            self.steps + steps,
            self.training_seconds + seconds,
            self.seconds + seconds,
        )

    @property
    def mean_loss(self) -> float:
        """The mean loss of the steps since the last evaluation."""
        return self.loss / self.steps

    @property
    def mean_accuracy(self) -> float:
        """The mean accuracy, 0–1, of the steps since the last evaluation."""
        return self.accuracy / self.steps

    def images_per_second(self, batch_size: int) -> float:
        """Returns the speed of training, without evaluations."""
        return self.steps * batch_size / self.training_seconds
