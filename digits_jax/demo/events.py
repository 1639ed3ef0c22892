"""The handlers of the page's events: what a visitor does, and what the page displays then."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from digits_jax.demo.layout import ANY_SIZE, Layout
from digits_jax.demo.session import (
    SIZE_RANGES,
    Detect,
    InputPicture,
    Number,
    SearchResult,
    best_detection_size,
    display,
    draw_maps,
    picture_from_drawing,
    picture_from_file,
    search_picture,
)
from digits_jax.detect.config import DEFAULT_CONFIG, DetectorConfig
from digits_jax.images.read import ImageError
from digits_jax.models.cnn import INPUT_SIDE, Params

Outputs = tuple[Any, ...]

# The outputs: result, boxes, sentence, JSON, threshold, size of the maps' digits, maps.
NO_PICTURE: Outputs = (None, None, None, None, DEFAULT_CONFIG.min_score, INPUT_SIDE, None)


class EventHandlers:
    """The handlers of the page's events.

    A handler that searches takes a picture and the settings: the previous search, the choice of
    sizes, whether to normalise, and the threshold. It returns the values of all outputs.
    """

    def __init__(
        self, params: Params, config: DetectorConfig, examples: Sequence[Path], detect: Detect
    ):
        """Keeps the arguments.

        Args:
          params: the network's parameters.
          config: the constants of detection that suit them.
          examples: the files of the gallery, in its order.
          detect: finds the digits in an image.
        """
        self._params = params
        self._config = config
        self._examples = examples
        self._detect = detect

    def search_drawing(
        self, drawing: str, result: SearchResult | None, sizes: int, normalised: bool, score: Number
    ) -> Outputs:
        """Searches the drawing pad; an empty drawing clears the outputs."""
        if not drawing:
            return NO_PICTURE
        return self._search(picture_from_drawing(drawing), result, sizes, normalised, score)

    def search_file(
        self,
        path: str | None,
        result: SearchResult | None,
        sizes: int,
        normalised: bool,
        score: Number,
    ) -> Outputs:
        """Searches an uploaded file; None, when it is removed, clears the outputs."""
        if not path:
            return NO_PICTURE
        return self._search(picture_from_file(Path(path)), result, sizes, normalised, score)

    def search_example(
        self,
        result: SearchResult | None,
        sizes: int,
        normalised: bool,
        score: Number,
        selection: gr.SelectData,
    ) -> Outputs:
        """Searches the example that was selected."""
        picture = picture_from_file(self._examples[selection.index])
        return self._search(picture, result, sizes, normalised, score)

    def search_again(
        self, result: SearchResult | None, sizes: int, normalised: bool, score: Number
    ) -> Outputs:
        """Searches the same picture with other settings."""
        if not result:
            return NO_PICTURE
        return self._search(result.source, result, sizes, normalised, score)

    def display_again(self, result: SearchResult | None, score: Number) -> Outputs:
        """Displays the same search with another threshold."""
        return display(result, score) if result else (None, None, None)

    def draw_maps(self, result: SearchResult | None, size: Number) -> Any:
        """Draws the maps of the picture."""
        return draw_maps(self._params, result.ink, size) if result else None

    def _search(
        self,
        picture: InputPicture,
        previous: SearchResult | None,
        sizes: int,
        normalised: bool,
        score: Number,
    ) -> Outputs:
        """Searches a picture, and sets the threshold if it is of another kind than the last one."""
        size_range = None if sizes == ANY_SIZE else SIZE_RANGES[sizes]
        try:
            result = search_picture(
                self._params,
                picture,
                size_range,
                normalised=normalised,
                config=self._config,
                detect=self._detect,
            )
        except ImageError as error:
            raise gr.Error(f"{picture.name}: {error}", print_exception=False) from None
        previous_default = previous.default_min_score if previous else DEFAULT_CONFIG.min_score
        slider: Any = gr.skip()  # leaves it as it is
        if result.default_min_score != previous_default:
            slider = score = result.default_min_score
        return result, *display(result, score), slider, best_detection_size(result), None


def connect_events(page: Layout, handlers: EventHandlers) -> None:
    """Connects the components of the page that is being built with the handlers."""
    settings = [page.result, page.sizes, page.normalised, page.min_score]
    detections = [page.boxes, page.sentence, page.json]
    outputs = [page.result, *detections, page.min_score, page.map_size, page.maps]
    # One search at a time. Of the changes that come meanwhile, only the last one is searched.
    search: dict[str, Any] = {"trigger_mode": "always_last", "concurrency_id": "search"}

    page.drawing.change(handlers.search_drawing, [page.drawing, *settings], outputs, **search)
    page.file.change(handlers.search_file, [page.file, *settings], outputs, **search)
    page.examples.select(handlers.search_example, settings, outputs, **search)
    page.sizes.input(handlers.search_again, settings, outputs, **search)
    page.normalised.input(handlers.search_again, settings, outputs, **search)
    gr.on(
        # `input` and `release` follow the visitor alone; the slider's reset button is a release.
        [page.min_score.input, page.min_score.release],
        handlers.display_again,
        [page.result, page.min_score],
        detections,
        trigger_mode="always_last",
        show_progress="hidden",
    )
    page.map_button.click(handlers.draw_maps, [page.result, page.map_size], page.maps)
