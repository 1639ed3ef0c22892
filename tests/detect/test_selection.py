"""Selection: which candidates explain the ink, with priorities computed by hand."""

import math

import numpy as np
import pytest

from digits_jax.detect.selection import Candidate, Cluster, select
from digits_jax.detect.steps import SelectionConfig

CONFIG = SelectionConfig(
    min_score=0.01, ink_weight=1.5, min_new_ink=0.5, max_size_ratio=2.5, unexplained_offset=2.0
)


def candidate(
    rows: tuple[int, int],
    columns: tuple[int, int],
    score: float,
    *,
    size: float = 28,
    mask: np.ndarray | None = None,
) -> Candidate:
    """Returns a candidate in a rectangle, which it fills if no mask is given."""
    (y0, y1), (x0, x1) = rows, columns
    full = np.ones((y1 - y0, x1 - x0), bool)
    probabilities = np.full(10, 0.1, np.float32)
    return Candidate(
        box=(x0, y0, x1, y1),
        mask=full if mask is None else mask,
        size=size,
        probabilities=probabilities,
        contact=0.0,
        is_window=False,
        score=score,
    )


def selected(*candidates: Candidate, ink_px: int = 10_000) -> list[int]:
    """Returns the indices of the selected candidates, in their order."""
    boxes = [(c.box, c.size) for c in candidates]
    return [boxes.index((c.box, c.size)) for c in select(Cluster(ink_px, [*candidates]), CONFIG)]


def priority(score: float, ink: int) -> float:
    return math.log(score / (1 - score)) + 1.5 * math.log(ink)


EIGHT = np.ones((40, 20), bool)
EIGHT[4:16, 4:16] = EIGHT[24:36, 4:16] = False


def test_an_8_goes_before_the_loops_that_are_parts_of_it() -> None:
    """Of 512 px against 256 px each, that the network is as sure of."""
    upper, lower = EIGHT[:20], EIGHT[20:]
    assert (EIGHT.sum(), upper.sum(), lower.sum()) == (512, 256, 256)
    eight = candidate((0, 40), (0, 20), 0.9, mask=EIGHT, size=56)
    loops = (
        candidate((0, 20), (0, 20), 0.9, mask=upper),
        candidate((20, 40), (0, 20), 0.9, mask=lower),
    )
    assert selected(*loops, eight) == [2]
    # ln 2 · 1.5 = 1.04 in the odds: a loop of 0.97 is preferred, and leaves half of the 8.
    assert priority(0.96, 256) < priority(0.9, 512) < priority(0.97, 256)
    assert selected(loops[0]._replace(score=0.96), loops[1], eight) == [2]
    surer = loops[0]._replace(score=0.97)
    assert selected(surer, loops[1]._replace(score=0.97), eight) == [0, 1]


def test_each_of_a_pair_goes_before_a_doubtful_reading_of_both_as_one() -> None:
    """Of 200 px each against 400 px together."""
    left, right = candidate((0, 20), (0, 10), 0.9), candidate((0, 20), (10, 20), 0.8)
    both = candidate((0, 20), (0, 20), 0.5)
    assert priority(0.9, 200) == pytest.approx(10.14, abs=0.01)
    assert priority(0.8, 200) == pytest.approx(9.33, abs=0.01)
    assert priority(0.5, 400) == pytest.approx(8.99, abs=0.01)
    assert selected(both, left, right) == [1, 2]
    assert priority(0.8, 400) == pytest.approx(10.37, abs=0.01)
    assert selected(both._replace(score=0.8), left, right) == [0]


def test_a_candidate_needs_half_of_its_ink_for_itself() -> None:
    first, second = candidate((0, 20), (0, 20), 0.9), candidate((0, 20), (10, 30), 0.8)
    assert selected(first, second) == [0, 1]
    closer = candidate((0, 20), (9, 29), 0.8)
    assert selected(first, closer) == [0]
    assert selected(second, candidate((0, 20), (20, 40), 0.7), first) == [2, 0, 1]


def test_ink_outside_the_masks_does_not_count() -> None:
    """Boxes that overlap wholly, masks that do not overlap."""
    left, right = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    left[:, :10], right[:, 10:] = True, True
    first = candidate((0, 20), (0, 20), 0.9, mask=left)
    assert selected(first, candidate((0, 20), (0, 20), 0.8, mask=right, size=29)) == [0, 1]


def test_a_suppressed_candidate_takes_no_ink() -> None:
    first, second, third = (
        candidate((0, 20), (9 * k, 9 * k + 20), 0.9 - 0.1 * k) for k in range(3)
    )
    assert selected(first, second, third) == [0, 2]


def test_digits_of_very_different_size_do_not_compete() -> None:
    large = candidate((0, 70), (0, 70), 0.99, size=100)
    for size, expected in ((39, [0, 1]), (41, [0])):
        assert selected(large, candidate((20, 40), (20, 40), 0.9, size=size)) == expected


def test_low_scores_and_candidates_without_ink_are_left_out() -> None:
    nothing = candidate((0, 20), (0, 20), 0.9, mask=np.zeros((20, 20), bool))
    doubtful, low = candidate((0, 20), (30, 50), 0.011), candidate((0, 20), (60, 80), 0.009)
    assert selected(nothing, doubtful, low) == [1]
    assert select(Cluster(1, []), CONFIG) == []


def test_of_equals_the_first_is_selected() -> None:
    same = [candidate((0, 20), (0, 20), 0.9) for _ in range(3)]
    (chosen,) = select(Cluster(400, same), CONFIG)
    assert chosen is same[0]


def test_windows_have_lower_scores_where_ink_is_left_unexplained() -> None:
    """Two windows and a component explain 0.9 · 200 + 0.8 · 200 + 0.5 · 400 of 1080 px: a half."""
    windows = [
        candidate((0, 20), (0, 10), 0.9)._replace(is_window=True),
        candidate((0, 20), (10, 20), 0.8)._replace(is_window=True),
    ]
    component = candidate((0, 20), (20, 40), 0.5)
    first, second, third = select(Cluster(1080, [*windows, component]), CONFIG)
    assert first.score == pytest.approx(9 / (9 + math.e))  # odds of 9, divided by e to 2 · 0.5
    assert second.score == pytest.approx(4 / (4 + math.e))
    assert third.score == 0.5
    first, second, _ = select(Cluster(540, [*windows, component]), CONFIG)
    assert (first.score, second.score) == pytest.approx((0.9, 0.8))


def test_sure_scores_have_finite_priorities() -> None:
    """Those of 0 and 1, too, of which the more certain still goes first."""
    certain = candidate((0, 20), (0, 20), 1.0, size=29)
    assert selected(candidate((0, 20), (0, 20), 0.99), certain) == [1]
    assert selected(candidate((0, 20), (0, 20), 0.0)) == []
