"""Training windows with what surrounds digits in images, and windows in which no digit is centred.

The paper's network has seen nothing but centred digits, so its margin is high on whatever it is
shown. These windows teach it the rest: each is composed, on the device, from a subject (a digit of
about MNIST's size near the centre, or for a background window something else) and neighbours around
it. A background window's target is uniform over the classes, which asks for a low margin and needs
no eleventh class (the entropic open-set loss of Dhamija, Günther and Boult, 2018). In between are
digits that are nearly in their place, or nearly of their size, which are to be as sure as they are
centred: left to itself the network reads a part of a digit as another, and surely.

A subject is turned, slanted, stretched and bent (Simard, Steinkraus and Platt, 2003) in the same
interpolation that puts it in its place, so that it is never blurred twice.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt8

from digits_jax.models.cnn import INPUT_SIDE
from digits_jax.train.config import TrainConfig
from digits_jax.train.negatives.clutter import WINDOWS, draw_clutter
from digits_jax.train.negatives.letters_and_shapes import DRAWINGS, draw_shapes
from digits_jax.train.warp import (
    Images,
    Placement,
    Warp,
    pixel_centres,
    place_pictures,
    source_coordinates,
    warp_pictures,
)

NEIGHBOURS = 3  # at most, around a subject
OFF_CENTRE = (6.0, 20.0)  # px that a digit is off, along the axis where it is farther off
TOO_SMALL, TOO_LARGE = (0.2, 0.62), (1.45, 3.7)  # times the size of MNIST's digits
ANY_SIZE = (0.3, 3.5)
NEARLY = (0.6, 2.2)  # times its size that a near miss is, and ...
BESIDE = 12.0  # px that it is off at most, along the axis where it is farther off
IN_PLACE = 0.5  # of the shapes are as large as a digit and where one would be; the others anywhere
NEAREST = 14.0  # px from the centre to a neighbour of the same size; unlike ones overlap more
BLUR = 2.6  # px: a digit of 15 px a side, scaled up
KNOTS = 5  # along each axis, between which a bend is linear


class NegativePictures(NamedTuple):
    """Pictures of what is no digit, which windows show as well: 0 to 255."""

    shapes: UInt8[Array | np.ndarray, "_ 28 28"]
    clutter: UInt8[Array | np.ndarray, "_ 28 28"]


def draw_negatives() -> NegativePictures:
    """The same on every call."""
    return NegativePictures(draw_shapes(), draw_clutter())


def negatives_spec() -> NegativePictures:
    """What stands for them while a program that takes them is compiled."""
    to_come: Any = [
        jax.ShapeDtypeStruct((count, INPUT_SIDE, INPUT_SIDE), jnp.uint8)
        for count in (DRAWINGS, WINDOWS)
    ]
    return NegativePictures(*to_come)


def compose_windows(
    key: Key[Array, ""], digits: Images, distractors: NegativePictures, recipe: TrainConfig
) -> tuple[Float[Array, "n 28 28 1"], Float[Array, " n"]]:
    """Turns digits into training windows, and says how far a digit is centred in each.

    Args:
      key: of all that is drawn here.
      digits: `[n, 28, 28]` float32 in 0–1, ink bright; window i has digit i as its subject, or one
        of its background subjects.
      distractors: of `draw_negatives`.
      recipe: the shares of the kinds of background window, the shift, the scale, the neighbours.

    Returns:
      The windows, float32 in 0–1, and of each 1 if it is to be recognised, 0 if it is background,
      or what is between for a near miss.
    """
    keys = iter(jax.random.split(key, 64))
    n = digits.shape[0]
    drawn = _any_of(next(keys), distractors.shapes, n)
    clutter = _any_of(next(keys), distractors.clutter, n)
    clutter = _mirrored(next(keys), clutter)
    noise = jax.random.uniform(next(keys), digits.shape)

    shares = jnp.array((*recipe.background_shares(), recipe.near_misses))
    drawn_kind = jax.random.uniform(next(keys), (n, 1))
    # Not `searchsorted`, which is a loop, and on accelerators many launches.
    kind = jnp.sum(jnp.cumsum(shares)[None] <= drawn_kind, axis=1)
    off_centre, wrong_size, shape, texture, blank, near_miss = (kind == k for k in range(6))

    scale = _log_uniform(next(keys), n, 1 / recipe.scale, recipe.scale)
    nearly = _log_uniform(next(keys), n, *NEARLY)
    small = _log_uniform(next(keys), n, *TOO_SMALL)
    large = _log_uniform(next(keys), n, *TOO_LARGE)
    any_size = _log_uniform(next(keys), n, 0.5, 2.5)
    wrong = jnp.where(jax.random.bernoulli(next(keys), 0.4, (n,)), small, large)
    near = jax.random.uniform(next(keys), (n, 2), minval=-1.0) * recipe.shift
    far = _around(next(keys), n, *(jnp.full(n, limit) for limit in OFF_CENTRE))
    beside = _around(next(keys), n, jnp.zeros(n), jnp.full(n, BESIDE))
    anywhere = jax.random.uniform(next(keys), (n, 2), minval=-10.0, maxval=10.0)
    loose = texture | (shape & jax.random.bernoulli(next(keys), 1 - IN_PLACE, (n,)))
    moved = (loose | (wrong_size & (wrong > 1)))[:, None]
    place = Placement(
        jnp.select([wrong_size, loose, near_miss], [wrong, any_size, nearly], scale),
        jnp.select([off_centre[:, None], near_miss[:, None], moved], [far, beside, anywhere], near),
        _blur(next(keys), n),
    )
    picture = jnp.where(shape[:, None, None], drawn, digits)
    windows = warp_pictures(picture, place, _warp(next(keys), place, recipe))
    windows = jnp.where(blank[:, None, None], 0.0, windows)
    cluttered = jax.random.bernoulli(next(keys), 0.85, (n,))[:, None, None]
    clutter = place_pictures(clutter, _part(next(keys), n))
    texture_windows = jnp.where(cluttered, clutter, _texture(next(keys), noise, place))
    windows = jnp.where(texture[:, None, None], texture_windows, windows)
    # Some windows are crowded and some empty: the mean of u^(1/m − 1) is m.
    mean = recipe.neighbours / NEIGHBOURS
    crowding = jax.random.uniform(next(keys), (n,)) ** (1 / mean - 1 if mean else jnp.inf)
    for number in range(NEIGHBOURS):
        kinds = jax.random.uniform(next(keys), (n,))
        other = jnp.roll(digits, number + 1, axis=0)
        other = jnp.where((kinds < 0.15)[:, None, None], jnp.roll(drawn, number + 1, axis=0), other)
        size = _log_uniform(next(keys), n, *ANY_SIZE)
        size = jnp.where(kinds > 0.5, _log_uniform(next(keys), n, 0.7, 1.4), size)
        around = _around(next(keys), n, NEAREST * jnp.minimum(size, 1 / size), 14.0 + 12.0 * size)
        there = jax.random.bernoulli(next(keys), crowding)
        windows += jnp.where(
            there[:, None, None],
            place_pictures(other, Placement(size, around, _blur(next(keys), n))),
            0.0,
        )
    # Blank paper is of any grey; on some of it, too, something stands at the edge.
    grey = jax.random.uniform(next(keys), (n,))
    grey = jnp.where(blank & jax.random.bernoulli(next(keys), 0.7, (n,)), grey, 0.0)
    windows += grey[:, None, None]
    centred = jnp.select([near_miss, kind == len(shares)], [centredness(place, recipe), 1.0], 0.0)
    return jnp.clip(windows, 0.0, 1.0)[..., None], centred


def centredness(place: Placement, recipe: TrainConfig) -> Float[Array, " n"]:
    """How far a digit is in its place and of its size, 0–1.

    1 within the recipe's shift and scale, 0 where digits are off-centre or of a wrong size, linear
    in px and in the logarithm of the size in between; the product of the two.
    """

    def falling(amount: Float[Array, " n"], one: float, zero: float) -> Float[Array, " n"]:
        return jnp.clip(1 - (amount - one) / max(zero - one, 1e-6), 0.0, 1.0)

    off, size = jnp.abs(place.offset).max(axis=-1), jnp.log(place.scale)
    widest = math.log(recipe.scale)
    return (
        falling(off, float(recipe.shift), OFF_CENTRE[0])
        * falling(size, widest, math.log(TOO_LARGE[0]))
        * falling(-size, widest, -math.log(TOO_SMALL[1]))
    )


def _warp(key: Key[Array, ""], place: Placement, recipe: TrainConfig) -> Warp:
    """Turned, slanted, stretched and bent by up to as much as the recipe says."""
    keys = jax.random.split(key, 4)
    n = place.scale.shape[0]
    turn, slant = jax.random.uniform(keys[0], (2, n, 1, 1), minval=-1.0) * jnp.array(
        [jnp.tan(jnp.deg2rad(recipe.turn)), recipe.slant]
    ).reshape(2, 1, 1, 1)
    stretch = _log_uniform(keys[1], n, 1 / recipe.stretch, recipe.stretch)[:, None, None]
    strength = jax.random.uniform(keys[2], (n, 1, 1)) * recipe.bend
    knots = jax.random.normal(keys[3], (2, n, KNOTS, KNOTS))
    along = (
        jnp.linspace(0, KNOTS - 1, INPUT_SIDE)[:, None] - jnp.arange(KNOTS, dtype=jnp.float32)[None]
    )
    spread = jnp.maximum(0.0, 1 - jnp.abs(along))  # [28, KNOTS]
    bend = strength[None] * jnp.einsum("ik,ankl,jl->anij", spread, knots, spread)
    y, x = (source_coordinates(place, axis) for axis in (0, 1))
    column = pixel_centres()[None, None]
    return Warp(
        y[:, :, None] * stretch - turn * column + bend[0],
        x[:, None] / stretch + (turn + slant) * y[:, :, None] + bend[1],
    )


def _any_of(key: Key[Array, ""], pictures: UInt8[Array | np.ndarray, "m 28 28"], n: int) -> Images:
    chosen = jax.random.randint(key, (n,), 0, len(pictures))
    return jnp.asarray(pictures)[chosen].astype(jnp.float32) / 255


def _mirrored(key: Key[Array, ""], pictures: Images) -> Images:
    """Each picture, or one of its mirror images along the axes and the diagonals."""
    n = pictures.shape[0]
    upside_down, swapped, turned = jax.random.bernoulli(key, shape=(3, n, 1, 1))
    pictures = jnp.where(upside_down, pictures[:, ::-1], pictures)
    pictures = jnp.where(swapped, pictures[:, :, ::-1], pictures)
    return jnp.where(turned, pictures.transpose(0, 2, 1), pictures)


def _part(key: Key[Array, ""], n: int) -> Placement:
    """Of pictures as they are, or a part of them, or moved so far that they end in the window."""
    keys = jax.random.split(key, 3)
    kind = jax.random.uniform(keys[0], (n,))
    scale = jnp.where(kind < 0.4, _log_uniform(keys[1], n, 1.0, 1.6), 1.0)
    # What ends within the window does so as a photograph on black does.
    farthest = jnp.where(kind > 0.7, 10.0, (scale - 1) * INPUT_SIDE / 2)
    offset = farthest[:, None] * jax.random.uniform(keys[2], (n, 2), minval=-1.0)
    return Placement(scale, offset, jnp.ones(n))


def _texture(key: Key[Array, ""], noise: Images, place: Placement) -> Images:
    """Noise, fine or coarse, of any contrast, on a slope of grey."""
    keys = jax.random.split(key, 4)
    n = noise.shape[0]
    coarse = place_pictures(noise, place._replace(scale=_log_uniform(keys[0], n, 1.0, 12.0)))
    slope, grey = jax.random.normal(keys[1], (n, 2)) * 0.02, jax.random.uniform(keys[2], (n,))
    pixel = jnp.arange(INPUT_SIDE, dtype=jnp.float32)[None] - INPUT_SIDE / 2
    ramp = (slope[:, :1] * pixel)[:, :, None] + (slope[:, 1:] * pixel)[:, None, :]
    contrast = _log_uniform(keys[3], n, 0.02, 3.0)[:, None, None]
    return jnp.clip(grey[:, None, None] + ramp + contrast * (coarse - 0.5), 0.0, 1.0)


def _blur(key: Key[Array, ""], n: int) -> Float[Array, " n"]:
    """Digits come in fewer pixels than 28, and are blurred when scaled up to it."""
    keys = jax.random.split(key)
    blurred = jax.random.bernoulli(keys[0], 0.4, (n,))
    return jnp.where(blurred, _log_uniform(keys[1], n, 1.0, BLUR), 1.0)


def _log_uniform(key: Key[Array, ""], n: int, low: float, high: float) -> Float[Array, " n"]:
    return jnp.exp(jax.random.uniform(key, (n,), minval=jnp.log(low), maxval=jnp.log(high)))


def _around(
    key: Key[Array, ""], n: int, low: Float[Array, " n"], high: Float[Array, " n"]
) -> Float[Array, "n 2"]:
    """Points on squares around the centre whose half side is uniform in low – high."""
    keys = jax.random.split(key, 4)
    half = low + (high - low) * jax.random.uniform(keys[0], (n,))
    side = jnp.where(jax.random.bernoulli(keys[1], shape=(n,)), half, -half)
    along = half * jax.random.uniform(keys[2], (n,), minval=-1.0)
    point = jnp.stack([side, along], axis=-1)
    upright: Int[Array, " n"] = jax.random.bernoulli(keys[3], shape=(n,)).astype(jnp.int32)
    return jnp.where(upright[:, None] == 1, point, point[:, ::-1])
