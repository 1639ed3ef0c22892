"""Pages of numbers: real digits with drawn signs between them."""

from collections.abc import Sequence

import cv2
import numpy as np
from clear_digits import ClearDigits

HEIGHT, BASELINE = 40, 100  # px of the digits, and the row below them
GAP = 10  # px between neighbours


class NumberPage:
    """A line that is written from left to right, bright on black."""

    def __init__(self, width: int = 700, slash_overhang: int = 6) -> None:
        self.image = np.zeros((160, width), np.uint8)
        self.x = 60
        self.slash_overhang = slash_overhang  # px above the digits and below
        self.digit_boxes: list[tuple[int, int, int, int]] = []

    def digit(self, ink: np.ndarray) -> None:
        """Writes a digit on the baseline."""
        height, width = ink.shape
        top = BASELINE - height
        self.image[top:BASELINE, self.x : self.x + width] = ink
        self.digit_boxes.append((self.x, top, self.x + width, BASELINE))
        self.x += width + GAP

    def sign(self, text: str) -> None:
        """Draws a sign with a pen of 5 px."""
        x, middle = self.x, BASELINE - HEIGHT // 2
        if text == "-":
            self._stroke((x, middle), (x + 18, middle))
            width = 18
        elif text == "/":
            over = self.slash_overhang
            self._stroke((x, BASELINE + over), (x + 18, BASELINE - HEIGHT - over))
            width = 18
        elif text == ",":
            self._stroke((x + 5, BASELINE - 3), (x, BASELINE + 8))
            width = 8
        elif text == ".":
            self._dot(x, BASELINE - 6)
            width = 6
        elif text == ":":
            self._dot(x, BASELINE - 8)
            self._dot(x, BASELINE - 28)
            width = 6
        else:
            width = 2 * HEIGHT  # a space
        self.x += width + GAP

    def _stroke(self, begin: tuple[int, int], end: tuple[int, int]) -> None:
        cv2.line(self.image, begin, end, 255, 5)

    def _dot(self, x: int, y: int) -> None:
        self.image[y : y + 6, x : x + 6] = 255


def write(
    text: str, clear_digits: ClearDigits, *, first: int = 0, slash_overhang: int = 6
) -> NumberPage:
    """Returns a page with a text of real digits, each 40 px high, and drawn signs.

    Args:
      text: digits, signs and spaces.
      clear_digits: chooses the digits.
      first: how many digits of the data are left out.
      slash_overhang: how far slashes reach above the digits and below, px.
    """
    page = NumberPage(slash_overhang=slash_overhang)
    for character in text:
        if character.isdigit():
            (digit,) = clear_digits.of_sides([HEIGHT], label=int(character), first=first)
            page.digit(digit.ink)
        else:
            page.sign(character)
    return page


def strokes(text: str) -> tuple[NumberPage, np.ndarray]:
    """Returns a page whose digits are rectangles of 24×40 px, and their boxes."""
    page = NumberPage()
    for character in text:
        if character.isdigit():
            page.digit(np.full((HEIGHT, 24), 255, np.uint8))
        else:
            page.sign(character)
    return page, np.array(page.digit_boxes)


def labels_of(texts: Sequence[str]) -> list[int]:
    """Returns the digits of texts."""
    return [int(c) for text in texts for c in text if c.isdigit()]
