"""The page of `digits-jax demo`, and the server that shows it to this machine only."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from digits_jax.demo.session import Detect, detect_ink
from digits_jax.detect.config import DEFAULT_CONFIG, DetectorConfig
from digits_jax.models.cnn import Params
from digits_jax.runtime.errors import ArgumentError

if TYPE_CHECKING:
    import gradio

HOST = "127.0.0.1"
EXAMPLES = Path(__file__).parents[2] / "examples"  # in a checkout; an installed package has none
FILE_SECONDS = 3600  # after which a visitor's files are deleted


def build_page(
    params: Params, config: DetectorConfig = DEFAULT_CONFIG, *, detect: Detect = detect_ink
) -> "gradio.Blocks":
    """Builds the page, which is not served yet.

    Args:
      params: the network's parameters.
      config: the constants of detection that suit them.
      detect: finds the digits in an image.

    Raises:
      ArgumentError: Gradio cannot be imported.
    """
    _import_gradio()
    import gradio as gr

    # Gradio is an extra, and these modules import it.
    from digits_jax.demo.events import EventHandlers, connect_events
    from digits_jax.demo.layout import build_layout

    examples = sorted(EXAMPLES.glob("*.*"))
    with gr.Blocks(
        title="digits_jax", analytics_enabled=False, delete_cache=(FILE_SECONDS, FILE_SECONDS)
    ) as page:
        connect_events(build_layout(examples), EventHandlers(params, config, examples, detect))
    return page


def serve(page: "gradio.Blocks", port: int) -> str:
    """Starts to serve a page to this machine, in threads of its own.

    Args:
      page: as `build_page` returns it.
      port: the TCP port, 1–65535.

    Returns:
      The address of the page.

    Raises:
      OSError: the port is in use, or this user may not open it.
    """
    from gradio.themes import Default

    # Gradio requests its own address to check that it is up; a proxy must not get that request.
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
            f"port {port} is in use or not allowed: expected a free port; choose another with "
            "--port"
        ) from error
    return f"http://{HOST}:{port}"


def _import_gradio() -> None:
    """Imports Gradio with its telemetry turned off.

    Raises:
      ArgumentError: Gradio cannot be imported.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise ArgumentError(
            f"the page needs Gradio, which cannot be imported ({error}): run `make demo`, or "
            "`pip install 'digits-jax[demo]'`"
        ) from error
