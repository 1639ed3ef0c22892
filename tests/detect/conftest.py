"""The package's weights, two scenes and their detections, for tests of detection."""

from functools import partial

import pytest
from clear_digits import ClearDigits

import digits_jax
from digits_jax.data.mnist import Mnist
from digits_jax.data.scenes import Scene, compose
from digits_jax.detect.config import DEFAULT_CONFIG, DetectorConfig
from digits_jax.detect.crop_classifier import Classify, classify_block, crop_classifier
from digits_jax.detect.detections import Detections
from digits_jax.detect.detector import Detector
from digits_jax.models.cnn import Params


@pytest.fixture(scope="session")
def params() -> Params:
    return digits_jax.load_pretrained()


@pytest.fixture(scope="session")
def native(params: Params) -> Detector:
    """The exhaustive search at the scale of 1 alone, as in the paper."""
    return Detector(params, DetectorConfig(method="windows", min_size=28.0, max_size=28.0))


@pytest.fixture(scope="session")
def detector(params: Params) -> Detector:
    """The default search, in components of ink."""
    return Detector(params)


@pytest.fixture(scope="session")
def classify(params: Params) -> Classify:
    program = partial(classify_block, contact=DEFAULT_CONFIG.border_contact)
    return crop_classifier(params, program)


@pytest.fixture(scope="session")
def clear_digits(params: Params, mnist: Mnist) -> ClearDigits:
    return ClearDigits(params, mnist.validation)


@pytest.fixture(scope="session")
def scenes(mnist: Mnist) -> list[Scene]:
    return compose("native", "test", 2, 3, mnist=mnist)


@pytest.fixture(scope="session")
def scene_detections(native: Detector, scenes: list[Scene]) -> list[Detections]:
    return [native.detect(scene.image) for scene in scenes]
