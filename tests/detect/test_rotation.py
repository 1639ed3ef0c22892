"""Turned pages: the geometry of boxes, and the choice among the turns."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_results import digits

from digits_jax.detect.rotation import (
    TURNS,
    choose_turns,
    evidence,
    turn_boxes_back,
    turn_detections_back,
    turn_each,
    turn_result_back,
)


@given(st.sampled_from(TURNS), st.integers(0, 2**32 - 1))
def test_a_box_of_the_turned_page_holds_the_same_ink_on_the_page_as_given(
    turn: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    page = rng.integers(0, 256, rng.integers(2, 9, 2)).astype(np.uint8)
    ((_, turned),) = turn_each([("page", page)], [turn])
    height, width = turned.shape
    x0, y0 = int(rng.integers(width)), int(rng.integers(height))
    x1, y1 = int(rng.integers(x0 + 1, width + 1)), int(rng.integers(y0 + 1, height + 1))
    box = turn_boxes_back(np.array([[x0, y0, x1, y1]]), turn, turned.shape)
    left, top, right, bottom = box[0].tolist()
    np.testing.assert_array_equal(
        np.rot90(page[top:bottom, left:right], -turn // 90), turned[y0:y1, x0:x1]
    )


def test_a_page_is_turned_clockwise() -> None:
    page = np.array([[1, 2], [3, 4]], np.uint8)
    ((name, turned),) = turn_each([("page", page)], [90])
    assert name == ("page", 90)
    np.testing.assert_array_equal(turned, [[3, 1], [4, 2]])
    assert turned.flags.c_contiguous


def test_what_is_no_array_is_not_turned() -> None:
    pages: list[tuple[str, Any]] = [("a", "large"), ("b", np.zeros((2, 3), np.uint8))]
    names = [name for name, _ in turn_each(pages, TURNS)]
    assert names == [("a", 0), ("b", 0), ("b", 90), ("b", 180), ("b", 270)]


def test_the_turn_of_the_surest_digits_is_chosen() -> None:
    page = np.zeros((40, 50), np.uint8)
    scores = [[0.9] * 5, [0.995, 0.99], [0.98] * 4, [0.999]]
    boxes = [np.tile([1, 2, 13, 24], (len(own), 1)) for own in scores]
    found = [digits(b, [1] * len(own), own) for b, own in zip(boxes, scores, strict=True)]
    outcomes = zip(TURNS, found, strict=True)
    searched: list[Any] = [(("a", turn), (page, own)) for turn, own in outcomes]
    searched.insert(0, (("error", 0), ValueError("unreadable")))
    chosen = list(choose_turns(searched, TURNS))
    assert [(name, turn) for name, turn, _ in chosen] == [("error", 0), ("a", 90)]
    assert chosen[1][2][1] is found[1]


def test_without_sure_digits_all_scores_count_and_a_blank_page_stays() -> None:
    assert evidence(np.array([0.9, 0.8])) > evidence(np.array([0.95]))
    assert evidence(np.array([0.99])) > evidence(np.array([0.9, 0.98, 0.98]))
    blank = np.zeros((4, 4), np.uint8)
    none = digits(np.zeros((0, 4)), [], [])
    ((_, turn, _),) = choose_turns([(("a", t), (blank, none)) for t in TURNS], TURNS)
    assert turn == 0


@pytest.mark.parametrize(
    ("turn", "box", "size"),
    [
        (0, [1, 2, 13, 24], (50, 40)),
        (90, [2, 37, 24, 49], (40, 50)),  # y0, width − x1, y1, width − x0
        (180, [37, 16, 49, 38], (50, 40)),
        (270, [16, 1, 38, 13], (40, 50)),  # height − y1, x0, height − y0, x1
    ],
)
def test_results_are_turned_back(turn: int, box: list[int], size: tuple[int, int]) -> None:
    own = {"box": [1, 2, 13, 24], "score": 0.5}
    result = {
        "image": "a.png", "width": 50, "height": 40, "detections": [own],
        "numbers": [{**own, "digits": [0, 1, 2, 3]}], "regions": {"box": own}, "grid": None,
    }  # fmt: skip
    back = turn_result_back(result, turn)
    assert (back["width"], back["height"], back["rotation"]) == (*size, turn)
    assert back["detections"] == [{"box": box, "score": 0.5}]
    assert back["numbers"] == [{"box": box, "score": 0.5, "digits": [0, 1, 2, 3]}]
    assert back["regions"] == {"box": {"box": box, "score": 0.5}}
    one = digits([[1, 2, 13, 24]], [5], [0.5])
    turned = turn_detections_back(one, turn, (40, 50))
    assert turned.boxes_xyxy.tolist() == turned.windows_xyxy.tolist() == [box]
