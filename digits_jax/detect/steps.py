"""The constants of each step of detection; `DetectorConfig` (config.py) holds one of each.

The first group belongs to the search in components of ink, the second to the exhaustive search of
all windows. Borders and boxes serve both.
"""

import dataclasses

from digits_jax.models.cnn import INPUT_SIDE, NUM_CLASSES
from digits_jax.runtime.errors import ArgumentError


@dataclasses.dataclass(frozen=True)
class ComponentConfig:
    """Constants of the components of ink, fitted on validation scenes."""

    # Pixels brighter than this share of white are ink, 0–1.
    ink_threshold: float = 0.18
    # Pieces of ink whose longer side is shorter than this share of the smallest digits' are dirt.
    min_piece: float = 0.5
    # A digit's width is at most this many times its height.
    max_aspect: float = 2.0
    # A component more than this many times as wide as high is a line, which is no clutter.
    line_aspect: float = 4.0
    # A component of at least this score is one digit, and nothing else is sought in it, 0–1, unless
    # it is probably several digits.
    sure_score: float = 0.8
    # Two pieces may be one digit if the gap between their boxes is at most this share of the longer
    # side of the larger one.
    max_gap: float = 0.15
    # What the best candidates leave of a component is read if its longer side is at least this
    # share of the component's, 0–1.
    min_rest: float = 0.25


@dataclasses.dataclass(frozen=True)
class TouchingConfig:
    """Coefficients of the log-odds that a component is several digits, by logistic regression."""

    offset: float = -5.87
    margin_slope: float = -0.32  # of the log-odds of its margin as one digit
    crossings_slope: float = 0.4  # of the number of strokes that lines of pixels cross
    ink_slope: float = 1.29  # of the logarithm of its ink ÷ that of the image's other components
    # Windows are classified in components that are several digits with at least this probability.
    # Lower values find some more overlapping digits, at a higher price on pages without any.
    min_probability: float = 0.3


@dataclasses.dataclass(frozen=True)
class RulingConfig:
    """Constants of the long straight lines of forms and ruled paper."""

    # A ruling is at least as long as this share of the longer side of its component, ...
    length_share: float = 0.5
    # ... unless it is this long, in px ...
    min_length_px: float = 20.0
    max_length_px: float = 80.0
    # ... and this share of the component's shorter side.
    max_length_share: float = 0.5
    # A ruling is at least this many times as long as it is thick.
    min_slimness: float = 8.0
    # At least this share of it is not crossed by strokes, 0–1.
    min_uncrossed: float = 0.5
    # Straight ink is surely a ruling if it is this many times as long as the largest piece of ink
    # that is left. The stroke of a 1 or a 7 is shorter.
    min_length_per_piece: float = 2.5


@dataclasses.dataclass(frozen=True)
class WindowConfig:
    """Constants of the windows that are classified in components which are not one digit."""

    # Neighbouring windows are this far apart, in pixels of the 28 px window.
    stride: int = 4
    # Neighbouring sizes differ by this ratio, > 1.
    scale_ratio: float = 1.4
    # A window is classified if at least and at most these shares of it are ink, 0–1. For MNIST's
    # digits they are 0.04 to 0.43, and neighbours add to it.
    min_ink: float = 0.04
    max_ink: float = 0.6
    # Windows of at least this margin are candidates, 0–1.
    min_margin: float = 0.12
    # Windows of one class are one candidate if their centres are nearer than this share of the
    # smaller side, and the larger side is less than `same_size_ratio` times the smaller.
    same_radius: float = 0.45
    same_size_ratio: float = 1.5


@dataclasses.dataclass(frozen=True)
class OddsConfig:
    """Coefficients of the log-odds of a score, fitted by logistic regression."""

    slope: float = 1.0  # of the log-odds of the margin
    offset: float = 0.0
    one_offset: float = 0.0  # added for a 1: bars, branches and edges look like one
    contact_offset: float = 0.0  # added at full border contact, and in proportion below it
    votes_slope: float = 0.0  # of ln(the number of windows near it that show the same class)
    faint_offset: float = 0.0  # added for ink without strength, and in proportion for faint ink
    context_slope: float = 0.0  # of ln(probability of its class among all ink around it), ≤ 0
    edge_offset: float = 0.0  # added at the edge of the image, where objects are cut off


@dataclasses.dataclass(frozen=True)
class SelectionConfig:
    """Constants of soft-NMS, of clutter and of support, fitted on validation scenes."""

    # The priority rises by this much per unit of ln(ink in px).
    ink_weight: float = 0.3
    # The log-odds after soft-NMS: this times those of the score, ...
    slope: float = 1.13
    # ... plus this, ...
    offset: float = 0.31
    # ... plus this times the IoU with a candidate of higher priority, weighted by its score, ...
    iou_offset: float = -1.38
    # ... and this times both the IoU and the log-odds, ...
    iou_slope: float = -0.89
    # ... plus this times the weighted IoU with one of the same class, ...
    same_class_offset: float = -1.48
    # ... and this times the share of its ink that those explain, weighted by their scores, ...
    explained_offset: float = -1.26
    # The log-odds of the final score: those, plus this times the square of the clutter around.
    clutter_offset: float = -14.0
    # ... plus, of components, this ...
    support_offset: float = 0.0
    # ... and this times ln(1 + the number of digits of about their ink in the image), ...
    support_slope: float = 1.5
    # ... in proportion to its margin up to this one, ...
    full_margin: float = 0.3
    # ... of which the smaller ink is at least this share of the larger (a 1 has less ink than an
    # 8); less counts by the square, ...
    similar_ink: float = 0.4
    # ... if they overlap nothing better, by IoU or by share of their ink, by more than this.
    max_overlap: float = 0.1
    # Candidates of a lower score are dropped before, 0–1.
    min_score: float = 0.01


@dataclasses.dataclass(frozen=True)
class PunctuationConfig:
    """Constants of slashes and commas among the digits of a line, which are no 1s."""

    # At least this many neighbours make a line, ...
    min_neighbours: int = 2
    # ... nearer than this many of their heights, ...
    max_distance: float = 2.5
    # ... whose edges differ from their median by at most this share of the height.
    line_tolerance: float = 0.35
    # A comma is at most this share as high as the digits.
    comma_height: float = 0.5
    # A slash is at least this many times as high as the digits, ...
    slash_height: float = 1.12
    # ... goes on below them by at least this share of their height, ...
    slash_depth: float = 0.05
    # ... leans to the right by at least this angle, ...
    slash_angle_deg: float = 10.0
    # ... and is at most this share as broad as it is long (standard deviations).
    slash_breadth: float = 0.2


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
    # score of the search that the default min_score stands for, so that such detections appear only
    # at lower thresholds.
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
