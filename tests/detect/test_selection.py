"""Selection: which candidates are digits, and their final scores, computed by hand."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from candidates import make_candidate

from digits_jax.detect.candidates import Candidate, Cluster
from digits_jax.detect.selection import explained_ink, remove_ink, select, soft_nms
from digits_jax.detect.steps import SelectionConfig
from digits_jax.detect.surroundings import surroundings

CONFIG = SelectionConfig(
    ink_weight=1.5,
    slope=1.0,
    offset=0.0,
    iou_offset=-6.0,
    iou_slope=0.0,
    same_class_offset=0.0,
    explained_offset=0.0,
    clutter_offset=-8.0,
    support_offset=0.0,
    support_slope=0.0,
    min_score=0.05,
)


def candidate(
    rows: tuple[int, int], columns: tuple[int, int], score: float, **options: Any
) -> Candidate:
    """Returns a candidate in a rectangle."""
    return make_candidate((columns[0], rows[0], columns[1], rows[1]), score, **options)


def scores_of(*candidates: Candidate, config: SelectionConfig = CONFIG) -> dict[int, float]:
    """Returns the indices of the selected candidates in their order, and their final scores."""
    masks = [candidate.mask for candidate in candidates]
    selected = select([Cluster(10_000, [*candidates])], config)
    return {
        next(k for k, mask in enumerate(masks) if mask is one.mask): one.score for one in selected
    }


def from_odds(odds: float) -> float:
    return odds / (1 + odds)


def priority(score: float, ink: int) -> float:
    return math.log(score / (1 - score)) + 1.5 * math.log(ink)


EIGHT = np.ones((40, 20), bool)
EIGHT[4:16, 4:16] = EIGHT[24:36, 4:16] = False
LEFT, RIGHT = candidate((0, 20), (0, 10), 0.9), candidate((0, 20), (10, 20), 0.8)


def test_an_8_goes_before_the_loops_that_are_parts_of_it() -> None:
    """Of 512 px against 256 px each, that the network is as sure of; their IoU is a half."""
    upper, lower = EIGHT[:20].copy(), EIGHT[20:].copy()
    assert (EIGHT.sum(), upper.sum(), lower.sum()) == (512, 256, 256)
    eight = candidate((0, 40), (0, 20), 0.9, mask=EIGHT)
    first = candidate((0, 20), (0, 20), 0.9, mask=upper)
    second = candidate((20, 40), (0, 20), 0.9, mask=lower)
    scores = scores_of(first, second, eight)
    assert list(scores) == [2, 0, 1]
    part = from_odds(9 * math.exp(-6 * 0.9 * 0.5))
    assert scores == pytest.approx({2: 0.9, 0: part, 1: part})
    # 1.5 · ln 2 = 1.04 in the odds: a loop of 0.97 is preferred.
    assert priority(0.96, 256) < priority(0.9, 512) < priority(0.97, 256)
    assert list(scores_of(first._replace(score=0.96), second, eight)) == [2, 0, 1]
    assert next(iter(scores_of(first._replace(score=0.97), second, eight))) == 0


def test_each_of_a_pair_goes_before_a_doubtful_reading_of_both_as_one() -> None:
    """Of 200 px each against 400 px together; each has an IoU of a half with it."""
    both = candidate((0, 20), (0, 20), 0.5)
    assert priority(0.9, 200) == pytest.approx(10.14, abs=0.01)
    assert priority(0.8, 200) == pytest.approx(9.33, abs=0.01)
    assert priority(0.5, 400) == pytest.approx(8.99, abs=0.01)
    doubtful = from_odds(math.exp(-6 * 0.9 * 0.5))
    assert scores_of(both, LEFT, RIGHT) == pytest.approx({1: 0.9, 2: 0.8, 0: doubtful})
    assert priority(0.8, 400) == pytest.approx(10.37, abs=0.01)
    scores = scores_of(both._replace(score=0.8), LEFT, RIGHT)
    lowered = {k: from_odds(odds * math.exp(-6 * 0.8 * 0.5)) for k, odds in ((1, 9), (2, 4))}
    assert scores == pytest.approx({0: 0.8, **lowered})


def test_the_largest_overlap_counts() -> None:
    """The third has an IoU of 10 ÷ 30 with the first, and of 17 ÷ 23 with the second."""
    boxes = ((0, 20), (13, 33), (10, 30), (60, 80))
    first, second, third, apart = (candidate((0, 20), box, 0.9) for box in boxes)
    second, third = second._replace(score=0.8), third._replace(score=0.7)
    scores = scores_of(first, second, third, apart)
    of_second = from_odds(4 * math.exp(-6 * 0.9 * 7 / 33))
    assert scores[1] == pytest.approx(of_second)
    assert of_second * 17 / 23 > 0.9 * 10 / 30
    assert scores[2] == pytest.approx(from_odds(7 / 3 * math.exp(-6 * of_second * 17 / 23)))
    assert scores[3] == pytest.approx(0.9)


def test_a_dropped_candidate_lowers_no_score() -> None:
    first, second = candidate((0, 20), (0, 20), 0.9), candidate((0, 20), (2, 22), 0.8)
    third = candidate((0, 20), (21, 41), 0.7)
    assert scores_of(first, second, third) == pytest.approx({0: 0.9, 2: 0.7})


def test_slope_and_offset_calibrate_the_log_odds() -> None:
    config = dataclasses.replace(CONFIG, slope=0.5, offset=1.0)
    expected = from_odds(math.sqrt(9) * math.e)
    assert scores_of(LEFT, config=config) == pytest.approx({0: expected})


def test_of_equals_the_first_is_selected() -> None:
    same = [candidate((0, 20), (0, 20), 0.9) for _ in range(3)]
    assert list(scores_of(*same)) == [0]


def test_the_overlap_lowers_sure_candidates_too() -> None:
    """With iou_slope −1 and an IoU of 1, hardly anything of its own log-odds is left."""
    config = dataclasses.replace(CONFIG, iou_slope=-1.0, iou_offset=-2.0)
    same = [candidate((0, 20), (0, 20), score) for score in (0.999, 0.9)]
    lowered = from_odds(9 ** (1 - 0.999) * math.exp(-2 * 0.999))
    assert scores_of(*same, config=config) == pytest.approx({0: 0.999, 1: lowered})
    half = candidate((0, 20), (10, 20), 0.9)
    scores = scores_of(same[0], half, config=config)
    expected = from_odds(9 ** (1 - 0.999 / 2) * math.exp(-2 * 0.999 / 2))
    assert scores[1] == pytest.approx(expected)


def test_a_second_candidate_of_the_class_is_lowered_more() -> None:
    """A half of the digit is read as the same class, the other half as another one."""
    config = dataclasses.replace(CONFIG, same_class_offset=-1.0)
    digit = candidate((0, 20), (0, 20), 0.9)
    halves = [candidate((0, 20), columns, 0.8) for columns in ((0, 10), (10, 20))]
    another = np.roll(halves[1].probabilities, 1)
    scores = scores_of(digit, halves[0], halves[1]._replace(probabilities=another), config=config)
    expected = {k: from_odds(4 * math.exp(-weight * 0.9 * 0.5)) for k, weight in ((1, 7), (2, 6))}
    assert scores == pytest.approx({0: 0.9, **expected})


def test_what_is_probably_no_digit_hardly_lowers_scores() -> None:
    """A large smudge, visited first, covers the digit; its score is 0.1, then 0.8."""
    config = dataclasses.replace(CONFIG, ink_weight=10.0, explained_offset=-2.0)
    digit = candidate((0, 20), (0, 20), 0.8)
    for score in (0.1, 0.8):
        smudge = candidate((0, 20), (0, 40), score)
        expected = from_odds(4 * math.exp(-6 * score * 0.5 - 2 * score))
        assert scores_of(smudge, digit, config=config) == pytest.approx({0: score, 1: expected})


def test_scores_are_lower_where_the_ink_around_is_no_digit() -> None:
    """Around the digit of 200 px lie a drawing, a quarter of its ink in dirt, and two digits."""
    digit, other = candidate((0, 20), (0, 10), 0.9), candidate((0, 20), (50, 60), 0.8)
    drawing, dirt = Cluster(5000, []), Cluster(50, [])
    alone = [Cluster(200, [digit])]
    assert select(alone, CONFIG)[0].score == pytest.approx(0.9)
    for around, clutter in (
        ([drawing], 1 / 2),
        ([drawing, drawing], 2 / 3),
        ([dirt], 0.25 / 1.25),
        ([Cluster(200, [other])], 0.2 / 2),
        ([Cluster(400, [other])], 0.6 / 2),  # half of that ink is left, and a fifth of the digit
        ([Cluster(0, [])], 0.0),
    ):
        found = select([*around, *alone], CONFIG)[-1]
        expected = from_odds(9 * math.exp(-8 * clutter**2))
        assert found.score == pytest.approx(expected), (around, clutter)


def test_similar_digits_around_support_a_component() -> None:
    """It has 200 px and a margin of 0.1, the others 400 and 50 px.

    Windows and what overlaps get no support.
    """
    config = dataclasses.replace(CONFIG, clutter_offset=0.0, support_offset=-0.5, support_slope=2.0)
    config = dataclasses.replace(config, full_margin=0.4)
    probabilities = np.array([0.55, 0.45, *[0] * 8], np.float32)
    unsure = candidate((0, 20), (0, 10), 0.9)._replace(probabilities=probabilities)
    digit = Cluster(200, [unsure])
    sure = digit._replace(candidates=[unsure._replace(probabilities=np.eye(10)[0])])
    large = Cluster(400, [candidate((0, 20), (50, 70), 0.8)])
    small = Cluster(50, [candidate((0, 10), (90, 95), 0.7)])
    window = digit._replace(candidates=[digit.candidates[0]._replace(kind="window")])
    inside = candidate((5, 15), (0, 10), 0.6)
    for around, support in (
        ([], 0.0),
        ([large], 0.8),
        ([small], 0.7 * (0.25 / 0.4) ** 2),
        ([large, small, Cluster(300, [])], 0.8 + 0.7 * (0.25 / 0.4) ** 2),
    ):
        expected = from_odds(9 * math.exp(-0.5) * (1 + support) ** (2 * 0.1 / 0.4))
        assert select([*around, digit], config)[-1].score == pytest.approx(expected)
        expected = from_odds(9 * math.exp(-0.5) * (1 + support) ** 2)
        assert select([*around, sure], config)[-1].score == pytest.approx(expected)
        assert select([*around, window], config)[-1].score == pytest.approx(0.9)
    both = digit._replace(candidates=[*digit.candidates, inside])
    part = next(one for one in select([large, both], config) if one.mask is inside.mask)
    assert part.score == pytest.approx(from_odds(1.5 * math.exp(-6 * 0.9 * 0.5 - 0.5)))


def test_a_cluster_s_own_ink_is_no_clutter_around_its_digits() -> None:
    cluster, far = Cluster(1000, [LEFT, RIGHT]), Cluster(200, [candidate((0, 9), (90, 99), 0.7)])
    visits = [soft_nms(one, CONFIG) for one in (cluster, far)]
    around = surroundings(explained_ink([cluster, far], visits), CONFIG.similar_ink)
    own, others = (one.clutter for one in around)
    unexplained = 1 - 0.7 * 81 / 200
    assert own == pytest.approx([unexplained / 2] * 2)
    left_over = 1 - (0.9 + 0.8) * 200 / 1000
    assert others == pytest.approx([left_over / 2])


def test_a_candidate_whose_ink_is_explained_has_a_lower_score() -> None:
    """A stem overlaps a digit by a tenth; three quarters of its ink are the digit's."""
    config = dataclasses.replace(CONFIG, iou_offset=0.0, explained_offset=-2.0)
    digit, stem = candidate((0, 40), (0, 10), 0.9), candidate((0, 40), (7, 11), 0.8)
    scores = scores_of(digit, stem, config=config)
    assert scores == pytest.approx({0: 0.9, 1: from_odds(4 * math.exp(-2 * 0.9 * 0.75))})


def test_ink_is_explained_by_the_probability_that_any_digit_explains_it() -> None:
    """Of a wide one's 60 columns the first explains 0–20 and the second 10–40."""
    config = dataclasses.replace(CONFIG, iou_offset=0.0, explained_offset=-2.0, ink_weight=0.0)
    first, second = candidate((0, 20), (0, 20), 0.9), candidate((0, 20), (10, 40), 0.8)
    third = candidate((0, 20), (0, 60), 0.7)
    of_second = from_odds(4 * math.exp(-2 * 0.9 / 3))
    explained = (10 * 0.9 + 10 * (1 - 0.1 * (1 - of_second)) + 20 * of_second) / 60
    expected = {0: 0.9, 1: of_second, 2: from_odds(7 / 3 * math.exp(-2 * explained))}
    assert scores_of(first, second, third, config=config) == pytest.approx(expected)


def test_ink_that_two_candidates_explain_counts_once() -> None:
    """Of the second's 400 px, a half is explained with 0.9."""
    first, second = candidate((0, 20), (0, 20), 0.9), candidate((0, 20), (10, 30), 0.8)
    pair, apart = Cluster(1000, [first, second]), Cluster(200, [candidate((0, 9), (90, 99), 0.7)])
    explained = 0.9 * 400 + from_odds(4 * math.exp(-6 * 0.9 * 200 / 600)) * 400 * (1 - 0.9 / 2)
    visits = [soft_nms(one, CONFIG) for one in (pair, apart)]
    _, around = surroundings(explained_ink([pair, apart], visits), CONFIG.similar_ink)
    assert around.clutter == pytest.approx([(1 - explained / 1000) / 2])


@pytest.mark.parametrize(
    ("rows", "columns", "removed"),
    [
        ((15, 35), (35, 55), 75),
        ((5, 15), (25, 35), 50),
        ((0, 50), (0, 50), 400),
        ((0, 9), (20, 40), 0),
        ((10, 30), (45, 60), 0),
        ((10, 30), (0, 15), 0),
    ],
)
def test_ink_is_removed_where_boxes_intersect_and_nowhere_else(
    rows: tuple[int, int], columns: tuple[int, int], removed: int
) -> None:
    """The mask's box is 20 ≤ x < 40, 10 ≤ y < 30."""
    mask = np.ones((20, 20), bool)
    remove_ink(mask, (20, 10, 40, 30), candidate(rows, columns, 0.9))
    low, high = np.array([rows, columns]).T
    inside = np.s_[
        max(low[0] - 10, 0) : max(high[0] - 10, 0), max(low[1] - 20, 0) : max(high[1] - 20, 0)
    ]
    assert not mask[inside].any()
    assert (~mask).sum() == removed


def test_low_scores_are_left_out_and_sure_ones_have_finite_priorities() -> None:
    low, enough = candidate((0, 20), (0, 20), 0.049), candidate((0, 20), (30, 50), 0.051)
    assert scores_of(low, enough) == pytest.approx({1: 0.051})
    certain = candidate((0, 20), (0, 20), 1.0)
    assert next(iter(scores_of(candidate((0, 20), (0, 20), 0.99), certain))) == 1
    assert scores_of(candidate((0, 20), (0, 20), 0.0)) == {}
