import jax.numpy as jnp
import numpy as np
import pytest

from digits_jax.rivals import doubted, parts, standing


def windows(*readings: tuple[float, ...]) -> jnp.ndarray:
    """Of readings that begin with the centre's x and y and the window's side."""
    return jnp.array(
        [[x - s / 2, y - s / 2, x + s / 2, y + s / 2] for x, y, s, *_ in readings], jnp.float32
    )


def stand(*peaks: tuple[float, float, float], without: tuple[int, ...] = ()) -> list[bool]:
    """Of peaks by descending rank, but for those that have none."""
    rank = np.linspace(1, 0.5, len(peaks), dtype=np.float32)
    rank[list(without)] = -1
    return np.asarray(standing(windows(*peaks), jnp.asarray(rank))).tolist()


def test_a_peak_falls_to_a_better_one_within_0_6_of_the_smaller_side() -> None:
    assert stand((50, 50, 28), (50, 66, 28)) == [True, False]  # 16 px apart, 16.8 needed
    assert stand((50, 50, 28), (50, 67, 28)) == [True, True]
    assert stand((50, 50, 28), (62, 62, 28)) == [True, True]  # 17 px, on the diagonal
    assert stand((50, 50, 28), (50, 61, 20)) == [True, False]  # 11 px; 12 needed
    assert stand((50, 50, 28), (50, 60, 16)) == [True, True]  # 10 px; 9.6 needed
    assert stand((50, 50, 28), (50, 59, 16)) == [True, False]


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
    fallen = parts(
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
        (50, 50, 20, 0.31, 0.04),  # no larger
        (50, 50, 28, 0.29, 0.04),  # not sure that it is a digit
        (50, 50, 28, 0.31, 0.06),  # not whole
    ],
)
def test_no_part_falls_to_any_other(other: tuple[float, ...]) -> None:
    assert not part_of(other)


def test_a_whole_digit_is_no_part_and_what_is_no_reading_fells_nothing() -> None:
    assert not part_of((50, 50, 28, 0.31, 0.04), crossing=0.14)
    assert not part_of((50, 50, 28, 0.31, 0.04), rank=-1.0)


def test_odds_fall_to_a_third_where_strokes_run_on() -> None:
    """A margin of 0.8 is four to one: four to one, two to one at half, four to three."""
    crossings = jnp.array([[0.0, 0.1, 0.2, 1.0]], jnp.float32)
    found = doubted(jnp.full((1, 4), 0.8, jnp.float32), crossings)
    np.testing.assert_allclose(found, [[4 / 5, 2 / 3, 4 / 7, 4 / 7]], rtol=1e-6)
    ends = jnp.array([[0.0, 1.0]], jnp.float32)
    np.testing.assert_array_equal(doubted(ends, jnp.ones((1, 2), jnp.float32)), ends)
