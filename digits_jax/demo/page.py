"""A page to try detection on, served to this machine alone."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits_jax.demo import drawing_pad as board
from digits_jax.demo.session import (
    LONGEST,
    LOW_SCORE,
    SIZES,
    InputPicture,
    Number,
    SearchResult,
    Sizes,
    drawn,
    maps,
    opened,
    search,
    show,
    surest_size,
)
from digits_jax.detect.detector import MIN_SCORE, MIN_SIZE
from digits_jax.images.read import ImageError
from digits_jax.models.cnn import INPUT_SIDE, Params
from digits_jax.runtime.errors import ArgumentError

if TYPE_CHECKING:
    import gradio

HOST = "127.0.0.1"
EXAMPLES = Path(__file__).parents[2] / "examples"  # of a checkout; an installed package has none
AUTOMATIC = -1  # the choice of sizes that leaves them to the picture
ABOUT = f"""# digits_jax
Draw digits, about a quarter as high as the board, drop a picture of some, or choose an example.
Pictures of more than {LONGEST} px a side are scaled down to that, and take a CPU a minute; small
ones take seconds."""
ABOUT_NORMALISE = "Ink of any colour on paper of any other; without it, bright ink on black alone."
ABOUT_MAPS = """What the network says of each 28×28 window of the ink, scaled so that digits of
this size fit one; the size is at first that of the surest digit. Red is high."""


def serve(page: "gradio.Blocks", port: int) -> str:
    """Starts serving a page to this machine, in threads of its own; returns its address.

    Raises:
      OSError: the port is taken.
    """
    from gradio.themes import Default

    # Gradio asks its own address whether it is up, which is nothing for a proxy.
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), HOST)))
    try:
        page.launch(
            server_name=HOST,
            server_port=port,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            theme=Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        )
    except OSError as error:
        raise OSError(
            f"port {port} cannot be had: expected one that is free; name another with --port"
        ) from error
    return f"http://{HOST}:{port}"


def build_page(params: Params) -> "gradio.Blocks":
    """The page, not yet served.

    Raises:
      ValueError: Gradio cannot be imported.
    """
    _require_gradio()
    import gradio as gr

    examples = sorted(EXAMPLES.glob("*.*"))

    def look(given: InputPicture, *settings: Any) -> tuple[Any, ...]:
        """What `results` show of a picture; another kind of picture sets the threshold anew."""
        before, choice, normalised, score = settings
        sizes = None if choice == AUTOMATIC else SIZES[choice]
        try:
            searched = search(params, given, sizes, normalised=normalised)
        except ImageError as error:
            raise gr.Error(f"{given.name}: {error}", print_exception=False) from None
        another = searched.least != (before.least if before else MIN_SCORE)
        shown = show(searched, searched.least if another else score)
        slider = searched.least if another else gr.skip()
        return searched, *shown, slider, surest_size(searched), None

    def look_at_drawing(drawing: str, *settings: Any) -> tuple[Any, ...]:
        return look(drawn(drawing), *settings) if drawing else nothing

    def look_at_file(path: str | None, *settings: Any) -> tuple[Any, ...]:
        return look(opened(Path(path)), *settings) if path else nothing

    def look_at_example(
        searched: SearchResult | None,
        choice: int,
        normalised: bool,
        score: Number,
        chosen: gr.SelectData,
    ) -> tuple[Any, ...]:
        return look(opened(examples[chosen.index]), searched, choice, normalised, score)

    def look_again(searched: SearchResult | None, *settings: Any) -> tuple[Any, ...]:
        return look(searched.given, searched, *settings) if searched else nothing

    def show_again(searched: SearchResult | None, score: Number) -> tuple[Any, ...]:
        return show(searched, score) if searched else (None,) * 3

    def show_maps(searched: SearchResult | None, size: Number) -> Any:
        return maps(params, searched.ink, size) if searched else None

    # An hour after a visitor's files were made they are deleted, and all of them in the end.
    with gr.Blocks(title="digits_jax", analytics_enabled=False, delete_cache=(3600, 3600)) as page:
        gr.Markdown(ABOUT)
        searched = gr.State()
        with gr.Row():
            with gr.Column():
                with gr.Tab("Draw"):
                    drawing = gr.HTML(
                        html_template=board.HTML,
                        css_template=board.STYLE,
                        js_on_load=board.SCRIPT,
                        elem_id="board",
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
                choice = gr.Radio(
                    [("automatic", AUTOMATIC), *((_said(of), k) for k, of in enumerate(SIZES))],
                    value=AUTOMATIC,
                    label="Sizes of the digits",
                )
                normalised = gr.Checkbox(True, label="Normalise", info=ABOUT_NORMALISE)
            with gr.Column():
                score = gr.Slider(LOW_SCORE, 1, MIN_SCORE, step=0.01, label="Least score")
                boxes = gr.Image(show_label=False, format="png", buttons=["fullscreen"])
                sentence = gr.Markdown(elem_id="sentence")
                with gr.Accordion("JSON", open=False):
                    json = gr.JSON(show_label=False, open=True, elem_id="json")
        with gr.Accordion("Maps", open=False):
            gr.Markdown(ABOUT_MAPS)
            with gr.Row():
                size = gr.Slider(
                    MIN_SIZE, max(SIZES)[1], INPUT_SIDE, step=1, label="Size of the digits, px"
                )
                draw = gr.Button("Draw the maps")
            drawn_maps = gr.Gallery(
                show_label=False,
                columns=4,
                interactive=False,
                height="auto",
                format="png",
                elem_id="maps",
            )

        shown = [boxes, sentence, json]
        results = [searched, *shown, score, size, drawn_maps]
        nothing = (None, *(None for _ in shown), MIN_SCORE, INPUT_SIDE, None)
        settings = [searched, choice, normalised, score]
        # One search at a time; of the changes meanwhile, the last counts.
        latest: dict[str, Any] = {"trigger_mode": "always_last", "concurrency_id": "search"}
        drawing.change(look_at_drawing, [drawing, *settings], results, **latest)
        file.change(look_at_file, [file, *settings], results, **latest)
        gallery.select(look_at_example, settings, results, **latest)
        choice.input(look_again, settings, results, **latest)
        normalised.input(look_again, settings, results, **latest)
        gr.on(
            [score.input, score.release],  # by hand; release is also the button that resets it
            show_again,
            [searched, score],
            shown,
            trigger_mode="always_last",
            show_progress="hidden",
        )
        draw.click(show_maps, [searched, size], drawn_maps)
    return page


def _said(sizes: Sizes) -> str:
    return "{:g}–{:g} px".format(*sizes)


def _require_gradio() -> None:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when it is imported
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise ArgumentError(
            f"the page needs Gradio, which cannot be imported ({error}): run `make demo`, or "
            "`pip install 'digits-jax[demo]'`"
        ) from error
