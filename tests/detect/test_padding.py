"""Buckets: the shapes that images are padded to, and that detection is compiled for."""

from typing import Any

import numpy as np
import pytest

from digits_jax.data.scenes import Scene
from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.detector import Detector
from digits_jax.detect.padding import bucket_shape, pad_to_bucket
from digits_jax.detect.pipeline import find_detections
from digits_jax.models.cnn import Params


@pytest.mark.parametrize(
    ("shape", "bucket"),
    [
        ((1, 1), (64, 64)),
        ((64, 64), (64, 64)),
        ((65, 2), (128, 128)),
        ((1024, 3), (1024, 1024)),
        ((1025, 3), (1280, 256)),
        ((300, 4096), (512, 4096)),
    ],
)
def test_an_image_is_padded_with_zeros_below_and_to_the_right(
    shape: tuple[int, int], bucket: tuple[int, int]
) -> None:
    assert bucket_shape(*shape) == bucket
    pixels = np.ones(shape, np.float32)
    batch, extents = pad_to_bucket([pixels])
    assert batch.shape == (1, *bucket, 1)
    assert extents.tolist() == [[*shape]]
    np.testing.assert_array_equal(batch[0, : shape[0], : shape[1], 0], pixels)
    assert batch.sum() == pixels.sum()


def test_a_batch_is_padded_with_blank_images() -> None:
    images = [np.full(shape, 0.5, np.float32) for shape in ((3, 5), (60, 2))]
    batch, extents = pad_to_bucket(images, 4, min_bucket=128)
    assert batch.shape == (4, 128, 128, 1)
    assert extents.tolist() == [[3, 5], [60, 2], [0, 0], [0, 0]]
    for k, image in enumerate(images):
        np.testing.assert_array_equal(batch[k, : image.shape[0], : image.shape[1], 0], image)
    assert batch.sum() == sum(image.sum() for image in images)


@pytest.mark.slow
def test_detections_do_not_depend_on_the_padding(params: Params, scenes: list[Scene]) -> None:
    """Odd sides, two scales, and more or less zeros to the right and below."""
    image = scenes[1].image[:61, 20:79]
    config = DetectorConfig(method="windows", min_size=22.0, max_size=34.0, min_score=0.2)
    small, large = (Detector(params, config, min_bucket=side).detect(image) for side in (64, 128))
    assert len(small.labels) > 0
    np.testing.assert_array_equal(large.boxes_xyxy, small.boxes_xyxy)
    np.testing.assert_array_equal(large.labels, small.labels)
    np.testing.assert_allclose(large.windows_xyxy, small.windows_xyxy, atol=1e-4)
    np.testing.assert_allclose(large.scores, small.scores, atol=1e-4)


@pytest.mark.slow
def test_images_of_many_sizes_and_thresholds_share_one_program(params: Params) -> None:
    count_programs = find_detections._cache_size  # type: ignore[attr-defined]
    before = count_programs()
    for k, (height, width) in enumerate([(129, 10), (200, 256), (7, 130), (256, 256), (177, 1)]):
        scores: dict[str, Any] = {"min_score": k / 10, "photo_min_score": k / 5}
        scores["reliability"] = ((0.0, 0.0), (0.5, 0.5 + k / 20), (1.0, 1.0))
        config = DetectorConfig(method="windows", min_size=28.0, max_size=28.0, **scores)
        Detector(params, config).detect(np.zeros((height, width), np.uint8))
    assert count_programs() <= before + 1
