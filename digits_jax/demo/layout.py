"""The components of the page, and their layout."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from digits_jax.demo import drawing_pad
from digits_jax.demo.session import (
    MAX_MAP_DIGIT_PX,
    MAX_MAP_SIDE_PX,
    SEARCH_MIN_SCORE,
    SIZE_RANGES,
    format_range,
)
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.models.cnn import INPUT_SIDE

ANY_SIZE = -1  # the choice of all sizes that the detector searches for

INTRODUCTION = """# digits_jax
Draw digits, upload a picture, or choose an example. Pictures may have any size, and digits any
height from 9 px up. The first search takes some seconds more than the next ones."""
SIZES_INFO = "1.4 times a digit's height. Digits of other sizes are left out."
NORMALISE_INFO = "Accept ink of any colour on any paper; otherwise only bright ink on black."
MAPS_INFO = f"""The network's output for each 28×28 window of the ink. The ink is scaled so that
digits of this size fit the window, but not to more than {MAX_MAP_SIDE_PX:,} px a side: in large
pictures, small digits are too small for the window. The size starts at that of the best detection.
Red is high."""


class Layout(NamedTuple):
    """The page's components that take part in an event."""

    result: Any  # gr.State, a SearchResult or None
    drawing: Any
    file: Any
    examples: Any
    sizes: Any
    normalised: Any
    min_score: Any
    boxes: Any
    sentence: Any
    json: Any
    map_size: Any
    map_button: Any
    maps: Any


def build_layout(examples: Sequence[Path]) -> Layout:
    """Adds the components to the page that is being built.

    Args:
      examples: image files to choose from; without any, there is no tab for them.
    """
    gr.Markdown(INTRODUCTION)
    result = gr.State()
    with gr.Row():
        with gr.Column():
            drawing, file, gallery = _input_tabs(examples)
            sizes, normalised = _search_options()
        with gr.Column():
            min_score, boxes, sentence, json = _detections()
    with gr.Accordion("Maps", open=False):
        map_size, map_button, maps = _maps()
    return Layout(
        result,
        drawing,
        file,
        gallery,
        sizes,
        normalised,
        min_score,
        boxes,
        sentence,
        json,
        map_size,
        map_button,
        maps,
    )


def _input_tabs(examples: Sequence[Path]) -> tuple[Any, Any, Any]:
    """Adds the drawing pad, the upload and the gallery of examples."""
    with gr.Tab("Draw"):
        drawing = gr.HTML(
            html_template=drawing_pad.html(),
            css_template=drawing_pad.css(),
            js_on_load=drawing_pad.javascript(),
            elem_id="drawing-pad",
        )
    with gr.Tab("Picture"):
        file = gr.File(show_label=False, elem_id="file")
    with gr.Tab("Examples", visible=bool(examples)):
        gallery = gr.Gallery(
            examples,
            show_label=False,
            allow_preview=False,
            interactive=False,
            buttons=[],
            elem_id="examples",
        )
    return drawing, file, gallery


def _search_options() -> tuple[Any, Any]:
    """Adds the sizes of the digits, and whether the picture is normalised."""
    ranges = [(format_range(sizes), k) for k, sizes in enumerate(SIZE_RANGES)]
    sizes = gr.Radio(
        [("any", ANY_SIZE), *ranges],
        value=ANY_SIZE,
        label="Sizes of the digits",
        info=SIZES_INFO,
    )
    normalised = gr.Checkbox(True, label="Normalise", info=NORMALISE_INFO)
    return sizes, normalised


def _detections() -> tuple[Any, Any, Any, Any]:
    """Adds the threshold, the picture with boxes, the sentence and the JSON object."""
    min_score = gr.Slider(
        SEARCH_MIN_SCORE, 1, DEFAULT_CONFIG.min_score, step=0.01, label="Lowest score"
    )
    boxes = gr.Image(show_label=False, format="png", buttons=["fullscreen"])
    sentence = gr.Markdown(elem_id="sentence")
    with gr.Accordion("JSON", open=False):
        json = gr.JSON(show_label=False, open=True, elem_id="json")
    return min_score, boxes, sentence, json


def _maps() -> tuple[Any, Any, Any]:
    """Adds the size of the digits, the button and the gallery of the maps."""
    gr.Markdown(MAPS_INFO)
    with gr.Row():
        size = gr.Slider(
            DEFAULT_CONFIG.min_size,
            MAX_MAP_DIGIT_PX,
            INPUT_SIDE,
            step=1,
            label="Size of the digits, px",
        )
        button = gr.Button("Draw the maps")
    gallery = gr.Gallery(
        show_label=False,
        columns=4,
        interactive=False,
        height="auto",
        format="png",
        elem_id="maps",
    )
    return size, button, gallery
