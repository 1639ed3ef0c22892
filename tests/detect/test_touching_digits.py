"""The search in components of ink, where digits touch."""

import numpy as np
from clear_digits import ClearDigits, touching

from digits_jax.detect.candidates import Candidate, Cluster
from digits_jax.detect.component_search import find_candidates
from digits_jax.detect.components import split_mask
from digits_jax.detect.config import DEFAULT_CONFIG
from digits_jax.detect.crop_classifier import Classify
from digits_jax.detect.detector import Detector
from digits_jax.detect.selection import soft_nms
from digits_jax.images.box_iou import box_iou


def test_touching_digits_are_two_detections(detector: Detector, clear_digits: ClearDigits) -> None:
    """Of those of 40 pairs that the network does not take for one digit, three in five at least."""
    digits = clear_digits.of_sides([40] * 80)
    pairs = list(zip(digits[::2], digits[1::2], strict=True))
    pictures = [touching(*pair) for pair in pairs]
    margins = clear_digits.margins([image for image, _ in pictures])
    right = []
    for pair, (image, boxes), margin in zip(pairs, pictures, margins, strict=True):
        if margin < DEFAULT_CONFIG.components.sure_score:
            detections = detector.detect(image)
            order = np.argsort(detections.boxes_xyxy[:, 0])
            right.append(
                detections.labels[order].tolist() == [digit.label for digit in pair]
                and (np.diag(box_iou(detections.boxes_xyxy[order], boxes)) > 0.6).all()
            )
    assert len(right) >= 10
    assert np.mean(right) >= 0.6


def test_what_the_best_candidates_leave_of_touching_digits_is_read_too(
    classify: Classify, clear_digits: ClearDigits
) -> None:
    """The ink of such candidates is all that better ones do not explain, where it is connected."""
    digits = clear_digits.of_sides([40] * 24)
    count = 0
    for pair in zip(digits[::2], digits[1::2], strict=True):
        image, _ = touching(*pair)
        (cluster,) = candidates_of(image, classify)
        others = Cluster(cluster.ink_px, [c for c in cluster.candidates if c.kind != "rest"])
        explained = np.zeros(image.shape, bool)
        for visit in soft_nms(others, DEFAULT_CONFIG.selection):
            if visit.selected and visit.log_odds > 0:
                mark_ink(explained, others.candidates[visit.candidate])
        unexplained = (image > DEFAULT_CONFIG.components.ink_threshold * 255) & ~explained
        pieces = [part.box for part in split_mask(image, unexplained, (0, 0), 1.0)]
        for candidate in cluster.candidates:
            if candidate.kind == "rest":
                count += 1
                assert candidate.box in pieces
                own = np.zeros(image.shape, bool)
                mark_ink(own, candidate)
                assert not (own & explained).any()
    assert count >= 3


def candidates_of(image: np.ndarray, classify: Classify) -> list[Cluster]:
    search = find_candidates(image, DEFAULT_CONFIG)
    crops = next(search)
    while True:
        try:
            crops = search.send(classify([crops]))
        except StopIteration as finished:
            clusters: list[Cluster] = finished.value
            return clusters


def mark_ink(page: np.ndarray, candidate: Candidate) -> None:
    """Marks the ink of a candidate in a page, in place."""
    x0, y0, x1, y1 = candidate.box
    page[y0:y1, x0:x1] |= candidate.mask
