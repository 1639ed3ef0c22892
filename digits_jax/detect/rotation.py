"""Pages on their side or upside down: turned to be read, and their results turned back.

Upside down, 0, 1 and 8 are read as surely as upright, and 6 and 9 as each other; most of the other
digits are read less surely, or not at all. So the turn is told by the digits that are read surely.

A turn is how far a page is turned clockwise before it is searched: 0, 90, 180 or 270 degrees.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, Num

from digits_jax.detect.detections import Detections

TURNS = (0, 90, 180, 270)
SURE_SCORE = 0.99  # measured on pages in all turns (experiments/studies/page_rotation.py)
Name = TypeVar("Name")
Page = TypeVar("Page")
Outcome = TypeVar("Outcome")


def turn_each(
    pages: Iterable[tuple[Name, Page]], turns: Sequence[int]
) -> Iterator[tuple[tuple[Name, int], Page]]:
    """Yields each page turned by each of the turns; what is no array is yielded once, by 0."""
    turned: Any
    for name, page in pages:
        if not isinstance(page, np.ndarray):
            yield (name, 0), page
            continue
        for turn in turns:
            turned = np.ascontiguousarray(np.rot90(page, -turn // 90))
            yield (name, turn), turned


def choose_turns(
    searched: Iterable[tuple[tuple[Name, int], Outcome]], turns: Sequence[int]
) -> Iterator[tuple[Name, int, Outcome]]:
    """Yields each page with the turn in which it reads best, and what was found in it.

    Args:
      searched: the outcomes of what `turn_each` yields, in order: an array and its detections, or
        anything else.
      turns: those of `turn_each`.
    """
    stream = iter(searched)
    for (name, turn), outcome in stream:
        is_page = isinstance(outcome, tuple) and isinstance(outcome[0], np.ndarray)
        if not is_page:
            yield name, turn, outcome
            continue
        tried = [(turn, outcome)]
        for _ in turns[1:]:
            (_, turn), outcome = next(stream)
            tried.append((turn, outcome))
        turn, outcome = max(tried, key=lambda pair: evidence(pair[1][1].scores))  # type: ignore[index]
        yield name, turn, outcome


def evidence(scores: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Returns how much speaks for a page being upright: the larger, the more.

    It is the sum of the scores of sure digits; that of all scores decides where these are equal.

    Args:
      scores: of the digits that are read in it, 0–1.
    """
    return float(scores[scores >= SURE_SCORE].sum()), float(scores.sum())


def turn_boxes_back(
    boxes_xyxy: Num[np.ndarray, "n 4"], turn: int, shape: tuple[int, int]
) -> Num[np.ndarray, "n 4"]:
    """Returns boxes of a turned page as boxes of the page as given.

    Args:
      boxes_xyxy: px of the turned page.
      turn: how far it was turned clockwise, degrees.
      shape: height and width of the turned page, px.
    """
    height, width = shape
    x0, y0, x1, y1 = boxes_xyxy.T
    columns = {
        0: (x0, y0, x1, y1),
        90: (y0, width - x1, y1, width - x0),
        180: (width - x1, height - y1, width - x0, height - y0),
        270: (height - y1, x0, height - y0, x1),
    }
    return np.stack(columns[turn], axis=1)


def turn_detections_back(detections: Detections, turn: int, shape: tuple[int, int]) -> Detections:
    """Returns the detections of a turned page with boxes and windows of the page as given."""
    boxes, windows = detections.boxes_xyxy, detections.windows_xyxy
    return detections._replace(
        boxes_xyxy=turn_boxes_back(boxes, turn, shape),
        windows_xyxy=turn_boxes_back(windows, turn, shape),
    )


def turn_result_back(result: dict[str, Any], turn: int) -> dict[str, Any]:
    """Returns the JSON object of a turned page with the size and the boxes of the page as given."""
    shape = result["height"], result["width"]

    def turned(value: Any, key: str = "") -> Any:
        if key == "box" and isinstance(value, list):
            return turn_boxes_back(np.array([value]), turn, shape)[0].tolist()
        if isinstance(value, dict):
            return {name: turned(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [turned(inner) for inner in value]
        return value

    back: dict[str, Any] = turned(result)
    if turn in (90, 270):
        back["height"], back["width"] = result["width"], result["height"]
    back["rotation"] = turn
    return back
