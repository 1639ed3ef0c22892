"""Recipes: everything that decides what a training run does, but for its seed."""

import dataclasses
from typing import Literal

import optax


class RecipeError(ValueError):
    """A recipe that cannot be followed."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained. Two runs of one recipe and one seed are the same run.

    A finished run that is continued with more steps follows the longer recipe's learning rates from
    there on; with the one-cycle schedule that is not the run which had them from the beginning.
    """

    # Digits in a step, over all devices together.
    batch_size: int
    # Optimizer updates in the whole run.
    steps: int
    # adam (Kingma and Ba, 2015) as in section 3.1, or sgd: plain descent as in section 2.1.
    optimizer: Literal["adam", "sgd"]
    # α of section 2.1, a step; of the one-cycle schedule, its peak.
    learning_rate: float
    # constant; or one-cycle: a rise over the first 30 % of the steps, then a cosine to zero.
    schedule: Literal["constant", "one-cycle"]
    # The farthest that a digit is shifted each way, in pixels, drawn anew each time it is used.
    shift: int
    # Steps between two evaluations, each followed by a checkpoint.
    evaluate_every: int

    def __post_init__(self) -> None:
        for name in ("batch_size", "steps", "evaluate_every"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} must be at least 1; got {getattr(self, name)}")
        if not 0 <= self.shift < 28:
            raise RecipeError(f"shift must be 0 to 27 pixels; got {self.shift}")
        if not 0 < self.learning_rate < float("inf"):
            raise RecipeError(f"learning_rate must be positive; got {self.learning_rate}")

    def learning_rates(self) -> optax.Schedule:
        """The learning rate as a function of the step, counted from 0."""
        if self.schedule == "constant":
            return optax.constant_schedule(self.learning_rate)
        return optax.cosine_onecycle_schedule(self.steps, self.learning_rate)

    def tx(self) -> optax.GradientTransformation:
        """The optimizer: θ := θ − α·∇L for sgd, Adam's rescaled gradient for adam."""
        build = {"adam": optax.adam, "sgd": optax.sgd}[self.optimizer]
        return build(self.learning_rates())

    def evaluates_at(self, step: int) -> bool:
        """Whether a run pauses after this many steps to evaluate and save.

        Early on also at 10, 30, 100 and 300 steps: the paper's Figure 4 has a log axis.
        """
        return step in (10, 30, 100, 300, self.steps) or step % self.evaluate_every == 0


RECIPES = {
    # Section 3.1; the batch size is ours, as the paper never states it: see experiments/LOG.md.
    "paper": Recipe(
        batch_size=256,
        steps=20_000,
        optimizer="adam",
        learning_rate=1e-4,
        schedule="constant",
        shift=6,
        evaluate_every=1000,
    ),
    # The same network and digits, with a ninth of the images: see experiments/LOG.md.
    "standard": Recipe(
        batch_size=128,
        steps=4_500,
        optimizer="adam",
        learning_rate=2e-3,
        schedule="one-cycle",
        shift=3,
        evaluate_every=1000,
    ),
}
