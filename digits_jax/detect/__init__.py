"""Detection of digits in whole images: `detect`, `detect_batch` and the response maps."""

from digits_jax.detect.config import DetectorConfig
from digits_jax.detect.detections import BatchDetections, Detections
from digits_jax.detect.detector import Detector, detect, detect_batch
from digits_jax.models.fcn.response_maps import (
    ResponseMaps,
    patch_maps,
    response_maps,
    window_of_cell,
)

__all__ = [
    "BatchDetections",
    "Detections",
    "Detector",
    "DetectorConfig",
    "ResponseMaps",
    "detect",
    "detect_batch",
    "patch_maps",
    "response_maps",
    "window_of_cell",
]
