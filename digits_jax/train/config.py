"""Training configurations: everything that decides what a run does, except its seed."""

import dataclasses
from typing import Annotated, Any, Literal

import tyro

from digits_jax.runtime.checks import check_range
from digits_jax.runtime.errors import ArgumentError

# Names of fields up to version 0.1, which `run.json` and the command line understand as well.
FORMER_NAMES = {
    "translate_px": "shift",
    "compute_dtype": "factors",
    "rotation_deg": "turn",
    "shear": "slant",
    "aspect": "stretch",
    "elastic_sigma_px": "bend",
    "negative_off_centre": "off_centre",
    "negative_wrong_size": "wrong_size",
    "negative_shapes": "shapes",
    "negative_textures": "textures",
    "negative_blank": "blank",
    "jittered_crops": "near_misses",
}
EARLY_EVALUATIONS = (10, 30, 100, 300, 1000)  # steps; the paper's Figure 4 has a log axis


class ConfigError(ArgumentError):
    """A training configuration is contradictory, out of range or unknown."""

    exit_code = 2


def _with_former_name(field: str) -> Any:
    """Returns the annotation with which the command line accepts a field's former name as well.

    `--help` lists aliases before names, so the alias is the field's present name.
    """
    return tyro.conf.arg(name=FORMER_NAMES[field], aliases=[f"--{field.replace('_', '-')}"])


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How a network is trained. Two runs with equal configuration and seed give equal results.

    A finished run can be continued with more steps. It then follows the learning rates of the
    longer run from there on, so that with the one-cycle schedule the result differs from that of a
    run which had all the steps from the beginning.

    The comment above a field is its text in `digits-jax train --help`.
    """

    # Each training step uses this many digits, over all devices together (at least 1).
    batch_size: int
    # The whole run makes this many optimizer updates (at least 1).
    steps: int
    # The optimizer is adam (Kingma and Ba, 2015; section 3.1 of the paper), sgd, which is plain
    # gradient descent (section 2.1), or muon (Jordan, 2024), whose updates are orthogonal matrices.
    optimizer: Literal["adam", "sgd", "muon"]
    # Updates are scaled by this learning rate, α in section 2.1 (above 0), and those of muon by 5
    # times it. The one-cycle schedule reaches it at its peak.
    learning_rate: float
    # The learning rate is constant, or it follows one cycle: it rises over the first 30 % of the
    # steps and then falls to zero along a cosine.
    schedule: Literal["constant", "one-cycle"]
    # Digits are moved by up to this many pixels along each axis, drawn anew at each use (0 to 27).
    translate_px: Annotated[int, _with_former_name("translate_px")]
    # The run is evaluated and saved each time it has made this many more steps (at least 1), and
    # early on also after 10, 30, 100, 300 and 1000 steps.
    evaluate_every: int
    # The large layers round the inputs of their matrix products to this type and add up in float32;
    # on GPU and TPU this holds for the dense layer alone, because the hardware rounds convolutions.
    compute_dtype: Annotated[Literal["float32", "bfloat16"], _with_former_name("compute_dtype")] = (
        "float32"
    )
    # Digits are made larger or smaller by up to this factor, log-uniformly (1 to 2; 1 keeps the
    # size).
    scale: float = 1.0
    # Digits are rotated by up to this angle in degrees, either way (0 to 45), by two shears that
    # change their length by up to 3 % at 10°.
    rotation_deg: Annotated[float, _with_former_name("rotation_deg")] = 0.0
    # Digits are slanted either way by up to this many pixels sideways per pixel of height (0 to 1).
    shear: Annotated[float, _with_former_name("shear")] = 0.0
    # Digits are made taller and narrower, or lower and broader, by up to this factor along each
    # axis (1 to 2; 1 keeps the aspect ratio).
    aspect: Annotated[float, _with_former_name("aspect")] = 1.0
    # Digits are bent by smooth random displacements of their pixels, whose standard deviation is
    # drawn for each digit from 0 up to this many pixels (0 to 5).
    elastic_sigma_px: Annotated[float, _with_former_name("elastic_sigma_px")] = 0.0
    # Windows show this many other digits and shapes around their centre, on average (0 to 3).
    neighbours: float = 0.0
    # This share of the batch (0 to 1) is negatives that show a digit beside the window's centre;
    # the target of every negative is the uniform distribution over the classes.
    negative_off_centre: Annotated[float, _with_former_name("negative_off_centre")] = 0.0
    # This share of the batch (0 to 1) is negatives that show a digit, or a part of one, of a wrong
    # size.
    negative_wrong_size: Annotated[float, _with_former_name("negative_wrong_size")] = 0.0
    # This share of the batch (0 to 1) is negatives that show letters, signs, lines, curves and
    # figures.
    negative_shapes: Annotated[float, _with_former_name("negative_shapes")] = 0.0
    # This share of the batch (0 to 1) is negatives that show noise, gradients of grey, and clutter
    # as in photographs.
    negative_textures: Annotated[float, _with_former_name("negative_textures")] = 0.0
    # This share of the batch (0 to 1) is negatives that show an empty window of any grey.
    negative_blank: Annotated[float, _with_former_name("negative_blank")] = 0.0
    # This share of the batch (0 to 1) is negatives that show a component of ink which is no digit,
    # framed as a digit: digits that touch or overlap, parts of digits, digits on rulings, letters,
    # signs, shapes and clutter.
    negative_framed: float = 0.0
    # This share of the batch (0 to 1) is jittered crops, which show a digit or a part of one
    # somewhat off its place or size. The farther off it is, the less certain is the target.
    jittered_crops: Annotated[float, _with_former_name("jittered_crops")] = 0.0
    # This share of the digits (0 to 1) is in other hands than MNIST's: printed, drawn with pens of
    # any width, or with thinner or thicker strokes.
    other_hands: float = 0.0
    # This share of the digits (0 to 1) is shown as a component of ink is: framed exactly, without
    # neighbours, and half of them without their faint edge.
    isolated_digits: float = 0.0
    # This share of the digits that are not in other hands (0 to 1) is MNIST's beside those of
    # --digits, so that the network does not forget them. Without --digits it changes nothing.
    mnist_share: float = 0.0
    # The convolutions learn from this share of each batch (0 to 1); the dense layers always learn
    # from all of it. A smaller share takes less time. With 0, the dense layers alone are trained: a
    # run forgets less of what it starts from, and learns less.
    convolution_share: float = 1.0
    # The targets are mixed with this share (0 up to, but not including, 1) of the uniform
    # distribution over the classes.
    label_smoothing: float = 0.0
    # The validation digits are trained on as well. No checkpoint can then be chosen by them, so the
    # last one is the result, and no accuracy but its own is measured, on the test digits.
    train_on_validation: bool = False

    def __post_init__(self) -> None:
        """Checks the ranges of all fields.

        Raises:
          ConfigError: a field is outside its range.
        """
        for name, low, high, unit in (
            ("batch_size", 1, float("inf"), "digits"),
            ("steps", 1, float("inf"), ""),
            ("evaluate_every", 1, float("inf"), "steps"),
            ("translate_px", 0, 27, "pixels"),
            ("scale", 1, 2, ""),
            ("rotation_deg", 0, 45, "degrees"),
            ("shear", 0, 1, "pixels per pixel"),
            ("aspect", 1, 2, ""),
            ("elastic_sigma_px", 0, 5, "pixels"),
            ("neighbours", 0, 3, ""),
            ("other_hands", 0, 1, ""),
            ("isolated_digits", 0, 1, ""),
            ("mnist_share", 0, 1, ""),
            ("convolution_share", 0, 1, ""),
        ):
            check_range(name, getattr(self, name), low, high, unit=unit, error=ConfigError)
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(
                f"expected label_smoothing to be at least 0 and below 1; got {self.label_smoothing}"
            )
        if not 0 < self.learning_rate < float("inf"):
            raise ConfigError(
                f"expected learning_rate to be above 0 and finite; got {self.learning_rate}"
            )
        shares = {name: getattr(self, name) for name in SHARES}
        if not (min(shares.values()) >= 0 and sum(shares.values()) < 1):
            given = ", ".join(f"{name} {share:g}" for name, share in shares.items())
            raise ConfigError(f"expected shares from 0 whose sum is below 1; got {given}")

    def negative_shares(self) -> tuple[float, ...]:
        """Returns the share of the batch of each kind of negative, in the order of `NEGATIVES`."""
        return tuple(getattr(self, name) for name in NEGATIVES)

    @property
    def warps(self) -> bool:
        """Whether digits change their shape or size. If not, they only move, by whole pixels."""
        amounts = (self.rotation_deg, self.shear, self.elastic_sigma_px)
        return any(amounts) or self.scale > 1 or self.aspect > 1

    @property
    def composes(self) -> bool:
        """Whether windows are composed, of digits and of what else an image shows."""
        amounts = (self.neighbours, self.jittered_crops, self.isolated_digits)
        return any((*amounts, *self.negative_shares()))

    def is_evaluation_step(self, step: int) -> bool:
        """Returns whether a run is evaluated and saved after this many steps."""
        return step in (*EARLY_EVALUATIONS, self.steps) or step % self.evaluate_every == 0


NEGATIVES = (
    "negative_off_centre",
    "negative_wrong_size",
    "negative_shapes",
    "negative_textures",
    "negative_blank",
    "negative_framed",
)
SHARES = (*NEGATIVES, "jittered_crops")  # the fields that are shares of the batch
