"""The components of the page, and their layout."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from digits_jax.demo import drawing_pad
from digits_jax.demo.session import MAX_SIDE_PX, SEARCH_MIN_SCORE, SIZE_RANGES
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.models.cnn import INPUT_SIDE

AUTOMATIC_SIZES = -1  # the choice of sizes that suit the picture

INTRODUCTION = f"""# digits_jax
Draw digits, about a quarter as high as the pad, upload a picture, or choose an example. Pictures
of more than {MAX_SIDE_PX} px a side are scaled down to that. On a CPU they take a minute; small
pictures take seconds."""
NORMALISE_INFO = "Accept ink of any colour on any paper; otherwise only bright ink on black."
MAPS_INFO = """The network's output for each 28×28 window of the ink. The ink is scaled so that
digits of this size fit the window. The size starts at that of the best detection. Red is high."""


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
    ranges = [(f"{low:g}–{high:g} px", k) for k, (low, high) in enumerate(SIZE_RANGES)]
    sizes = gr.Radio(
        [("automatic", AUTOMATIC_SIZES), *ranges],
        value=AUTOMATIC_SIZES,
        label="Sizes of the digits",
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
            max(SIZE_RANGES)[1],
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
