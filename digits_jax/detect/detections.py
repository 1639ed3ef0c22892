"""The result of a detection: `Detections` of one image, `BatchDetections` of several."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64


class Detections(NamedTuple):
    """The digits of one image, by descending score."""

    boxes_xyxy: Int64[np.ndarray, "n 4"]  # px of the image, tight around the ink, x1, y1 exclusive
    windows_xyxy: Float32[np.ndarray, "n 4"]  # px; the network's windows, may exceed the image
    labels: Int64[np.ndarray, " n"]  # 0–9
    scores: Float32[np.ndarray, " n"]  # 0–1, calibrated
    truncated: bool  # whether candidates over max_detections were dropped

    @property
    def overflow(self) -> bool:
        """The former name of `truncated`."""
        return self.truncated

    def from_score(self, score: float) -> "Detections":
        """Returns the detections of at least this score, 0–1. `truncated` stays as it is."""
        selected = self.scores >= score
        boxes, windows, labels, scores = (array[selected] for array in self[:4])
        return Detections(boxes, windows, labels, scores, self.truncated)


class BatchDetections(NamedTuple):
    """The digits of images of equal size, by descending score, padded to max_detections."""

    boxes_xyxy: Int64[np.ndarray, "n k 4"]
    windows_xyxy: Float32[np.ndarray, "n k 4"]
    labels: Int64[np.ndarray, "n k"]
    scores: Float32[np.ndarray, "n k"]
    valid: Bool[np.ndarray, "n k"]  # which entries are digits; the others are padding
    truncated: Bool[np.ndarray, " n"]  # whether candidates over max_detections were dropped

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
        )
