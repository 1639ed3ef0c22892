"""The page of `digits-jax demo`: its parts, and itself in a browser."""

import io
import json
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from digits_jax.cli.main import main
from digits_jax.data.mnist import Mnist
from digits_jax.demo import drawing_pad as board
from digits_jax.demo import session as picture
from digits_jax.demo.page import build_page, serve
from digits_jax.demo.session import (
    LARGE_SIZES,
    SMALL_SIZES,
    InputPicture,
    SearchResult,
    maps,
    opened,
    search,
    show,
    surest_size,
)
from digits_jax.detect.detector import MAX_DETECTIONS, MIN_SCORE, Detections
from digits_jax.detect.inputs import SURER
from digits_jax.detect.visualize import overlay_map
from digits_jax.images.normalise import normalise
from digits_jax.images.read import read_image
from digits_jax.models.cnn import Params
from digits_jax.models.weights import load_pretrained
from digits_jax.runtime.compilation_cache import enable_compilation_cache

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 300_000  # ms; searches take a second, but compile first
HOSTS: list[str] = []  # that this process has asked for, or connected to


def _note_host(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo" and arguments[0]:
        HOSTS.append(str(arguments[0]))
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        HOSTS.append(arguments[1][0])


@pytest.fixture(scope="module")
def params() -> Params:
    return load_pretrained()


def saved(path: Path, image: np.ndarray) -> Path:
    Image.fromarray(image).save(path)
    return path


def searched_with(scores: list[float], *, overflow: bool = False) -> SearchResult:
    """A search that has found a digit of each score, all in one place."""
    count = len(scores)
    boxes = np.tile([[1, 2, 13, 24]], (count, 1))
    windows = np.tile(np.array([[0, 0, 31, 31]], np.float32), (count, 1))
    found = Detections(boxes, windows, np.arange(count), np.array(scores, np.float32), overflow)
    image = np.zeros((40, 50), np.uint8)
    return SearchResult(InputPicture("some.png", b""), image, image, found, MIN_SCORE, "")


def dark_on_paper(digit: np.ndarray) -> np.ndarray:
    """A picture of blue ink on yellow paper, twice the digit's size."""
    ink = np.pad(digit.repeat(2, 0).repeat(2, 1) / 255, 32)[..., None]
    paper, blue = np.array([250, 240, 200]), np.array([20, 40, 120])
    return np.rint(paper + ink * (blue - paper)).astype(np.uint8)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, tuple[float, float]]]:
    """The images and sizes that are searched for, which finds nothing."""
    calls = []

    def detect(
        _: Params, image: np.ndarray, *, min_size: float, max_size: float, min_score: float
    ) -> Detections:
        calls.append((image, (min_size, max_size)))
        return searched_with([]).found

    monkeypatch.setattr(picture, "detect", detect)
    return calls


def test_the_threshold_filters_without_another_search() -> None:
    searched = searched_with([0.9, 0.7, 0.3])
    for score, labels in ((0.05, [0, 1, 2]), (0.5, [0, 1]), (0.9, [0]), (1.0, [])):
        _, sentence, shown = show(searched, score)
        assert [digit["label"] for digit in shown["detections"]] == labels
        assert sentence.startswith(
            f"{len(labels)} digit{'' if len(labels) == 1 else 's'} in some.png"
        )
    assert (shown["image"], shown["width"], shown["height"]) == ("some.png", 50, 40)


def test_more_digits_than_there_is_room_for_are_said() -> None:
    assert (
        f"only the {MAX_DETECTIONS} likeliest" in show(searched_with([0.9], overflow=True), 0.5)[1]
    )
    assert "likeliest" not in show(searched_with([0.9]), 0.5)[1]


def test_maps_are_of_the_surest_digits_size_or_of_the_window_s() -> None:
    assert surest_size(searched_with([0.9])) == 31
    assert surest_size(searched_with([])) == 28


def test_large_pictures_are_scaled_down_and_that_is_said(
    params: Params, tmp_path: Path, asked: list[tuple[np.ndarray, tuple[float, float]]]
) -> None:
    image = np.zeros((30, 2400), np.uint8)
    image[:, 1200:] = 200
    large = search(params, opened(saved(tmp_path / "large.png", image)), None, normalised=False)
    np.testing.assert_array_equal(large.ink, image[::2, ::2])
    assert "2400×30 to 1200×15 px" in large.how
    given = opened(saved(tmp_path / "small.png", image[:, 1000:1400]))
    small = search(params, given, None, normalised=False)
    np.testing.assert_array_equal(small.ink, image[:, 1000:1400])
    assert given.name == "small.png"
    assert "scaled" not in small.how
    assert [sizes for _, sizes in asked] == [LARGE_SIZES, SMALL_SIZES]


def test_what_is_searched_is_the_ink_as_normalise_has_it(
    params: Params,
    mnist: Mnist,
    tmp_path: Path,
    asked: list[tuple[np.ndarray, tuple[float, float]]],
) -> None:
    seen = dark_on_paper(np.asarray(mnist.validation.images[0]))
    path = saved(tmp_path / "page.png", seen)
    for normalised, ink in ((True, normalise(seen)), (False, read_image(path))):
        searched = search(params, opened(path), None, normalised=normalised)
        np.testing.assert_array_equal(searched.picture, seen if normalised else ink)
        np.testing.assert_array_equal(searched.ink, ink)
        np.testing.assert_array_equal(asked.pop()[0], ink)


def test_a_drawn_digit_is_ink_whole() -> None:
    drawing = Image.new("L", (board.SIDE, board.SIDE))
    for y0, y1 in ((80, 116), (104, 150)):  # an 8, a quarter as high as the board
        ImageDraw.Draw(drawing).ellipse((100, y0, 140, y1), outline=255, width=board.STROKE)
    np.testing.assert_array_equal(normalise(np.asarray(drawing)), np.asarray(drawing))


def test_an_overlay_colours_the_cells_where_they_lie() -> None:
    image = np.full((4, 6), 100, np.uint8)
    values = np.zeros((2, 3), np.float32)
    values[1, 2] = 1
    colours = np.asarray(overlay_map(image, values), np.int64)
    assert colours.shape == (4, 6, 3)
    red, green, blue = colours[2:, 4:].reshape(-1, 3).T
    assert (red > green).all()
    assert (red > blue).all()
    others = np.delete(colours.reshape(-1, 3), [16, 17, 22, 23], axis=0)
    assert (others[:, 2] > others[:, 0]).all()


def test_maps_cover_the_picture_and_are_red_where_a_digit_is(params: Params, mnist: Mnist) -> None:
    digit, label = np.asarray(mnist.validation.images[0]), int(mnist.validation.labels[0])
    image = np.zeros((112, 168), np.uint8)
    image[28:84, 28:84] = digit.repeat(2, 0).repeat(2, 1)
    drawn = {name: pixels for pixels, name in maps(params, image, 56)}
    assert list(drawn) == ["margin", *map(str, range(10))]
    for name in ("margin", str(label)):
        colours = np.asarray(drawn[name], np.int64)
        assert colours.shape == (112, 168, 3)
        red, _, blue = colours[55, 55]  # the digit's middle
        assert red > blue
        red, _, blue = colours[100, 160]  # far from it
        assert blue > red


def test_without_gradio_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(SystemExit) as exit_:
        main(["demo"])
    assert exit_.value.code == 1
    said = capsys.readouterr().err
    assert "make demo" in said
    assert "digits-jax[demo]" in said
    assert said.count("\n") == 1


def test_a_port_that_is_no_port_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["demo", "--port", "70000"])
    assert exit_.value.code == 1
    assert "1 to 65535; got 70000" in capsys.readouterr().err


@pytest.fixture(scope="module")
def address(params: Params) -> Iterator[str]:
    """The page's, served for the tests below, which watch whom this process talks to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    enable_compilation_cache()
    sys.addaudithook(_note_host)
    HOSTS.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_SHARE", "True")
        patch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
        patch.setenv("NO_PROXY", "")
        patch.setenv("no_proxy", "")
        page = build_page(params)
        try:
            yield serve(page, port)
            assert not page.share
            assert page.share_url is None
        finally:
            page.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no Playwright to drive a browser: pip install playwright"
    )
    with playwright.sync_playwright() as started:
        own = started.chromium.executable_path
        program = next(filter(None, map(shutil.which, BROWSERS)), own)
        if not Path(program).exists():
            pytest.skip(
                "no Chromium: install it (apt-get install chromium, or playwright install chromium)"
            )
        launched = started.chromium.launch(executable_path=program)
        yield launched
        launched.close()


@pytest.fixture
def tab(browser: Any, address: str) -> Iterator[Any]:
    """The page in a tab of its own, which may ask nobody else for anything."""
    opened_tab = browser.new_page()
    asked: list[str] = []
    broken: list[str] = []
    opened_tab.on("request", lambda request: asked.append(request.url))
    opened_tab.on("pageerror", lambda error: broken.append(str(error)))
    opened_tab.set_default_timeout(PATIENCE)
    opened_tab.goto(address)
    yield opened_tab
    elsewhere = [url for url in asked if not url.startswith((address, "data:", "blob:"))]
    assert asked
    assert not elsewhere
    assert not broken
    assert set(HOSTS) == {"127.0.0.1"}
    opened_tab.close()


def shown_json(tab: Any, name: str) -> dict[str, Any]:
    """The JSON on the page, once it is of the picture of this name."""
    tab.wait_for_function(
        "name => document.querySelector('#sentence')?.innerText.includes(name)", arg=name
    )
    tab.wait_for_function(
        "name => document.querySelector('#json')?.innerText.includes(name)", arg=name
    )
    shown: dict[str, Any] = json.loads(tab.locator("#json").inner_text())
    return shown


def draw(tab: Any, *corners: tuple[float, float]) -> None:
    """With the mouse, on the drawing board; in px of the drawing."""
    surface = tab.get_by_label("drawing board")
    surface.hover()  # once the page stands still
    canvas = surface.bounding_box()
    scale = canvas["width"] / board.SIDE
    for k, (x, y) in enumerate(corners):
        tab.mouse.move(canvas["x"] + scale * x, canvas["y"] + scale * y, steps=5)
        if k == 0:
            tab.mouse.down()
    tab.mouse.up()


def test_drawn_digits_are_found_and_mapped_until_the_board_is_cleared(tab: Any) -> None:
    tab.get_by_role("button", name="JSON").click()
    draw(tab, (36, 84), (84, 84), (54, 144))
    shown = shown_json(tab, "drawing")
    (seven,) = shown["detections"]
    assert (shown["width"], shown["height"], seven["label"]) == (board.SIDE, board.SIDE, 7)
    # Within the stroke's width of the corners.
    np.testing.assert_allclose(seven["box"], [36, 84, 84, 144], atol=board.STROKE)

    draw(tab, (180, 84), (174, 144))
    tab.get_by_text("2 digits in drawing").wait_for()

    tab.get_by_role("button", name="Maps").click()
    tab.get_by_role("button", name="Draw the maps").click()
    tab.wait_for_function("document.querySelectorAll('#maps img').length == 11")
    assert "margin" in tab.locator("#maps").inner_text()

    tab.get_by_role("button", name="Clear").click()
    tab.wait_for_function("!document.querySelector('#sentence')?.innerText")


def give(tab: Any, path: Path) -> None:
    """Uploads a file."""
    tab.get_by_role("tab", name="Picture").click()
    tab.set_input_files("#file input", path)


def test_a_file_is_searched(tab: Any, tmp_path: Path, mnist: Mnist) -> None:
    image = np.zeros((60, 60), np.uint8)
    image[16:44, 16:44] = mnist.validation.images[0]
    tab.get_by_role("button", name="JSON").click()
    give(tab, saved(tmp_path / "digit.png", image))
    shown = shown_json(tab, "digit.png")
    assert set(shown) == {"image", "width", "height", "detections"}
    (digit,) = shown["detections"]
    assert set(digit) == {"label", "score", "box"}
    assert digit["label"] == mnist.validation.labels[0]
    assert MIN_SCORE <= digit["score"] <= 1


def test_what_is_found_follows_the_threshold(
    tab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threshold = tab.get_by_label("number input for Least score")
    assert float(threshold.input_value()) == MIN_SCORE
    found = searched_with([0.9, MIN_SCORE, 0.2]).found
    monkeypatch.setattr(picture, "detect", lambda *_, **__: found)
    give(tab, saved(tmp_path / "some.png", np.zeros((40, 50), np.uint8)))
    tab.get_by_text("2 digits in some.png").wait_for()
    monkeypatch.setattr(picture, "detect", None)  # nothing is searched again
    for score, sentence in (("0.15", "3 digits"), ("0.91", "0 digits"), ("0.85", "1 digit in")):
        threshold.fill(score)
        tab.keyboard.press("Enter")
        tab.get_by_text(sentence).wait_for()
    tab.get_by_label("range slider for Least score").fill("0.95")
    tab.get_by_text("0 digits").wait_for()


def test_ink_of_any_colour_is_found_and_mapped_unless_told_otherwise(
    tab: Any, tmp_path: Path, mnist: Mnist
) -> None:
    tab.get_by_role("button", name="JSON").click()
    # A 3 of which nothing is found dark on light; of some, the network reads that, too.
    give(tab, saved(tmp_path / "page.png", dark_on_paper(np.asarray(mnist.validation.images[7]))))
    (digit,) = shown_json(tab, "page.png")["detections"]
    assert digit["label"] == mnist.validation.labels[7]
    threshold = tab.get_by_label("number input for Least score")
    assert float(threshold.input_value()) == SURER

    tab.get_by_role("button", name="Maps").click()
    tab.get_by_role("button", name="Draw the maps").click()
    assert paper_of_first_map(tab) < 64  # half of black's and half of the lowest colour

    tab.get_by_label("Normalise").uncheck()
    tab.get_by_text("0 digits in page.png").wait_for()
    assert float(threshold.input_value()) == MIN_SCORE
    tab.wait_for_function("document.querySelectorAll('#maps img').length == 0")
    tab.get_by_role("button", name="Draw the maps").click()
    assert paper_of_first_map(tab) > 96


def paper_of_first_map(tab: Any) -> float:
    """The mean of a corner of it."""
    tab.wait_for_function("document.querySelectorAll('#maps img').length == 11")
    file = tab.request.get(tab.locator("#maps img").first.evaluate("image => image.src")).body()
    return float(np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))[:8, :8].mean())


def test_a_bad_file_is_a_message(tab: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    give(tab, bad)
    message = tab.get_by_test_id("toast-body")
    message.wait_for()
    assert "bad.png: the data is not an image" in message.inner_text()


def test_an_example_is_a_click_away_and_so_are_other_sizes(
    tab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = searched_with([0.9]).found
    monkeypatch.setattr(picture, "detect", lambda *_, **__: found)  # which takes its time
    tab.get_by_role("button", name="JSON").click()
    tab.get_by_role("tab", name="Examples").click()
    tab.locator("#examples button").first.click()
    shown = shown_json(tab, "digits.png")
    assert (shown["width"], shown["height"]) == (300, 300)

    tab.get_by_label("30–400 px").check()
    tab.get_by_text("digits of 30 to 400 px").wait_for()
    tab.get_by_label("automatic").check()
    tab.get_by_text("digits of 15 to 100 px").wait_for()


def test_a_port_that_is_taken_is_said(params: Params, address: str) -> None:
    port = int(address.rpartition(":")[2])
    with pytest.raises(OSError, match=f"port {port} cannot be had.*--port"):
        serve(build_page(params), port)


def test_the_page_is_for_this_machine_alone(address: str) -> None:
    port = int(address.rpartition(":")[2])
    for host, reached in (("127.0.0.1", True), ("127.0.0.2", False)):  # both are this machine
        with socket.socket() as client:
            assert (client.connect_ex((host, port)) == 0) == reached
    HOSTS.remove("127.0.0.2")
