"""`digits-jax demo`: its options, and the page in a browser, which reaches nothing else."""

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
from command_line import exit_status, save_image
from page_cases import blue_on_yellow, detections_of
from PIL import Image

from digits_jax.data.mnist import Mnist
from digits_jax.demo.drawing_pad import PAD_SIDE_PX, STROKE_WIDTH_PX
from digits_jax.demo.page import build_page, serve
from digits_jax.demo.session import detect_ink
from digits_jax.detect.config import DEFAULT_CONFIG, DetectorConfig
from digits_jax.detect.detections import Detections
from digits_jax.detect.inputs import Ink
from digits_jax.models.cnn import Params
from digits_jax.runtime.compilation_cache import enable_compilation_cache

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_MS = 300_000  # a search takes a second, but compiles first
contacted_hosts: list[str] = []  # hosts that this process looked up or connected to


def _record_host(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo" and arguments[0]:
        contacted_hosts.append(str(arguments[0]))
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        contacted_hosts.append(arguments[1][0])


class SwitchableDetector:
    """Finds the digits of an image, or returns `fake` if it is set."""

    def __init__(self) -> None:
        self.fake: Detections | None = None
        self.calls = 0

    def __call__(self, params: Params, config: DetectorConfig, ink: Ink) -> Detections:
        self.calls += 1
        return self.fake or detect_ink(params, config, ink)


def test_without_gradio_the_message_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert exit_status("demo") == 1
    message = capsys.readouterr().err
    assert "make demo" in message
    assert "digits-jax[demo]" in message
    assert message.count("\n") == 1


@pytest.mark.parametrize("port", [0, 70000])
def test_a_port_outside_1_to_65535_is_refused(
    port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("demo", "--port", port) == 1
    assert f"expected --port to be 1 to 65535; got {port}" in capsys.readouterr().err


@pytest.fixture(scope="module")
def detector() -> SwitchableDetector:
    """The detector of the served page."""
    return SwitchableDetector()


@pytest.fixture(scope="module")
def address(params: Params, detector: SwitchableDetector) -> Iterator[str]:
    """The address of a served page; from then on the hosts that are contacted are recorded."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    enable_compilation_cache()
    sys.addaudithook(_record_host)
    contacted_hosts.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_SHARE", "True")
        patch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
        patch.setenv("NO_PROXY", "")
        patch.setenv("no_proxy", "")
        page = build_page(params, detect=detector)
        try:
            yield serve(page, port)
            assert not page.share
            assert page.share_url is None
        finally:
            page.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no Playwright to drive a browser: pip install playwright"
    )
    with playwright.sync_playwright() as started:
        bundled = started.chromium.executable_path
        program = next(filter(None, map(shutil.which, BROWSERS)), bundled)
        if not Path(program).exists():
            pytest.skip(
                "no Chromium: install it (apt-get install chromium, or playwright install chromium)"
            )
        launched = started.chromium.launch(executable_path=program)
        yield launched
        launched.close()


@pytest.fixture
def tab(browser: Any, address: str, detector: SwitchableDetector) -> Iterator[Any]:
    """The page in a new tab, which must not request anything from another host."""
    detector.fake = None
    new_tab = browser.new_page()
    requests: list[str] = []
    errors: list[str] = []
    new_tab.on("request", lambda request: requests.append(request.url))
    new_tab.on("pageerror", lambda error: errors.append(str(error)))
    new_tab.set_default_timeout(TIMEOUT_MS)
    new_tab.goto(address)
    yield new_tab
    assert requests
    assert not [url for url in requests if not url.startswith((address, "data:", "blob:"))]
    assert not errors
    assert set(contacted_hosts) == {"127.0.0.1"}
    new_tab.close()


def wait_for_json(tab: Any, name: str) -> dict[str, Any]:
    """Returns the JSON object on the page as soon as it is that of the picture with this name."""
    for element in ("#sentence", "#json"):
        tab.wait_for_function(
            f"name => document.querySelector('{element}')?.innerText.includes(name)", arg=name
        )
    result: dict[str, Any] = json.loads(tab.locator("#json").inner_text())
    return result


def draw_stroke(tab: Any, *corners: tuple[float, float]) -> None:
    """Draws on the pad with the mouse, through corners in px of the drawing."""
    pad = tab.get_by_label("drawing pad")
    pad.hover()  # waits until the page stands still
    canvas = pad.bounding_box()
    scale = canvas["width"] / PAD_SIDE_PX
    for k, (x, y) in enumerate(corners):
        tab.mouse.move(canvas["x"] + scale * x, canvas["y"] + scale * y, steps=5)
        if k == 0:
            tab.mouse.down()
    tab.mouse.up()


def upload(tab: Any, path: Path) -> None:
    """Uploads a file."""
    tab.get_by_role("tab", name="Picture").click()
    tab.set_input_files("#file input", path)


def corner_brightness_of_first_map(tab: Any) -> float:
    """Returns the mean of the upper left corner of the map of the margin, 0–255."""
    tab.wait_for_function("document.querySelectorAll('#maps img').length == 11")
    file = tab.request.get(tab.locator("#maps img").first.evaluate("image => image.src")).body()
    return float(np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))[:8, :8].mean())


@pytest.mark.slow
def test_drawn_digits_are_found_and_mapped_until_the_pad_is_cleared(tab: Any) -> None:
    tab.get_by_role("button", name="JSON").click()
    draw_stroke(tab, (36, 84), (84, 84), (54, 144))
    result = wait_for_json(tab, "drawing")
    (seven,) = result["detections"]
    assert (result["width"], result["height"], seven["label"]) == (PAD_SIDE_PX, PAD_SIDE_PX, 7)
    np.testing.assert_allclose(seven["box"], [36, 84, 84, 144], atol=STROKE_WIDTH_PX)

    draw_stroke(tab, (180, 84), (174, 144))
    tab.get_by_text("2 digits in drawing").wait_for()

    tab.get_by_role("button", name="Maps").click()
    tab.get_by_role("button", name="Draw the maps").click()
    tab.wait_for_function("document.querySelectorAll('#maps img').length == 11")
    assert "margin" in tab.locator("#maps").inner_text()

    tab.get_by_role("button", name="Clear").click()
    tab.wait_for_function("!document.querySelector('#sentence')?.innerText")


@pytest.mark.slow
def test_an_uploaded_file_is_searched(tab: Any, tmp_path: Path, mnist: Mnist) -> None:
    image = np.zeros((60, 60), np.uint8)
    image[16:44, 16:44] = mnist.validation.images[0]
    tab.get_by_role("button", name="JSON").click()
    upload(tab, save_image(tmp_path / "digit.png", image))
    result = wait_for_json(tab, "digit.png")
    assert set(result) == {"image", "width", "height", "detections"}
    (digit,) = result["detections"]
    assert set(digit) == {"label", "score", "box"}
    assert digit["label"] == mnist.validation.labels[0]
    assert DEFAULT_CONFIG.min_score <= digit["score"] <= 1


def test_the_displayed_detections_follow_the_threshold_without_another_search(
    tab: Any, tmp_path: Path, detector: SwitchableDetector
) -> None:
    threshold = tab.get_by_label("number input for Lowest score")
    assert float(threshold.input_value()) == DEFAULT_CONFIG.min_score
    detector.fake = detections_of([0.9, DEFAULT_CONFIG.min_score, 0.2])
    upload(tab, save_image(tmp_path / "some.png", np.zeros((40, 50), np.uint8)))
    tab.get_by_text("2 digits in some.png").wait_for()
    calls = detector.calls
    for score, sentence in (("0.15", "3 digits"), ("0.91", "0 digits"), ("0.85", "1 digit in")):
        threshold.fill(score)
        tab.keyboard.press("Enter")
        tab.get_by_text(sentence).wait_for()
    tab.get_by_label("range slider for Lowest score").fill("0.95")
    tab.get_by_text("0 digits").wait_for()
    assert detector.calls == calls


@pytest.mark.slow
def test_ink_of_any_colour_is_found_and_mapped_only_if_normalised(
    tab: Any, tmp_path: Path, mnist: Mnist
) -> None:
    tab.get_by_role("button", name="JSON").click()
    # Without normalising, the network does not find this 3; it finds some other dark digits.
    picture = blue_on_yellow(np.asarray(mnist.validation.images[7]))
    upload(tab, save_image(tmp_path / "page.png", picture))
    (digit,) = wait_for_json(tab, "page.png")["detections"]
    assert digit["label"] == mnist.validation.labels[7]
    threshold = tab.get_by_label("number input for Lowest score")
    assert float(threshold.input_value()) == DEFAULT_CONFIG.photo_min_score

    tab.get_by_role("button", name="Maps").click()
    tab.get_by_role("button", name="Draw the maps").click()
    # Half black paper, half the colour map's lowest colour.
    assert corner_brightness_of_first_map(tab) < 64

    tab.get_by_label("Normalise").uncheck()
    tab.get_by_text("0 digits in page.png").wait_for()
    assert float(threshold.input_value()) == DEFAULT_CONFIG.min_score
    tab.wait_for_function("document.querySelectorAll('#maps img').length == 0")
    tab.get_by_role("button", name="Draw the maps").click()
    assert corner_brightness_of_first_map(tab) > 96


def test_an_unreadable_file_shows_a_message(tab: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    upload(tab, bad)
    message = tab.get_by_test_id("toast-body")
    message.wait_for()
    assert "bad.png: the data is not an image" in message.inner_text()


def test_an_example_is_searched_on_a_click_and_again_for_other_sizes(
    tab: Any, detector: SwitchableDetector
) -> None:
    detector.fake = detections_of([0.9])
    tab.get_by_role("button", name="JSON").click()
    tab.get_by_role("tab", name="Examples").click()
    tab.locator("#examples button").first.click()
    result = wait_for_json(tab, "digits.png")
    assert (result["width"], result["height"]) == (300, 300)

    tab.get_by_label("30 to 250 px").check()
    tab.get_by_text("searched for digits of 30 to 250 px").wait_for()
    tab.get_by_label("any", exact=True).check()
    tab.get_by_text("searched for digits of 12 px and more").wait_for()


def test_a_port_in_use_is_refused(params: Params, address: str) -> None:
    port = int(address.rpartition(":")[2])
    with pytest.raises(OSError, match=f"port {port} is in use.*--port"):
        serve(build_page(params), port)


def test_the_page_is_reached_at_127_0_0_1_only(address: str) -> None:
    port = int(address.rpartition(":")[2])
    for host, reached in (("127.0.0.1", True), ("127.0.0.2", False)):  # both are this machine
        with socket.socket() as client:
            assert (client.connect_ex((host, port)) == 0) == reached
    contacted_hosts.remove("127.0.0.2")
