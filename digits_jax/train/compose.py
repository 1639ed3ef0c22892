"""Composes training windows: a digit with what surrounds it, jittered crops, and negatives.

The paper's network is trained on centred digits only, so it is confident of whatever it sees. The
windows composed here teach it the rest, on the device, in this order:

1. Each window is given a kind: a digit, a jittered crop, or one of the six kinds of negative.
2. Its subject is placed and warped (Simard, Steinkraus and Platt, 2003), in one interpolation, so
   that it is blurred only once. The subject is a digit or, in negatives with a shape or a framed
   component, a drawing.
3. In negatives with a texture, clutter or noise replaces the subject.
4. Other digits and drawings are added around the subject. Components are shown alone: most framed
   negatives, and a share of the digits, which are then placed as exactly.
5. Most of the blank negatives are given a grey.

The target of a negative is uniform over the classes, which teaches a low margin without an eleventh
class (the entropic open-set loss of Dhamija, Günther and Boult, 2018). A jittered crop's target
lies between the uniform distribution and its digit's class. Without such crops, the network
confidently takes a part of a digit for another digit.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, UInt8

from digits_jax.images.pixels import uint8_to_float
from digits_jax.train.config import TrainConfig
from digits_jax.train.negatives.draw import NegativePictures
from digits_jax.train.random_warp import (
    Draws,
    log_uniform,
    random_blur,
    random_offset,
    random_offset_on_square,
    random_warp,
)
from digits_jax.train.textures import sample_textures
from digits_jax.train.warp import MIN_SCALE, Images, Placement, place_pictures, warp_pictures

MAX_NEIGHBOURS = 3  # around one subject
NUM_DRAWS = 80  # uniform numbers that are drawn for a window; a few are not used
# Distances are the larger of |y| and |x|, in px; sizes are factors of the size of MNIST's digits.
OFF_CENTRE_PX = (6.0, 20.0)
TOO_SMALL, TOO_LARGE = (MIN_SCALE, 0.62), (1.45, 3.7)
JITTER_SCALE = (0.6, 2.2)
JITTER_PX = 12.0
SMALL_SHARE = 0.4  # of the digits of a wrong size
ANY_SIZE, ANYWHERE_PX = (0.5, 2.5), 10.0  # of shapes and textures
CENTRED_SHAPES = 0.5  # share of the shapes that are placed like digits; the others are anywhere
FRAMED_SCALE, FRAMED_PX = 1.08, 1.0  # how far a component is from its frame's size and centre
ALONE = 0.8  # share of the framed negatives without neighbours
MAX_ERASED = 0.3  # grey, 0–1, up to which the faint edge of an isolated digit is erased
GREY_SHARE = 0.7  # of the blank windows; the others are black
NEIGHBOUR_SIZE = (0.3, 3.5)
NEIGHBOUR_PX = 14.0  # least distance of a neighbour of size 1; others may overlap the subject more


class _Kinds(NamedTuple):
    """Masks of the windows of each kind; every window is of exactly one kind."""

    off_centre: Bool[Array, " n"]
    wrong_size: Bool[Array, " n"]
    shape: Bool[Array, " n"]
    texture: Bool[Array, " n"]
    blank: Bool[Array, " n"]
    framed: Bool[Array, " n"]
    jittered: Bool[Array, " n"]
    digit: Bool[Array, " n"]


def compose_windows(
    key: Key[Array, ""], digits: Images, negatives: NegativePictures, config: TrainConfig
) -> tuple[Float[Array, "n 28 28 1"], Float[Array, " n"]]:
    """Composes a training window from each digit, and computes its target confidence.

    Args:
      key: the source of all randomness.
      digits: `[n, 28, 28]` float32 in 0–1, ink bright. Digit i is the subject of window i, unless
        that becomes a negative without a digit.
      negatives: the pictures of `draw_negatives()`.
      config: the shares of the kinds of window, and the amounts of augmentation.

    Returns:
      The windows, `[n, 28, 28, 1]` float32 in 0–1, and the target confidences `[n]`: 1 for a digit,
      0 for a negative, between 0 and 1 for a jittered crop.
    """
    draws_key, noise_key, warp_key = jax.random.split(key, 3)
    draws = iter(jax.random.uniform(draws_key, (NUM_DRAWS, len(digits))))
    shapes = _sample_pictures(next(draws), negatives.shapes)
    clutter = _mirror_randomly(draws, _sample_pictures(next(draws), negatives.clutter))
    noise = jax.random.uniform(noise_key, digits.shape)
    kinds = _sample_kinds(next(draws), config)
    placement = _sample_placement(draws, kinds, config)
    isolated = kinds.digit & (next(draws) < config.isolated_digits)
    exact = isolated | kinds.framed
    placement = _frame_exactly(draws, placement, exact)

    subject = jnp.where(kinds.shape[:, None, None], shapes, digits)
    subject = _erase_faint_edges(draws, subject, isolated)
    if negatives.framed is not None:
        framed = _sample_pictures(next(draws), negatives.framed)
        subject = jnp.where(kinds.framed[:, None, None], framed, subject)
    windows = warp_pictures(subject, placement, random_warp(warp_key, placement, config))
    windows = jnp.where(kinds.blank[:, None, None], 0.0, windows)
    textures = sample_textures(draws, clutter, noise, placement)
    windows = jnp.where(kinds.texture[:, None, None], textures, windows)
    alone = isolated | (kinds.framed & (next(draws) < ALONE))
    windows = _add_neighbours(draws, windows, digits, shapes, alone, config)
    windows = _add_grey(draws, windows, kinds.blank)

    confidence = jnp.select(
        [kinds.jittered, kinds.digit], [target_confidence(placement, config), 1.0], 0.0
    )
    return jnp.clip(windows, 0.0, 1.0)[..., None], confidence


def target_confidence(placement: Placement, config: TrainConfig) -> Float[Array, " n"]:
    """Returns the confidence, 0–1, with which a digit at this place and size is to be recognised.

    The confidence is the product of two factors. The first is 1 up to `config.translate_px` from
    the centre, 0 from where off-centre negatives begin, and linear between. The second is 1 within
    `config.scale`, 0 from where negatives of a wrong size begin, and linear in the logarithm of the
    size between.

    Args:
      placement: where the digits are, and at which size.
      config: the limits of `translate_px` and `scale`.
    """

    def ramp_down(
        amount: Float[Array, " n"], last_one: float, first_zero: float
    ) -> Float[Array, " n"]:
        return jnp.clip(1 - (amount - last_one) / max(first_zero - last_one, 1e-6), 0.0, 1.0)

    distance, log_size = jnp.abs(placement.offset).max(axis=-1), jnp.log(placement.scale)
    log_scale = math.log(config.scale)
    return (
        ramp_down(distance, float(config.translate_px), OFF_CENTRE_PX[0])
        * ramp_down(log_size, log_scale, math.log(TOO_LARGE[0]))
        * ramp_down(-log_size, log_scale, -math.log(TOO_SMALL[1]))
    )


def _sample_kinds(uniform: Float[Array, " n"], config: TrainConfig) -> _Kinds:
    """Draws the kind of each window by the shares of the configuration."""
    shares = jnp.array((*config.negative_shares(), config.jittered_crops))
    # Not `searchsorted`, which is a loop, and on accelerators many launches.
    kind = jnp.sum(jnp.cumsum(shares)[None] <= uniform[:, None], axis=1)
    return _Kinds(*(kind == k for k in range(len(_Kinds._fields))))


def _sample_placement(draws: Draws, kinds: _Kinds, config: TrainConfig) -> Placement:
    """Draws where each subject goes, and its size and blur, according to the window's kind."""
    digit_scale = log_uniform(next(draws), 1 / config.scale, config.scale)
    jitter_scale = log_uniform(next(draws), *JITTER_SCALE)
    small, large = (log_uniform(next(draws), *sizes) for sizes in (TOO_SMALL, TOO_LARGE))
    any_scale = log_uniform(next(draws), *ANY_SIZE)
    wrong_scale = jnp.where(next(draws) < SMALL_SHARE, small, large)

    centred = random_offset(draws, float(config.translate_px))
    far = random_offset_on_square(draws, *OFF_CENTRE_PX)
    jitter = random_offset_on_square(draws, 0.0, JITTER_PX)
    anywhere = random_offset(draws, ANYWHERE_PX)

    free = kinds.texture | (kinds.shape & (next(draws) > CENTRED_SHAPES))
    is_anywhere = (free | (kinds.wrong_size & (wrong_scale > 1)))[:, None]
    return Placement(
        jnp.select(
            [kinds.wrong_size, free, kinds.jittered],
            [wrong_scale, any_scale, jitter_scale],
            digit_scale,
        ),
        jnp.select(
            [kinds.off_centre[:, None], kinds.jittered[:, None], is_anywhere],
            [far, jitter, anywhere],
            centred,
        ),
        random_blur(draws),
    )


def _frame_exactly(draws: Draws, placement: Placement, exact: Bool[Array, " n"]) -> Placement:
    """Puts some of the subjects nearly where `frame_digit` puts a component, and as large."""
    scale = log_uniform(next(draws), 1 / FRAMED_SCALE, FRAMED_SCALE)
    offset = random_offset(draws, FRAMED_PX)
    return placement._replace(
        scale=jnp.where(exact, scale, placement.scale),
        offset=jnp.where(exact[:, None], offset, placement.offset),
    )


def _erase_faint_edges(draws: Draws, digits: Images, isolated: Bool[Array, " n"]) -> Images:
    """Erases what is fainter than a random grey from half of the isolated digits."""
    erased = isolated & (next(draws) < 0.5)
    grey = jnp.where(erased, MAX_ERASED * next(draws), 0.0)
    return jnp.where(digits < grey[:, None, None], 0.0, digits)


def _add_neighbours(
    draws: Draws,
    windows: Images,
    digits: Images,
    shapes: Images,
    alone: Bool[Array, " n"],
    config: TrainConfig,
) -> Images:
    """Adds up to `MAX_NEIGHBOURS` digits and drawings around each subject that is not alone."""
    # Some windows are crowded and some empty: for uniform u, the mean of u^(1/m − 1) is m.
    mean = config.neighbours / MAX_NEIGHBOURS
    crowding = next(draws) ** (1 / mean - 1 if mean else jnp.inf)
    for number in range(1, MAX_NEIGHBOURS + 1):
        uniform = next(draws)
        is_shape = (uniform < 0.15)[:, None, None]
        other_digits, other_shapes = (jnp.roll(p, number, axis=0) for p in (digits, shapes))
        neighbour = jnp.where(is_shape, other_shapes, other_digits)
        size = log_uniform(next(draws), *NEIGHBOUR_SIZE)
        size = jnp.where(uniform > 0.5, log_uniform(next(draws), 0.7, 1.4), size)
        offset = random_offset_on_square(
            draws, NEIGHBOUR_PX * jnp.minimum(size, 1 / size), 14.0 + 12.0 * size
        )
        present = ((next(draws) < crowding) & ~alone)[:, None, None]
        placement = Placement(size, offset, random_blur(draws))
        windows += jnp.where(present, place_pictures(neighbour, placement), 0.0)
    return windows


def _add_grey(draws: Draws, windows: Images, blank: Bool[Array, " n"]) -> Images:
    """Adds a uniform grey to 70 % of the blank windows, whose neighbours stay visible."""
    is_grey = blank & (next(draws) < GREY_SHARE)
    grey = jnp.where(is_grey, next(draws), 0.0)
    return windows + grey[:, None, None]


def _sample_pictures(
    uniform: Float[Array, " n"], pictures: UInt8[Array | np.ndarray, "m 28 28"]
) -> Images:
    """Draws one of the pictures for each window, with replacement, as float32 in 0–1."""
    rows = jnp.minimum((uniform * len(pictures)).astype(jnp.int32), len(pictures) - 1)
    return uint8_to_float(jnp.asarray(pictures)[rows])


def _mirror_randomly(draws: Draws, pictures: Images) -> Images:
    """Mirrors pictures along the axes and the diagonal, each with probability one half."""
    flip_y, flip_x, swap = ((next(draws) < 0.5)[:, None, None] for _ in range(3))
    pictures = jnp.where(flip_y, pictures[:, ::-1], pictures)
    pictures = jnp.where(flip_x, pictures[:, :, ::-1], pictures)
    return jnp.where(swap, pictures.transpose(0, 2, 1), pictures)
