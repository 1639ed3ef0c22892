"""Non-maximum suppression (NMS) of candidates: of overlapping detections, the better one is kept.

Windows of several sizes respond to one digit, and to its parts. Two rules sort this out:

* NMS visits the candidates by descending priority and suppresses each one whose centre is near
  that of a kept one of similar size. A suppressed candidate may still be a second digit that
  overlaps the first. So a narrower radius decides what is dropped for good; between the two radii
  the score is multiplied by a constant instead, which is the idea of soft-NMS (Bodla et al., 2017).
* Part suppression removes windows that see a part of a digit, such as the loop of an 8, which is
  no 0. The strokes of a part run on beyond its window (`border_contact`), and a larger window near
  it sees the whole digit.

The radii and the other constants are fields of `NmsConfig` and `PartSuppressionConfig` (config.py).
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from digits_jax.detect.steps import PartSuppressionConfig


def part_suppression(
    windows: Float[Array, "k 4"],
    margins: Float[Array, " k"],
    border_contacts: Float[Array, " k"],
    priority: Float[Array, " k"],
    config: PartSuppressionConfig,
) -> Bool[Array, " k"]:
    """Returns which candidates are parts of a digit that a larger window sees whole.

    Args:
      windows: `[k, 4]` x0, y0, x1, y1 in pixels; squares.
      margins: `[k]` 0–1, the largest probability minus the second largest.
      border_contacts: `[k]` as `border_contact` returns them, shares of a side.
      priority: `[k]`; a candidate of priority −1 suppresses nothing.
      config: the constants of the rule.
    """
    side, distance = _sides_and_distances(windows)
    larger = (side[None] > config.min_size_ratio * side[:, None]) & (
        side[None] <= config.max_size_ratio * side[:, None]
    )
    whole = (
        (priority >= 0)
        & (margins >= config.whole_min_margin)
        & (border_contacts < config.whole_max_contact)
    )
    near = distance < config.max_distance * side[:, None]
    touches_border = border_contacts > config.part_min_contact
    return touches_border & (larger & near & whole[None]).any(axis=1)


def nms(
    windows: Float[Array, "k 4"],
    priority: Float[Array, " k"],
    *,
    radius: float,
    max_size_ratio: float,
) -> Bool[Array, " k"]:
    """Returns which candidates are kept: those that no kept one of higher priority suppresses.

    Greedy NMS: candidate j is suppressed by a kept i < j if |c_i − c_j| < radius · min(s_i, s_j)
    and max(s_i, s_j) < max_size_ratio · min(s_i, s_j), for centres c and sides s. The distance is
    Euclidean, since diagonal neighbours overlap less.

    Args:
      windows: `[k, 4]` x0, y0, x1, y1 in pixels; squares.
      priority: `[k]` descending, except that candidates of −1 may lie anywhere: they are neither
        kept nor do they suppress.
      radius: share of the smaller side within which centres compete, 0–1.
      max_size_ratio: ratio of the sides from which on windows do not compete, ≥ 1.
    """
    side, distance = _sides_and_distances(windows)
    smaller, larger = (pick(side[:, None], side[None]) for pick in (jnp.minimum, jnp.maximum))
    overlapping = (distance < radius * smaller) & (larger < max_size_ratio * smaller)

    def decide(k: Int[Array, ""], kept: Bool[Array, " k"]) -> Bool[Array, " k"]:
        suppressed = (overlapping[k] & kept & (jnp.arange(len(priority)) < k)).any()
        return kept.at[k].set(kept[k] & ~suppressed)

    return lax.fori_loop(0, len(priority), decide, priority >= 0)


def _sides_and_distances(
    windows: Float[Array, "k 4"],
) -> tuple[Float[Array, " k"], Float[Array, "k k"]]:
    """Returns the windows' sides and the distances between their centres, in pixels."""
    centre = (windows[:, :2] + windows[:, 2:]) / 2
    distance = jnp.linalg.norm(centre[:, None] - centre[None], axis=-1)
    return windows[:, 2] - windows[:, 0], distance
