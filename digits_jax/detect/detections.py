"""The result of a detection: `Detections` of one image, `BatchDetections` of several."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8


class Detections(NamedTuple):
    """The digits of one image, by descending score."""

    boxes_xyxy: Int64[np.ndarray, "n 4"]  # px of the image, tight around the ink, x1, y1 exclusive
    windows_xyxy: Float32[np.ndarray, "n 4"]  # px; the network's windows, may exceed the image
    labels: Int64[np.ndarray, " n"]  # 0–9
    scores: Float32[np.ndarray, " n"]  # 0–1, the share of such detections that are right
    truncated: bool  # whether candidates over max_detections were dropped
    # The ten probabilities of each digit; None where method="windows" found them.
    probabilities: Float32[np.ndarray, "n 10"] | None = None
    # Each digit's own ink, bright on black, framed as MNIST's digits are; None as above.
    crops: UInt8[np.ndarray, "n 28 28"] | None = None

    @property
    def overflow(self) -> bool:
        """The former name of `truncated`."""
        return self.truncated

    def from_score(self, score: float) -> "Detections":
        """Returns the detections of at least this score, 0–1. `truncated` stays as it is."""
        selected = self.scores >= score
        boxes, windows, labels, scores = (array[selected] for array in self[:4])
        probabilities = None if self.probabilities is None else self.probabilities[selected]
        crops = None if self.crops is None else self.crops[selected]
        return Detections(boxes, windows, labels, scores, self.truncated, probabilities, crops)


class BatchDetections(NamedTuple):
    """The digits of images of equal size, by descending score, padded to one number k."""

    boxes_xyxy: Int64[np.ndarray, "n k 4"]
    windows_xyxy: Float32[np.ndarray, "n k 4"]
    labels: Int64[np.ndarray, "n k"]
    scores: Float32[np.ndarray, "n k"]
    valid: Bool[np.ndarray, "n k"]  # which entries are digits; the others are padding
    truncated: Bool[np.ndarray, " n"]  # whether candidates over max_detections were dropped
    probabilities: Float32[np.ndarray, "n k 10"] | None = None  # as for `Detections`
    crops: UInt8[np.ndarray, "n k 28 28"] | None = None  # as for `Detections`

    @classmethod
    def of_images(cls, images: Sequence[Detections]) -> "BatchDetections":
        """Pads the detections of each image to the number that the one with the most has."""
        valid = np.zeros((len(images), max(len(image.labels) for image in images)), bool)
        for row, image in zip(valid, images, strict=True):
            row[: len(image.labels)] = True

        def padded(arrays: Sequence[np.ndarray]) -> np.ndarray:
            result = np.zeros((*valid.shape, *arrays[0].shape[1:]), arrays[0].dtype)
            result[valid] = np.concatenate(arrays)
            return result

        columns: Any = [padded(arrays) for arrays in zip(*(i[:4] for i in images), strict=True)]
        boxes, windows, labels, scores = columns
        truncated = np.array([image.truncated for image in images])
        optional: Any = zip(*((i.probabilities, i.crops) for i in images), strict=True)
        probabilities, crops = (
            None if any(array is None for array in arrays) else padded(arrays)
            for arrays in optional
        )
        return cls(boxes, windows, labels, scores, valid, truncated, probabilities, crops)

    @property
    def overflow(self) -> Bool[np.ndarray, " n"]:
        """The former name of `truncated`."""
        return self.truncated

    def of_image(self, i: int) -> Detections:
        """Returns the detections of image i, without the padding."""
        valid = self.valid[i]
        return Detections(
            self.boxes_xyxy[i][valid],
            self.windows_xyxy[i][valid],
            self.labels[i][valid],
            self.scores[i][valid],
            bool(self.truncated[i]),
            None if self.probabilities is None else self.probabilities[i][valid],
            None if self.crops is None else self.crops[i][valid],
        )
