"""Photo normalisation: ink of any colour on paper of any colour becomes bright ink on black."""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32, Int32, Int64, Integer, UInt8, UInt16

# px between the samples of local medians: this in pictures of 105 to 359 px, less in smaller ones,
# and in larger ones in proportion, so that a picture's size does not change what is ink
BACKGROUND_STEP_PX = 5
SIDE_PER_STEP = 60  # px of a larger picture's shorter side for each px of the step
BACKGROUND_RADIUS = 10  # samples to each side: 105 px in all, of which ink fills less than half
WIDE_BACKGROUND_RADIUS = 20  # samples to each side where ink covers more than half of those
OTHER_PAPER_LEVELS = 40  # of 255: there the wide window's paper differs by that much
OTHER_NOISE_LEVELS = 9  # of 255: or its noise is that much lower, which is 40 levels of ink
NOISE_TOLERANCE = 1  # grey levels of noise that the wide window may have more
NOISE_SIGMAS = 3.0  # differences of fewer standard deviations of the paper's noise are not ink
MIN_CONTRAST_RANGE = 0.25  # of full light: the least divisor, which limits the amplification
STRONGEST_PIXELS = 60  # pixels of ink that set the contrast: about as many as a small digit has
WHITE_QUANTILE = 0.8  # quantile of strong ink that becomes white
MIN_WHITE_CONTRAST = 0.12  # the faintest contrast that becomes white
MAX_BLACK_LEVEL = 8  # of 255: brighter paper is not black
MIDDLE = np.float32(127.5)  # grey levels: what a negative leaves as it is
FULL = 65535  # the share of 1, before the contrast is scaled up
STRIP_VALUES = 2**16  # values that are computed at a time: they fit into a processor's cache


def normalise(image: UInt8[np.ndarray, "h w *channels"]) -> UInt8[np.ndarray, "h w"]:
    """Turns dark ink on light paper, or light ink on dark paper, into bright ink on black.

    Light may fall unevenly, so the paper p of a pixel x is the median of its surroundings. Ink is
    the difference from the paper, as a share of the largest possible difference. This share is the
    same in any light:

    y = max over channels of (|x − p| − 3 g) / (1 − p) where x > p, and of (|x − p| − 3 g) / p
    elsewhere

    with the local noise g = 1.48 median |x − p|. A negative y becomes 0, and a divisor below 0.25
    becomes 0.25. The contrast of the ink is then scaled up to the full range.

    The surroundings are 105 px a side in a picture of 300 px, and 35 % of the shorter side in
    larger ones. Where surroundings twice as wide have another median or far less noise in any
    channel, and no more noise in all, these count: thick strokes cover half of the narrow ones.

    Digits on black, like MNIST's, change by a few grey levels at most, if ink covers less than half
    of their surroundings. A negative has exactly the same ink.

    Args:
      image: `[h, w]` or `[h, w, c]` uint8.

    Returns:
      `[h, w]` uint8, 0 paper, 255 ink.
    """
    height, width = image.shape[:2]
    pixels = _distinct_channels(image.reshape(height, width, -1))
    grid = sample_grid(height, width)
    background = estimate_background(pixels[grid.rows, grid.columns], grid)
    ink = ink_shares(pixels, 0, background)
    return to_ink(ink, white_level(*_level_counts(ink), ink.size))


def is_ink_on_black(image: UInt8[np.ndarray, "h w *channels"]) -> bool:
    """Returns whether at least half of an image is nearly black, as it is around MNIST's digits.

    Args:
      image: `[h, w]` or `[h, w, c]` uint8.
    """
    channels = image.reshape(*image.shape[:2], -1)
    black = channels[..., 0] <= MAX_BLACK_LEVEL
    for c in range(1, channels.shape[2]):
        black &= channels[..., c] <= MAX_BLACK_LEVEL
    return bool(2 * np.count_nonzero(black) >= black.size)


def _distinct_channels(image: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w d"]:
    """Returns an image of one channel if all are equal, as those of a grey photograph are."""
    others = range(1, image.shape[2])
    equal = all(np.array_equal(image[..., 0], image[..., c]) for c in others)
    return np.ascontiguousarray(image[..., :1] if equal else image)


class SampleGrid(NamedTuple):
    """Where an image is sampled to estimate its paper."""

    step: int  # px from one sample to the next
    height: int  # px of the image
    width: int

    @property
    def rows(self) -> slice:
        """The rows of samples."""
        return slice(self.step // 2, self.height, self.step)

    @property
    def columns(self) -> slice:
        """The columns of samples."""
        return slice(self.step // 2, self.width, self.step)


class Background(NamedTuple):
    """The paper of an image: for each row of samples, the values of all columns and channels."""

    paper: Float32[np.ndarray, "n wc"]  # grey levels less 127.5: a negative changes signs alone
    limit: Float32[np.ndarray, "n wc"]  # grey levels: 3 g
    grid: SampleGrid


def sample_grid(height: int, width: int) -> SampleGrid:
    """Returns where an image of this size is sampled."""
    return SampleGrid(_sample_step_px(min(height, width)), height, width)


def estimate_background(samples: UInt8[np.ndarray, "n m c"], grid: SampleGrid) -> Background:
    """Estimates the paper p and the limit 3 g of every pixel from the samples of a whole image.

    Args:
      samples: the pixels at the grid's rows and columns, with their channels.
      grid: as `sample_grid` returns it.
    """
    paper, noise = _paper_and_noise(samples.astype(np.int32))
    sigmas = np.float32(NOISE_SIGMAS * 1.4826)  # 1.4826: of Gaussian noise
    return Background(
        _interpolate_columns(paper.astype(np.float32) - MIDDLE, grid.step, grid.width),
        _interpolate_columns(noise.astype(np.float32) * sigmas, grid.step, grid.width),
        grid,
    )


def ink_shares(
    pixels: UInt8[np.ndarray, "h w c"], top: int, background: Background
) -> UInt16[np.ndarray, "h w"]:
    """Returns y · 65535 of some rows of an image, a few at a time: no array of floats is as large.

    Args:
      pixels: the rows.
      top: the first of them, counted from the image's first row, px.
      background: that of the whole image.
    """
    height, width, channels = pixels.shape
    step = background.grid.step
    first = step // 2
    values = pixels.reshape(height, -1)
    ink = np.empty((height, width), np.uint16)
    # The first row of samples lies above the image, and each begins a block of `step` rows.
    begin, end = ((row - first) // step + 1 for row in (top, top + height - 1))
    count = max(STRIP_VALUES // (step * width * channels), 1)  # blocks in a strip
    for k in range(begin, end + 1, count):
        stop_block = min(k + count, end + 1)
        block_top = first + (k - 1) * step
        start, stop = max(block_top, top), min(first + (stop_block - 1) * step, top + height)
        rows = slice(start - block_top, stop - block_top)
        share = _share(
            values[start - top : stop - top],
            _interpolate(background.paper[k : stop_block + 1], step)[rows],
            _interpolate(background.limit[k : stop_block + 1], step)[rows],
        )
        levels = (FULL * share + np.float32(0.5)).astype(np.uint16)
        strip = ink[start - top : stop - top]
        strip[:] = levels[:, ::channels]
        for c in range(1, channels):
            np.maximum(strip, levels[:, c::channels], out=strip)
    return ink


def to_ink(ink: UInt16[np.ndarray, "h w"], white: float) -> UInt8[np.ndarray, "h w"]:
    """Scales shares of `ink_shares` so that the level `white` becomes 255."""
    return np.asarray(cv2.convertScaleAbs(ink, alpha=255 / white))


def _share(
    pixels: UInt8[np.ndarray, "h n"],
    paper: Float32[np.ndarray, "h n"],
    limit: Float32[np.ndarray, "h n"],
) -> Float32[np.ndarray, "h n"]:
    """Returns y of each value.

    Args:
      pixels: grey levels.
      paper: grey levels less 127.5. A negative then changes signs alone, and no rounding.
      limit: 3 g, grey levels.
    """
    difference = pixels - MIDDLE
    difference -= paper
    possible = np.copysign(np.float32(1), difference)
    possible *= paper
    np.subtract(MIDDLE, possible, out=possible)
    np.maximum(possible, np.float32(255 * MIN_CONTRAST_RANGE), out=possible)
    share = np.abs(difference, out=difference)
    share -= limit
    np.maximum(share, np.float32(0), out=share)
    share /= possible
    return share


def _sample_step_px(shorter_side: int) -> int:
    """Returns an odd step: a pixel lies in the middle of it."""
    large = 2 * (shorter_side // (2 * SIDE_PER_STEP)) + 1
    covering = -(-shorter_side // (2 * BACKGROUND_RADIUS + 1))  # one window covers small images
    return min(2 * (covering // 2) + 1, max(BACKGROUND_STEP_PX, large))


def _paper_and_noise(
    samples: Int32[np.ndarray, "n m c"],
) -> tuple[Int32[np.ndarray, "n+2 m+2 c"], Int32[np.ndarray, "n+2 m+2 c"]]:
    """Returns the paper's grey levels and median |x − p|, with a rim of one more sample.

    They are those of the wide window where its paper is another or much less noisy, and no noisier
    in any channel: what covers about half of the narrow one is ink then, and not a shadow.
    """
    paper, noise = _paper_and_noise_within(samples, BACKGROUND_RADIUS)
    wide_paper, wide_noise = _paper_and_noise_within(samples, WIDE_BACKGROUND_RADIUS)
    is_quiet = (wide_noise <= noise + NOISE_TOLERANCE).all(axis=2, keepdims=True)
    is_other = np.abs(wide_paper - paper) >= OTHER_PAPER_LEVELS
    is_other |= noise - wide_noise >= OTHER_NOISE_LEVELS
    is_covered = is_quiet & is_other.any(axis=2, keepdims=True)
    paper, noise = np.where(is_covered, [wide_paper, wide_noise], [paper, noise])
    return _pad(paper, 1), np.maximum(_pad(noise, 1), 0)


def _paper_and_noise_within(
    samples: Int32[np.ndarray, "n m c"], radius: int
) -> tuple[Int32[np.ndarray, "n m c"], Int32[np.ndarray, "n m c"]]:
    paper = _local_median(samples, radius)
    return paper, _local_median(np.abs(samples - paper), radius)


def _local_median(samples: Int32[np.ndarray, "n m c"], radius: int) -> Int32[np.ndarray, "n m c"]:
    """Returns the median around each sample. Those below 0 become 0, those above 255 become 255."""
    # To clip the values does not move a median that is between 0 and 255.
    levels = _pad(samples, radius).clip(0, 255).astype(np.uint8)
    medians = [
        cv2.medianBlur(np.ascontiguousarray(levels[..., c]), 2 * radius + 1)
        for c in range(samples.shape[2])
    ]
    return np.stack(medians, axis=2)[radius:-radius, radius:-radius].astype(np.int32)


def _pad(samples: Int32[np.ndarray, "n m c"], count: int) -> Int32[np.ndarray, "_ _ c"]:
    """Adds samples by odd reflection, which continues a slope of the light beyond the border."""
    pads = ((count, count), (count, count), (0, 0))
    return np.pad(samples, pads, "reflect", reflect_type="odd")


def _interpolate_columns(
    samples: Float32[np.ndarray, "n m c"], step: int, width: int
) -> Float32[np.ndarray, "n _"]:
    """Returns rows of samples with a value for each column and channel of the image."""
    start = step - step // 2  # from the sample on the left of the image to the first column
    columns = _interpolate(samples.swapaxes(0, 1), step)[start : start + width]
    return columns.swapaxes(0, 1).reshape(len(samples), -1)


def _interpolate(
    samples: Float32[np.ndarray, "n *rest"], step: int
) -> Float32[np.ndarray, "_ *rest"]:
    """Interpolates linearly: `step` values from each sample to the next, the last left out."""
    weights = np.arange(step, dtype=np.float32) / np.float32(step)
    weights = weights.reshape(-1, *[1] * (samples.ndim - 1))
    values = samples[:-1, None] + weights * np.diff(samples, axis=0)[:, None]
    return values.reshape(-1, *samples.shape[1:])


def _level_counts(
    ink: UInt16[np.ndarray, "h w"],
) -> tuple[UInt16[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    # A histogram of all levels takes far longer on small images.
    return np.unique(ink[ink > 0], return_counts=True)


def white_level(
    levels: Integer[np.ndarray, " n"], counts: Integer[np.ndarray, " n"], total: int
) -> float:
    """Returns the level, of 65535, that becomes white.

    Args:
      levels: the levels of ink in a whole image, each once, ascending, without 0.
      counts: how many pixels have each of them.
      total: how many pixels the image has.
    """
    if not len(levels):
        return float(FULL)
    ends = np.cumsum(counts)
    inked = int(ends[-1])
    blank = total - inked

    def level_at(rank: int) -> int:
        """Returns the level of the pixel of that rank, from 0, the faintest."""
        return int(levels[np.searchsorted(ends, rank - blank, "right")]) if rank >= blank else 0

    # A thin line or a speck has fewer pixels than that: its stronger half sets the contrast.
    strong = level_at(total - min(STRONGEST_PIXELS, max(inked // 2, 1)))
    # How many pixels have less than half of that.
    fainter = int(np.searchsorted(levels, (strong + 1) // 2))
    weak_count = blank + (int(ends[fainter - 1]) if fainter else 0)
    rank, fraction = divmod(weak_count + WHITE_QUANTILE * (total - 1 - weak_count), 1)
    low, high = (level_at(min(int(rank) + k, total - 1)) for k in range(2))
    return max(low + fraction * (high - low), MIN_WHITE_CONTRAST * FULL)
