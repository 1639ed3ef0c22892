"""The configuration of the detector: every constant that was fitted to the pretrained weights.

`DetectorConfig` consists of one small config for each step of detection. Weights files store it in
their header, because other weights need other constants.
"""

import dataclasses
import json
import typing
from pathlib import Path
from typing import Any, TypeVar

from digits_jax.models.cnn import INPUT_SIDE, NUM_CLASSES
from digits_jax.models.weights import WeightsError, read_weights_header
from digits_jax.runtime.checks import check_range
from digits_jax.runtime.errors import ArgumentError

HEADER_KEY = "detector_config"  # of the weights' header
MIN_SIZE_LIMIT = 4  # px: smaller digits cannot be told apart

Config = TypeVar("Config")


def check_sizes(min_size: float, max_size: float) -> None:
    """Refuses digit sizes that cannot be searched for.

    Raises:
      ArgumentError: the sizes, in px, are not 4 ≤ min_size ≤ max_size < ∞.
    """
    if not MIN_SIZE_LIMIT <= min_size <= max_size < float("inf"):
        raise ArgumentError(
            f"expected sizes with {MIN_SIZE_LIMIT} px ≤ min_size ≤ max_size; "
            f"got {min_size}, {max_size}"
        )


@dataclasses.dataclass(frozen=True)
class PeakConfig:
    """Constants of the pyramid and of its local maxima, fitted on validation scenes."""

    # Neighbouring pyramid levels differ at most by this ratio, > 1. Each level serves the digit
    # sizes from its own divided by √scale_ratio to its own times √scale_ratio.
    scale_ratio: float = 1.4
    # The probabilities of this many windows along each axis are averaged; odd, ≥ 1.
    averaging_windows: int = 3
    # A local maximum is the highest of this many windows along each axis; odd, ≥ 1.
    neighbourhood: int = 5
    # The priority bonus per unit of ln(window size), ≥ 0: an 8 goes before the 0 in its loop.
    scale_bonus: float = 0.03
    # The priority bonus per unit of the mean margin in the neighbourhood, ≥ 0. Several neighbouring
    # windows respond to a digit, and the one in the middle of them is to be the highest.
    plateau_bonus: float = 0.1


@dataclasses.dataclass(frozen=True)
class BorderContactConfig:
    """Constants of the border contact, fitted on validation scenes and on photographs."""

    # Strokes are followed from the ink of the centred square of this side, in pixels of the 28 px
    # window; an even number, 2–26.
    centre_side: int = 16


@dataclasses.dataclass(frozen=True)
class NmsConfig:
    """Constants of non-maximum suppression, fitted on validation scenes and on photographs."""

    # Two windows compete if their centres are nearer than this share of the smaller side, 0–1.
    radius: float = 0.5
    # Windows do not compete if one side is at least this many times the other, ≥ 1: a small digit
    # may stand inside a large 0.
    max_size_ratio: float = 3.0
    # Soft-NMS drops a candidate whose centre is nearer to a kept one than this share of the smaller
    # side, 0–1. Between this and `radius` it only lowers the score.
    overlap_radius: float = 0.2
    # The same for sizes: from this ratio of the sides on, ≥ 1, soft-NMS only lowers the score.
    overlap_max_size_ratio: float = 1.5
    # Soft-NMS multiplies the score of an overlapping detection by this, 0–1. It is below the
    # default min_score of 0.3, so that such detections appear only at lower thresholds.
    overlap_score_factor: float = 0.29


@dataclasses.dataclass(frozen=True)
class PartSuppressionConfig:
    """Constants of part suppression, fitted on validation scenes and on photographs."""

    # A window with more border contact than this may see a part of a digit; share of a side, 0–4.
    part_min_contact: float = 0.15
    # A window with less border contact than this sees a whole digit; share of a side, 0–4.
    whole_max_contact: float = 0.05
    # A whole digit suppresses its parts from this margin on, 0–1.
    whole_min_margin: float = 0.3
    # The whole's side is more than this many times the part's, > 1. Neighbouring pyramid levels
    # differ by 1.18 to 1.4; windows of one level, by rounding, a little.
    min_size_ratio: float = 1.1
    # The whole's side is at most this many times the part's.
    max_size_ratio: float = 2.0
    # The centres are nearer than this many of the part's sides, 0–1.
    max_distance: float = 0.45


@dataclasses.dataclass(frozen=True)
class CalibrationConfig:
    """Constants of the calibration, fitted on validation scenes and on photographs."""

    # From this border contact on, the odds are divided by the most; share of a side, > 0. Strokes
    # in photographs often touch more of the border, those of single digits hardly ever.
    full_contact: float = 0.2
    # At full contact the odds are divided by 1 plus this number, ≥ 0; below, by linearly less.
    contact_penalty: float = 2.0
    # The odds of a 1 are divided by this number, ≥ 1: bars, branches and edges look like a 1.
    one_odds_divisor: float = 5.0


@dataclasses.dataclass(frozen=True)
class BoxConfig:
    """Constants of the boxes, measured on MNIST's training digits and on validation scenes."""

    # A digit's body leaves this share of the window's side free at each edge, 0–0.5.
    body_inset: float = 3 / INPUT_SIDE
    # Box margins of each class 0–9: the distances from the window's centre to the left, upper,
    # right and lower edge of the largest box, in pixels of the 28 px window, 0–14. 98 % of MNIST's
    # training digits of the class extend no farther.
    class_margins_px: tuple[tuple[int, int, int, int], ...] = (
        (10, 11, 11, 11), (9, 11, 10, 11), (11, 12, 13, 11), (12, 11, 10, 12), (11, 11, 12, 12),
        (10, 11, 13, 12), (9, 13, 12, 10), (12, 9, 11, 14), (10, 10, 13, 12), (10, 9, 10, 13),
    )  # fmt: skip

    def __post_init__(self) -> None:
        if len(self.class_margins_px) != NUM_CLASSES:
            raise ArgumentError(
                f"expected class_margins_px of {NUM_CLASSES} classes; got "
                f"{len(self.class_margins_px)}"
            )


@dataclasses.dataclass(frozen=True)
class DetectorConfig:
    """All constants of detection; hashable, so that it can be a static argument of `jax.jit`.

    Raises:
      ArgumentError: a size, a score or max_detections is outside its range.
    """

    # The smallest digits that are searched for, in px: the side of the 28 px square that such a
    # digit fills as MNIST's do. At least 4.
    min_size: float = 15.0
    # The largest digits that are searched for, in px. With both sizes 28, one scale is searched.
    max_size: float = 100.0
    # Detections of at least this score are returned, 0–1.
    min_score: float = 0.3
    # The same for photographs and other images that are not ink on black, 0–1. Once their contrast
    # is normalised, they contain more that resembles a digit.
    photo_min_score: float = 0.65
    # At most this many candidates are examined in an image, and as many detections returned; ≥ 1.
    max_detections: int = 256
    # Local maxima of the score maps (peaks.py).
    peaks: PeakConfig = dataclasses.field(default_factory=PeakConfig)
    # Strokes that touch a window's border (border_contact.py).
    border_contact: BorderContactConfig = dataclasses.field(default_factory=BorderContactConfig)
    # Suppression of parts of digits (nms.py).
    part_suppression: PartSuppressionConfig = dataclasses.field(
        default_factory=PartSuppressionConfig
    )
    # Non-maximum suppression (nms.py).
    nms: NmsConfig = dataclasses.field(default_factory=NmsConfig)
    # Scores from margins (calibration.py).
    calibration: CalibrationConfig = dataclasses.field(default_factory=CalibrationConfig)
    # Tight boxes (boxes.py).
    boxes: BoxConfig = dataclasses.field(default_factory=BoxConfig)

    def __post_init__(self) -> None:
        check_sizes(self.min_size, self.max_size)
        check_range("min_score", self.min_score, 0, 1)
        check_range("photo_min_score", self.photo_min_score, 0, 1)
        check_range("max_detections", self.max_detections, 1)

    def to_json(self) -> str:
        """Returns the config as a JSON object with sorted keys; `from_json` reads it."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, source: str = "the text") -> "DetectorConfig":
        """Reads what `to_json` wrote.

        Args:
          text: a JSON object.
          source: where the text comes from, for the error message.

        Raises:
          WeightsError: a key is unknown or missing, or a value has the wrong type or range.
        """
        try:
            return _from_dict(cls, json.loads(text))
        except (ValueError, TypeError) as error:  # ArgumentError and JSONDecodeError included
            raise WeightsError(
                f"expected {source} to hold a detector config; got {error}. "
                "DetectorConfig().to_json() writes one for this version of digits_jax"
            ) from error


DEFAULT_CONFIG = DetectorConfig()


def config_of_weights(path: str | Path) -> DetectorConfig | None:
    """Returns the detector config that a weights file was saved with, or None if it has none.

    Raises:
      WeightsError: the file cannot be read, or its config is not of this version.
    """
    text = read_weights_header(path).get(HEADER_KEY)
    return None if text is None else DetectorConfig.from_json(text, f"the header of {path}")


def _from_dict(cls: type[Config], values: Any, name: str = "") -> Config:
    """Builds a config, nested ones included, from what JSON holds of it."""
    if not isinstance(values, dict):
        raise TypeError(f"{name or 'it'} is {json.dumps(values)}, not an object")
    prefix = f"{name}." if name else ""
    types = typing.get_type_hints(cls)
    problems = [f"{prefix}{key} is missing" for key in types if key not in values]
    problems += [f"{prefix}{key} is unknown" for key in values if key not in types]
    if problems:
        raise TypeError("; ".join(problems))
    return cls(**{key: _from_value(kind, values[key], prefix + key) for key, kind in types.items()})


def _from_value(kind: Any, value: Any, name: str) -> Any:
    """Converts a value of JSON to the type that a field's annotation names, or refuses it."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _from_dict(kind, value, name)
    if typing.get_origin(kind) is tuple:
        item_kinds = typing.get_args(kind)
        kinds = [item_kinds[0]] * len(value) if item_kinds[-1] is Ellipsis else item_kinds
        if not isinstance(value, list) or len(value) != len(kinds):
            raise TypeError(f"{name} is {json.dumps(value)}, not a list of {len(kinds)}")
        return tuple(_from_value(k, item, name) for k, item in zip(kinds, value, strict=True))
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
        raise TypeError(f"{name} is {json.dumps(value)}, not of type {kind.__name__}")
    return kind(value)
