"""Recipes: everything that decides what a training run does, but for its seed."""

import dataclasses
from typing import TYPE_CHECKING, Literal

from digits_jax.runtime.errors import ArgumentError

if TYPE_CHECKING:  # only training pays for the import
    import optax


class ConfigError(ArgumentError):
    """A recipe that cannot be followed."""

    exit_code = 2


@dataclasses.dataclass(frozen=True)
class TrainConfig:
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
    # What the factors of the large layers' products are rounded to; sums are of float32 always. (On
    # GPU and TPU only the dense layer's: those of convolutions are as the hardware rounds them.)
    factors: Literal["float32", "bfloat16"] = "float32"
    # The most by which a digit is scaled up or down, as a factor, log-uniform; 1 leaves its size.
    scale: float = 1.0
    # The most by which a digit is turned, in degrees (by two shears: 3 % more at 10°), ...
    turn: float = 0.0
    # ... slanted, in px sideways for each px up, ...
    slant: float = 0.0
    # ... made taller or broader, as a factor, ...
    stretch: float = 1.0
    # ... and bent: standard deviation of its pixels' displacements, px, of the most bent digits.
    bend: float = 0.0
    # Mean number of other digits and shapes around a window's subject, 0–3.
    neighbours: float = 0.0
    # Shares of the batch that are background, whose target is uniform over the classes (0–1): ...
    off_centre: float = 0.0  # digits beside the window's centre,
    wrong_size: float = 0.0  # digits, or parts of one, of another size,
    shapes: float = 0.0  # letters, signs, lines, curves and figures,
    textures: float = 0.0  # noise, slopes of grey, and clutter like that of photographs,
    blank: float = 0.0  # nothing, on any grey.
    # Share of the batch that are near misses: digits and parts of one that are not quite in their
    # place or of their size, whose target is as far from uniform as they are centred.
    near_misses: float = 0.0

    def __post_init__(self) -> None:
        for name in ("batch_size", "steps", "evaluate_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1; got {getattr(self, name)}")
        if not 0 <= self.shift < 28:
            raise ConfigError(f"shift must be 0 to 27 pixels; got {self.shift}")
        if not 1 <= self.scale <= 2:
            raise ConfigError(f"scale must be 1 to 2; got {self.scale}")
        if not 1 <= self.stretch <= 2:
            raise ConfigError(f"stretch must be 1 to 2; got {self.stretch}")
        if not 0 <= self.turn <= 45:
            raise ConfigError(f"turn must be 0 to 45 degrees; got {self.turn}")
        if not 0 <= self.slant <= 1:
            raise ConfigError(f"slant must be 0 to 1; got {self.slant}")
        if not 0 <= self.bend <= 5:
            raise ConfigError(f"bend must be 0 to 5 pixels; got {self.bend}")
        if not 0 <= self.neighbours <= 3:
            raise ConfigError(f"neighbours must be 0 to 3; got {self.neighbours}")
        shares = (*self.background_shares(), self.near_misses)
        if min(shares) < 0 or not sum(shares) < 1:
            names = "off_centre, wrong_size, shapes, textures, blank and near_misses"
            raise ConfigError(f"{names} must be shares whose sum is below 1; got {shares}")
        if not 0 < self.learning_rate < float("inf"):
            raise ConfigError(f"learning_rate must be positive; got {self.learning_rate}")

    def background_shares(self) -> tuple[float, ...]:
        """The shares of the kinds of background window, in their order above."""
        return self.off_centre, self.wrong_size, self.shapes, self.textures, self.blank

    @property
    def composes(self) -> bool:
        """Whether windows are composed, rather than digits shifted and nothing else."""
        asked = (self.neighbours, self.turn, self.slant, self.bend, self.near_misses)
        return any((*asked, *self.background_shares())) or self.scale > 1 or self.stretch > 1

    def learning_rates(self) -> "optax.Schedule":
        """The learning rate as a function of the step, counted from 0."""
        import optax

        if self.schedule == "constant":
            return optax.constant_schedule(self.learning_rate)
        return optax.cosine_onecycle_schedule(self.steps, self.learning_rate)

    def tx(self) -> "optax.GradientTransformation":
        """The optimizer: θ := θ − α·∇L for sgd, Adam's rescaled gradient for adam."""
        import optax

        build = {"adam": optax.adam, "sgd": optax.sgd}[self.optimizer]
        return build(self.learning_rates())

    def evaluates_at(self, step: int) -> bool:
        """Whether a run pauses after this many steps to evaluate and save.

        Early on also at 10, 30, 100, 300 and 1000 steps: the paper's Figure 4 has a log axis.
        """
        return step in (10, 30, 100, 300, 1000, self.steps) or step % self.evaluate_every == 0


CONFIGS = {
    # Section 3.1; the batch size is ours, as the paper never states it: see experiments/LOG.md.
    "paper": TrainConfig(
        batch_size=1024,
        steps=20_000,
        optimizer="adam",
        learning_rate=1e-4,
        schedule="constant",
        shift=6,
        evaluate_every=1000,
    ),
    # The same network and digits, with a fifth of the images: see experiments/LOG.md.
    "standard": TrainConfig(
        batch_size=256,
        steps=16_000,
        optimizer="adam",
        learning_rate=2e-3,
        schedule="one-cycle",
        shift=3,
        factors="bfloat16",
        scale=1.25,
        turn=10.0,
        slant=0.15,
        stretch=1.1,
        bend=1.0,
        neighbours=1.2,
        off_centre=0.05,
        wrong_size=0.12,
        shapes=0.12,
        textures=0.17,
        blank=0.02,
        near_misses=0.2,
        evaluate_every=2000,
    ),
}
