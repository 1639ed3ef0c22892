"""What `detect`, `detect_batch` and `Detector` accept and refuse."""

from typing import Any

import numpy as np
import pytest
from command_line import one_digit

from digits_jax.data.scenes import Scene
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.detections import BatchDetections, Detections
from digits_jax.detect.detector import Detector, detect, detect_batch
from digits_jax.models.cnn import Params
from digits_jax.runtime.errors import ArgumentError


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros(28), r"got \[28\]"),
        (np.zeros((2, 40, 40)), r"got \[2, 40, 40\]"),
        (np.zeros((40, 40, 3)), r"got \[40, 40, 3\]"),
        (np.zeros((1, 40, 40, 1)), r"got \[1, 40, 40, 1\]"),
        (np.zeros((40, 40), np.int32), "uint8 in 0–255; got int32"),
        (np.zeros((40, 40), bool), "got bool"),
        (np.full((40, 40), np.nan, np.float32), "without NaN"),
        (np.full((40, 40), np.inf), "0–1"),
        (np.eye(40) * 1.01, "0–1, without NaN; got 0.0 to 1.01"),
        (np.eye(40) * -0.01, "0–1"),
        (np.zeros((0, 40)), r"got \[1, 0, 40\]"),
        (np.zeros((40, 0), np.uint8), r"pixels in them"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_detect_refuses_images_of_other_shapes_types_and_ranges(
    image: np.ndarray, message: str, params: Params
) -> None:
    with pytest.raises(ArgumentError, match=message):
        detect(params, image)


@pytest.mark.parametrize("shape", [(40, 40), (1, 40, 40, 3), (1, 1, 40, 40, 1), (0, 40, 40)])
def test_detect_batch_refuses_other_shapes(shape: tuple[int, ...], params: Params) -> None:
    with pytest.raises(ArgumentError, match="expected images"):
        detect_batch(params, np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"min_size": 50.0, "max_size": 30.0}, "min_size ≤ max_size; got 50.0, 30.0"),
        ({"min_size": 3.0}, "4 px ≤ min_size"),
        ({"max_size": float("inf")}, "max_size"),
        ({"min_size": float("nan")}, "min_size"),
        ({"method": "guess"}, "expected the method components or windows; got 'guess'"),
        ({"min_score": 2.0}, "expected min_score to be 0 to 1; got 2"),
        ({"min_score": -0.1}, "min_score"),
        ({"min_score": float("nan")}, "min_score"),
        ({"max_detections": 0}, "expected max_detections to be at least 1; got 0"),
        ({"capacity": 0}, "expected max_detections to be at least 1; got 0"),
        ({"capacity": 2, "max_detections": 3}, "got both, 3 and 2; leave capacity out"),
    ],
)
@pytest.mark.parametrize("function", [detect, detect_batch])
def test_arguments_out_of_range_are_refused(
    function: Any, argument: dict[str, Any], message: str, params: Params
) -> None:
    with pytest.raises(ArgumentError, match=message):
        function(params, np.zeros((40, 40)), **argument)


def test_explicit_arguments_replace_the_config_s_fields(
    monkeypatch: pytest.MonkeyPatch, params: Params
) -> None:
    configs = []

    def detect_nothing(detector: Detector, image: np.ndarray) -> Detections:
        configs.append(detector.config)
        return one_digit()

    monkeypatch.setattr(Detector, "detect", detect_nothing)
    config = DetectorConfig(min_size=20.0, max_size=40.0, min_score=0.5, max_detections=7)
    image = np.zeros((40, 40), np.uint8)
    detect(params, image)
    detect(params, image, config=config)
    detect(params, image, config=config, max_size=50.0, capacity=9)
    options: dict[str, Any] = {"min_score": 0.0, "max_detections": 8, "method": "windows"}
    detect(params, image, config=config, min_size=21.0, **options)
    assert configs == [
        DetectorConfig(),
        config,
        DetectorConfig(min_size=20.0, max_size=50.0, min_score=0.5, max_detections=9),
        DetectorConfig(min_size=21.0, max_size=40.0, **options),
    ]


def test_grey_levels_fractions_and_a_channel_are_the_same_image(
    native: Detector, scenes: list[Scene], scene_detections: list[Detections]
) -> None:
    image = scenes[0].image
    for same in (image.astype(np.float32) / 255, image[..., None]):
        for array, expected in zip(native.detect(same), scene_detections[0], strict=True):
            np.testing.assert_array_equal(array, expected)
    rounded = native.detect(image.astype(np.float64) / 255)
    np.testing.assert_allclose(rounded.scores, scene_detections[0].scores, atol=1e-4)


def test_overflow_is_the_former_name_of_truncated() -> None:
    boxes = np.zeros((1, 4), np.int64)
    one = Detections(boxes, boxes.astype(np.float32), boxes[:, 0], np.ones(1, np.float32), True)
    assert one.overflow is one.truncated is True
    boxes, windows, labels, scores = (array[None] for array in one[:4])
    valid = np.ones((1, 1), bool)
    batch = BatchDetections(boxes, windows, labels, scores, valid, np.array([True]))
    assert batch.overflow is batch.truncated
    assert batch.of_image(0).overflow
