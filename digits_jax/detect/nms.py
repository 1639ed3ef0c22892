"""Which of several readings of a digit stands: the better one, and the whole before its part.

A digit is read by windows of several sizes, and so are its parts: the loop of an 8 is no 0, and the
top of a 2 no 7, but a window that is small enough sees nothing else and is as sure of them. What
gives parts away is that their strokes run on beyond the window (`strokes`).

A reading that a better one beats may be of another digit all the same, one that overlaps. By a
narrower measure it stands, with so low a score that it counts only if it is asked for; to lower
scores rather than leave out is the idea of Bodla et al. (2017).
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

# Readings are of one place if their centres are nearer than the first times the smaller window's
# side, unless one side is at least the second times the other: digits stand inside a 0, too.
PLACE = 0.5, 3.0
OVERLAP = 0.2, 1.5  # the same for readings that might be of digits that overlap
BEATEN = 0.29  # what is left of the score of a reading that a better one beats: less than 0.3
# The numbers above and that follow were chosen on scenes of validation digits and on photographs.
CROSSED = 0.15  # of a window's side: what strokes cross by more may be a part of a digit, ...
WHOLE = 0.05  # ... and what they cross by less is a whole one, to which a part falls ...
SEEN = 0.3  # ... if its margin is at least this, ...
SIDES = 1.1, 2.0  # ... its side so many times the part's (neighbouring scales: 1.18 to 1.4) ...
NEAR = 0.45  # ... and its centre within so many of the part's sides
FULL = 0.2  # of the side: more is crossed by strokes of photographs, of single digits hardly any
DOUBT = 2.0  # where so much is crossed, odds are divided by 1 more than this
ONE = 5.0  # odds of a 1 are divided by it: bars, branches and rims look like one


def part_suppression(
    windows: Float[Array, "k 4"],
    margins: Float[Array, " k"],
    crossings: Float[Array, " k"],
    rank: Float[Array, " k"],
) -> Bool[Array, " k"]:
    """Which of the peaks are parts of a digit that a larger window sees whole."""
    side, distance = _geometry(windows)
    smallest, largest = SIDES
    larger = (side[None] > smallest * side[:, None]) & (side[None] <= largest * side[:, None])
    whole = (rank >= 0) & (margins >= SEEN) & (crossings < WHOLE)
    near = distance < NEAR * side[:, None]
    return (crossings > CROSSED) & (larger & near & whole[None]).any(axis=1)


def calibrate(
    labels: Int[Array, "n k"], margins: Float[Array, "n k"], crossings: Float[Array, "n k"]
) -> Float[Array, "n k"]:
    """The margins with less odds for what is often seen where no digit is: scores, 0–1.

    So are 1s, and so is what strokes run on from. With a margin's odds m / (1 − m), divided by d,
    the score is m / (m + (1 − m) d).
    """
    divisor = 1 + DOUBT * jnp.minimum(crossings / FULL, 1.0)
    divisor *= jnp.where(labels == 1, ONE, 1.0)
    return margins / (margins + (1 - margins) * divisor)


def nms(
    windows: Float[Array, "k 4"], rank: Float[Array, " k"], place: tuple[float, float]
) -> Bool[Array, " k"]:
    """Which of the peaks, by descending rank but for those of −1, have no better one in place.

    What has a rank of −1 neither stands nor is in the way. A place is as PLACE has it.
    """
    apart, unlike = place
    side, distance = _geometry(windows)
    smaller, larger = (pick(side[:, None], side[None]) for pick in (jnp.minimum, jnp.maximum))
    same = (distance < apart * smaller) & (larger < unlike * smaller)

    def judge(k: Int[Array, ""], stands: Bool[Array, " k"]) -> Bool[Array, " k"]:
        beaten = (same[k] & stands & (jnp.arange(len(rank)) < k)).any()
        return stands.at[k].set(stands[k] & ~beaten)

    return lax.fori_loop(0, len(rank), judge, rank >= 0)


def _geometry(windows: Float[Array, "k 4"]) -> tuple[Float[Array, " k"], Float[Array, "k k"]]:
    """The sides of windows, and the distances of their centres."""
    centre = (windows[:, :2] + windows[:, 2:]) / 2
    # Not by axis: digits that stand nearer diagonally cover no more of each other.
    distance = jnp.linalg.norm(centre[:, None] - centre[None], axis=-1)
    return windows[:, 2] - windows[:, 0], distance
