"""The command `digits-jax demo`."""

from digits_jax.cli.arguments import Weights, resolve_weights
from digits_jax.demo.page import build_page, serve
from digits_jax.runtime.errors import ArgumentError
from digits_jax.runtime.progress import log


def demo(*, port: int = 7860, weights: Weights = "released") -> None:
    """Serve a page to try detection on: draw digits or drop a picture, see boxes and maps.

    Args:
        port: Of the page, which 127.0.0.1 alone can reach.
        weights: The package's weights, a folder of `digits-jax train`, or a .safetensors file.
    """
    if not 1 <= port <= 65535:
        raise ArgumentError(f"expected --port of 1 to 65535; got {port}")
    page = build_page(resolve_weights(weights))
    log(f"Serving {serve(page, port)} to this machine alone; Ctrl-C stops it")
    page.block_thread()
