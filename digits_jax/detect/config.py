"""The configuration of the detector: every constant that was fitted to the pretrained weights.

`DetectorConfig` consists of one small config for each step of detection. Weights files store it in
their header, because other weights need other constants.
"""

import dataclasses
import json
import math
import types
import typing
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from digits_jax.detect.steps import (
    BorderContactConfig,
    BoxConfig,
    CalibrationConfig,
    ComponentConfig,
    NmsConfig,
    OddsConfig,
    PartSuppressionConfig,
    PeakConfig,
    PunctuationConfig,
    RulingConfig,
    SelectionConfig,
    TouchingConfig,
    WindowConfig,
)
from digits_jax.models.weights import WeightsError, read_weights_header
from digits_jax.runtime.checks import check_range
from digits_jax.runtime.errors import ArgumentError

METHODS = ("components", "windows")
HEADER_KEY = "detector_config"  # of the weights' header
MIN_SIZE_LIMIT = 4  # px: smaller digits cannot be told apart

Config = TypeVar("Config")


def check_sizes(min_size: float, max_size: float | None) -> None:
    """Refuses digit sizes that cannot be searched for.

    Raises:
      ArgumentError: the sizes, in px, are not 4 ≤ min_size ≤ max_size < ∞; max_size may be None.
    """
    if not MIN_SIZE_LIMIT <= min_size <= (min_size if max_size is None else max_size) < math.inf:
        raise ArgumentError(
            f"expected sizes with {MIN_SIZE_LIMIT} px ≤ min_size ≤ max_size; "
            f"got {min_size}, {max_size}"
        )


@dataclasses.dataclass(frozen=True)
class DetectorConfig:
    """All constants of detection; hashable, so that it can be a static argument of `jax.jit`.

    Raises:
      ArgumentError: a size, a score or max_detections is outside its range.
    """

    # The smallest digits that are searched for, in px: the side of the 28 px square that such a
    # digit fills as MNIST's do. At least 4.
    min_size: float = 12.0
    # The largest digits that are searched for, in px; None for any. With method "windows" and both
    # sizes 28, one scale is searched.
    max_size: float | None = None
    # Detections of at least this score are returned, 0–1; scores are calibrated by `reliability`.
    min_score: float = 0.52
    # The same for photographs and other images that are not ink on black, 0–1. Once their contrast
    # is normalised, they contain more that resembles a digit.
    photo_min_score: float = 0.83
    # At most this many detections are returned, ≥ 1; None for any number.
    max_detections: int | None = None
    # How digits are searched for: in the components of ink, or in all windows (`METHODS`).
    method: str = "components"
    # The components of ink (components.py).
    components: ComponentConfig = dataclasses.field(default_factory=ComponentConfig)
    # Components that are several digits (touching.py).
    touching: TouchingConfig = dataclasses.field(default_factory=TouchingConfig)
    # Long straight lines (rulings.py).
    rulings: RulingConfig = dataclasses.field(default_factory=RulingConfig)
    # Windows inside components (window_search.py).
    windows: WindowConfig = dataclasses.field(default_factory=WindowConfig)
    # Scores of components, of windows inside them and of what is left of them (calibration.py).
    component_odds: OddsConfig = dataclasses.field(
        default_factory=partial(
            OddsConfig,
            slope=0.55,
            offset=0.91,
            one_offset=-1.6,
            faint_offset=-0.88,
            context_slope=1.01,
            edge_offset=-1.0,
        )
    )
    window_odds: OddsConfig = dataclasses.field(
        default_factory=partial(
            OddsConfig,
            slope=0.76,
            offset=-0.85,
            one_offset=-2.34,
            contact_offset=-0.25,
            votes_slope=0.38,
            faint_offset=-2.06,
            edge_offset=-0.51,
        )
    )
    rest_odds: OddsConfig = dataclasses.field(
        default_factory=partial(
            OddsConfig,
            slope=0.14,
            offset=1.85,
            one_offset=-1.67,
            faint_offset=-1.5,
            context_slope=2.04,
            edge_offset=-0.26,
        )
    )
    # The choice among candidates (selection.py).
    selection: SelectionConfig = dataclasses.field(default_factory=SelectionConfig)
    # Slashes and commas (punctuation.py).
    punctuation: PunctuationConfig = dataclasses.field(default_factory=PunctuationConfig)
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
    # Points (score of the search, share of the detections of that score that are right) of the
    # function that calibrates scores (calibration.py). Both rise, from 0 to 1. They are fitted to
    # the search in components, on scenes of validation digits.
    reliability: tuple[tuple[float, float], ...] = (
        (0.0, 0.0),
        (0.0147, 0.0138),
        (0.0285, 0.0235),
        (0.0532, 0.0434),
        (0.0837, 0.0639),
        (0.1213, 0.1157),
        (0.1724, 0.2285),
        (0.2438, 0.3869),
        (0.3486, 0.6479),
        (0.4481, 0.786),
        (0.5507, 0.8737),
        (0.6512, 0.9021),
        (0.7509, 0.9182),
        (0.8529, 0.9224),
        (0.9277, 0.9374),
        (0.9681, 0.9703),
        (0.99, 0.9854),
        (0.9994, 0.9985),
        (1.0, 1.0),
    )

    def __post_init__(self) -> None:
        check_sizes(self.min_size, self.max_size)
        check_range("min_score", self.min_score, 0, 1)
        check_range("photo_min_score", self.photo_min_score, 0, 1)
        if self.max_detections is not None:
            check_range("max_detections", self.max_detections, 1)
        if not _rises_from_0_to_1(self.reliability):
            raise ArgumentError(
                "expected reliability to be points (score, share), both rising from 0 to 1; "
                f"got {self.reliability}"
            )
        if self.method not in METHODS:
            raise ArgumentError(f"expected the method {' or '.join(METHODS)}; got {self.method!r}")

    @property
    def odds(self) -> dict[str, OddsConfig]:
        """The coefficients of the scores of each kind of candidate (`candidates.KINDS`)."""
        return {
            "component": self.component_odds,
            "window": self.window_odds,
            "rest": self.rest_odds,
        }

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


def _rises_from_0_to_1(points: tuple[tuple[float, float], ...]) -> bool:
    rises = all(a < c and b < d for (a, b), (c, d) in pairwise(points))
    return rises and points[:1] == ((0, 0),) and points[-1:] == ((1, 1),)


DEFAULT_CONFIG = DetectorConfig()
UNCALIBRATED = ((0.0, 0.0), (1.0, 1.0))  # a reliability that leaves scores as they are


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
    if typing.get_origin(kind) is types.UnionType:  # float | None and the like
        (inner,) = (option for option in typing.get_args(kind) if option is not types.NoneType)
        return None if value is None else _from_value(inner, value, name)
    if typing.get_origin(kind) is tuple:
        item_kinds = typing.get_args(kind)
        kinds = [item_kinds[0]] * len(value) if item_kinds[-1] is Ellipsis else item_kinds
        if not isinstance(value, list) or len(value) != len(kinds):
            raise TypeError(f"{name} is {json.dumps(value)}, not a list of {len(kinds)}")
        return tuple(_from_value(k, item, name) for k, item in zip(kinds, value, strict=True))
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
        raise TypeError(f"{name} is {json.dumps(value)}, not of type {kind.__name__}")
    return kind(value)
