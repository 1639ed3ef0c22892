"""Takes a screenshot of the page of `digits-jax demo`.

Command:   python -m experiments.figures.demo_screenshot
Hardware:  any, with Chromium and the extra `dev`.
Time:      half a minute on 2 cores.
Result:    experiments/results/demo_page.png, which docs/commands.md shows.
"""

import io
import math
import shutil

import tyro
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from digits_jax.demo.page import build_page, serve
from digits_jax.models.weights import load_pretrained
from digits_jax.runtime.compilation_cache import enable_compilation_cache
from experiments.common.provenance import RESULTS

Stroke = list[tuple[float, float]]


def arc(x: float, y: float, radius_x: float, radius_y: float, start: float, end: float) -> Stroke:
    """Makes a part of an ellipse between two angles, in degrees clockwise from the right."""
    angles = [math.radians(start + (end - start) * i / 24) for i in range(25)]
    return [(x + radius_x * math.cos(a), y + radius_y * math.sin(a)) for a in angles]


# Coordinates are fractions of the side of the drawing pad.
STROKES: list[Stroke] = [
    [*arc(0.2, 0.2, 0.1, 0.09, -170, 40), (0.1, 0.42), (0.31, 0.42)],  # 2
    arc(0.5, 0.28, 0.1, 0.14, -90, 270),  # 0
    [(0.71, 0.14), (0.9, 0.14), (0.78, 0.42)],  # 7
    [*arc(0.24, 0.64, 0.11, 0.08, -150, 90), *arc(0.24, 0.81, 0.13, 0.09, -90, 150)],  # 3
    [(0.62, 0.58), (0.55, 0.77), (0.8, 0.77)],  # 4
    [(0.74, 0.64), (0.7, 0.92)],
]


def main(port: int = 7861) -> None:
    """Draws digits on the page in Chromium and takes a screenshot.

    Args:
        port: Port of the page.
    """
    enable_compilation_cache()
    page = build_page(load_pretrained())
    address = serve(page, port)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        tab = browser.new_page(viewport={"width": 1100, "height": 900})
        tab.goto(address)
        for stroke in STROKES:
            draw(tab, stroke)
        tab.get_by_text("5 digits in drawing").wait_for(timeout=600_000)
        tab.wait_for_timeout(2000)  # until the picture has loaded
        screenshot = Image.open(io.BytesIO(tab.screenshot()))
        screenshot.convert("RGB").quantize(64).save(RESULTS / "demo_page.png", optimize=True)
        browser.close()
    page.close()


def draw(tab: Page, stroke: Stroke) -> None:
    """Draws a stroke on the drawing pad with the mouse."""
    pad = tab.get_by_label("drawing pad")
    pad.hover()  # waits until the page does not move any more
    box = pad.bounding_box()
    assert box is not None
    for k, (x, y) in enumerate(stroke):
        tab.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if k == 0:
            tab.mouse.down()
    tab.mouse.up()


if __name__ == "__main__":
    tyro.cli(main)
