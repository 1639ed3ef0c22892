"""Windows of candidates, for tests of suppression."""

import jax.numpy as jnp


def square_windows(*squares: tuple[float, ...]) -> jnp.ndarray:
    """Returns `[k, 4]` x0, y0, x1, y1 of squares given by x and y of the centre and the side."""
    return jnp.array(
        [[x - s / 2, y - s / 2, x + s / 2, y + s / 2] for x, y, s, *_ in squares], jnp.float32
    )
