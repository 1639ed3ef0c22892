"""The drawing pad of the page: its HTML, CSS and JavaScript, and the drawing that it returns.

HTML, CSS and JavaScript are the templates of a `gradio.HTML` component. Its value is the drawing as
a PNG in a data URL, set when a stroke ends. The value is the empty string after the pad is cleared.
"""

import base64
from importlib import resources
from string import Template

PAD_SIDE_PX = 240  # so small that most of the 100 px around a stroke are no ink
STROKE_WIDTH_PX = 12


def html() -> str:
    """Returns the HTML of the pad: a square canvas and a button that clears it."""
    return Template(_read("drawing_pad.html")).substitute(
        side=PAD_SIDE_PX, stroke_width=STROKE_WIDTH_PX
    )


def css() -> str:
    """Returns the style of the pad."""
    return _read("drawing_pad.css")


def javascript() -> str:
    """Returns the script that draws, and that sets the component's value."""
    return _read("drawing_pad.js")


def decode_drawing(data_url: str) -> bytes:
    """Returns the PNG file that a data URL holds: white ink on black."""
    return base64.b64decode(data_url.partition(",")[2])


def _read(name: str) -> str:
    return (resources.files("digits_jax.demo") / name).read_text(encoding="utf-8")
