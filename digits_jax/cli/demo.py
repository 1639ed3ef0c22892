"""The command `digits-jax demo`."""

from digits_jax.cli.arguments import PRETRAINED, WeightsArgument, load_model
from digits_jax.demo.page import build_page, serve
from digits_jax.runtime.checks import check_range
from digits_jax.runtime.progress import log


def demo(*, port: int = 7860, weights: WeightsArgument = PRETRAINED) -> None:
    """Serve a web page on which to try detection: draw digits or upload a picture.

    The page shows boxes, labels, scores and response maps. Only this machine can reach it, at
    http://127.0.0.1:PORT; the address is printed on standard error. Ctrl-C stops it. The command
    needs the package's extra `demo` (Gradio).

    Args:
        port: TCP port of the page, 1 to 65535.
        weights: The weights to use: `pretrained` for those of the package, a folder that
            `digits-jax train` has written, or a .safetensors file.
    """
    check_range("--port", port, 1, 65535)
    page = build_page(*load_model(weights))
    log(f"Serving {serve(page, port)} to this machine only; Ctrl-C stops it")
    page.block_thread()
