import jax.numpy as jnp
import numpy as np
import pytest

from digits_jax.detect.detector import MIN_SCORE
from digits_jax.detect.nms import PLACE, calibrate, nms, part_suppression
from digits_jax.detect.peaks import Candidates, _judged


def windows(*readings: tuple[float, ...]) -> jnp.ndarray:
    """Of readings that begin with the centre's x and y and the window's side."""
    return jnp.array(
        [[x - s / 2, y - s / 2, x + s / 2, y + s / 2] for x, y, s, *_ in readings], jnp.float32
    )


def stand(*peaks: tuple[float, float, float], without: tuple[int, ...] = ()) -> list[bool]:
    """Of peaks by descending rank, but for those that have none."""
    rank = np.linspace(1, 0.5, len(peaks), dtype=np.float32)
    rank[list(without)] = -1
    return np.asarray(nms(windows(*peaks), jnp.asarray(rank), PLACE)).tolist()


def test_a_peak_falls_to_a_better_one_within_half_of_the_smaller_side() -> None:
    assert stand((50, 50, 28), (50, 63, 28)) == [True, False]  # 13 px apart, 14 needed
    assert stand((50, 50, 28), (50, 65, 28)) == [True, True]
    assert stand((50, 50, 28), (60, 60, 28)) == [True, True]  # 14.1 px, on the diagonal
    assert stand((50, 50, 28), (50, 59, 20)) == [True, False]  # 9 px; 10 needed
    assert stand((50, 50, 28), (50, 59, 16)) == [True, True]  # 8 needed
    assert stand((50, 50, 28), (50, 57, 16)) == [True, False]


def test_what_has_fallen_fells_nothing() -> None:
    assert stand((50, 50, 28), (50, 60, 28), (50, 70, 28)) == [True, False, True]
    assert stand((50, 50, 28), (50, 60, 28), (50, 70, 28), without=(0,)) == [False, True, False]


def test_a_small_digit_may_stand_inside_one_of_three_times_its_size() -> None:
    assert stand((50, 50, 60), (50, 50, 19)) == [True, True]
    assert stand((50, 50, 19), (50, 50, 60)) == [True, True]
    assert stand((50, 50, 60), (50, 50, 21)) == [True, False]


def part_of(whole: tuple[float, ...], *, crossing: float = 0.16, rank: float = 0.5) -> bool:
    """Whether a window of 20 px at (50, 50), so crossed, falls to one of x, y, side, margin and
    crossing.
    """
    _, _, _, margin, crossed = whole
    fallen = part_suppression(
        windows(whole, (50, 50, 20)),
        jnp.array([margin, 0.99], jnp.float32),
        jnp.array([crossed, crossing], jnp.float32),
        jnp.array([rank, 1.0], jnp.float32),
    )
    assert not fallen[0]
    return bool(fallen[1])


def test_a_part_falls_to_a_larger_window_that_sees_the_digit_whole() -> None:
    assert part_of((50, 50, 28, 0.31, 0.04))
    assert part_of((58.9, 50, 28, 0.31, 0.04))
    assert part_of((50, 50, 40, 0.31, 0.04))
    assert part_of((56, 56, 28, 0.31, 0.04))  # 8.5 px, on the diagonal


@pytest.mark.parametrize(
    "other",
    [
        (59.1, 50, 28, 0.31, 0.04),  # 0.45 of the smaller window's 20 px are 9
        (56.5, 56.5, 28, 0.31, 0.04),
        (50, 50, 40.1, 0.31, 0.04),  # more than twice as large
        (50, 50, 21.9, 0.31, 0.04),  # of the same scale
        (50, 50, 28, 0.29, 0.04),  # not sure that it is a digit
        (50, 50, 28, 0.31, 0.06),  # not whole
    ],
)
def test_no_part_falls_to_any_other(other: tuple[float, ...]) -> None:
    assert not part_of(other)


def test_a_whole_digit_is_no_part_and_what_is_no_reading_fells_nothing() -> None:
    assert not part_of((50, 50, 28, 0.31, 0.04), crossing=0.14)
    assert not part_of((50, 50, 28, 0.31, 0.04), rank=-1.0)


def test_odds_are_less_where_strokes_run_on_and_for_a_1() -> None:
    """A margin of 0.8 is four to one: four to one, two to one at half, four to three."""
    crossings = jnp.array([[0.0, 0.1, 0.2, 1.0, 0.0, 0.2]], jnp.float32)
    labels = jnp.array([[0, 2, 7, 9, 1, 1]])
    found = calibrate(labels, jnp.full((1, 6), 0.8, jnp.float32), crossings)
    np.testing.assert_allclose(found, [[4 / 5, 2 / 3, 4 / 7, 4 / 7, 4 / 9, 4 / 19]], rtol=1e-6)
    ends = jnp.array([[0.0, 1.0]], jnp.float32)
    ones = jnp.ones((1, 2), int)
    np.testing.assert_array_equal(calibrate(ones, ends, jnp.ones((1, 2), jnp.float32)), ends)


# What stands of an image's candidates, each by descending rank its window, margin and crossing.


def judged(*readings: tuple[float, ...], min_score: float) -> dict[int, float]:
    """The number and the score of each that is left, in order."""
    _, _, _, margins, crossings = np.array(readings, np.float32).T
    peaks = Candidates(
        windows(*readings)[None],
        2 + jnp.arange(len(readings))[None],  # no 1s
        jnp.asarray(margins)[None],
        jnp.asarray(crossings)[None],
        jnp.linspace(1, 0.5, len(readings), dtype=jnp.float32)[None],
        jnp.array([False]),
    )
    found = _judged(peaks, min_score)
    left = np.asarray(found.rank[0]) >= 0
    np.testing.assert_array_equal(found.rank[0][left], found.scores[0][left])
    scores = np.asarray(found.scores[0])[left].tolist()
    return dict(zip((np.asarray(found.labels[0])[left] - 2).tolist(), scores, strict=True))


PART, WHOLE = (50.0, 50.0, 20.0, 0.9, 0.2), (52.0, 50.0, 28.0, 0.6, 0.0)


def test_a_whole_stands_where_its_part_falls() -> None:
    assert judged(PART, WHOLE, min_score=0.3) == pytest.approx({1: 0.6})
    assert judged(PART, WHOLE, min_score=0.7) == {}  # nor does the part come back
    assert judged(PART, min_score=0.3) == pytest.approx({0: 0.75})  # nine to one: three to one


def test_the_order_is_that_of_the_scores() -> None:
    """Of rank, margin and score, each puts another first."""
    apart = (20, 20, 28, 0.8, 0.0), (90, 20, 28, 0.9, 0.2), (20, 90, 28, 0.85, 0.05)
    found = judged(*apart, min_score=0.3)
    assert list(found) == [0, 2, 1]
    assert list(found.values()) == pytest.approx([0.8, 0.85 / (0.85 + 0.15 * 1.5), 0.75])


def test_what_is_not_sure_enough_is_in_the_way_all_the_same() -> None:
    doubtful, other = (50, 50, 28, 0.6, 0.2), (55, 50, 28, 0.5, 0.0)
    assert judged(doubtful, other, min_score=0.3) == pytest.approx({0: 1 / 3})
    assert judged(doubtful, other, min_score=0.4) == {}


def test_a_beaten_reading_may_be_of_a_digit_that_overlaps_if_it_is_asked_for() -> None:
    """5.6 px off, or half as large again; its score is less than any that counts unasked."""
    best = (50, 50, 28, 0.9, 0.0)
    for other in ((56, 50, 28, 1.0, 0.0), (50, 50, 43, 1.0, 0.0)):
        assert judged(best, other, min_score=0.01) == pytest.approx({0: 0.9, 1: 0.29})
        assert judged(best, other, min_score=MIN_SCORE) == pytest.approx({0: 0.9})
    for same in ((55, 50, 28, 1.0, 0.0), (50, 50, 41, 1.0, 0.0)):
        assert judged(best, same, min_score=0.01) == pytest.approx({0: 0.9})
    third = (56.5, 50, 28, 1.0, 0.0)  # in the place of the second
    assert judged(best, (56, 50, 28, 0.5, 0.0), third, min_score=0.01) == pytest.approx(
        {0: 0.9, 1: 0.145}
    )


def test_a_beaten_reading_takes_no_place() -> None:
    """The second is beaten by the first, and would stand in the third's way."""
    first, second, third = (50, 50, 28, 0.9, 0.0), (61, 50, 28, 0.8, 0.0), (66, 50, 28, 0.7, 0.0)
    found = judged(first, second, third, min_score=0.01)
    assert found == pytest.approx({0: 0.9, 2: 0.7, 1: 0.8 * 0.29})
    assert list(found) == [0, 2, 1]


def test_parts_that_fall_are_not_kept() -> None:
    assert judged(PART, WHOLE, min_score=0.01) == pytest.approx({1: 0.6})


def test_windows_of_one_scale_are_no_part_and_whole() -> None:
    """Their sides differ by rounding: both stand where they are far enough apart."""
    side, step = 17.57, 2 * 17.57 / 28
    for k in range(40):
        readings = [
            (x, 50, side, 0.9, crossed) for x, crossed in ((k * step, 0.2), (k * step + 6, 0))
        ]
        assert not part_suppression(
            windows(*readings),
            jnp.full(2, 0.9, jnp.float32),
            jnp.array([0.2, 0.0], jnp.float32),
            jnp.ones(2, jnp.float32),
        ).any()
