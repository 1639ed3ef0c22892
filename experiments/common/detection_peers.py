"""Other ways to detect digits: an OpenCV pipeline around our own classifier, and RapidOCR."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from digits_jax.models.cnn import INPUT_SIDE, Params
from digits_jax.models.export.onnx import classifier_to_onnx

DIGIT_SIDE = 20  # px of the longer side of a digit in MNIST's images
MIN_HEIGHT, MIN_WIDTH, MIN_AREA = 8, 2, 12  # px: smaller components are noise
ASPECTS = (0.08, 2.2)  # width ÷ height of components that may be a digit
MIN_THRESHOLD, OTSU_SHARE = 70, 0.8  # grey levels of ink; share of Otsu's threshold
TEXT_BORDER = 10  # px of paper around the image: RapidOCR misses text at the edge


class PeerDetections(NamedTuple):
    """Detections as `score_detections` takes them."""

    boxes_xyxy: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


Peer = Callable[[np.ndarray], PeerDetections]  # takes a grey or an RGB image, uint8


def opencv_pipeline(params: Params, threads: int = 2) -> Peer:
    """Returns the pipeline that most tutorials write, around our own network in ONNX Runtime.

    It subtracts the background (a wide median), thresholds (Otsu, 1979), labels connected
    components, frames each as MNIST's makers did, and classifies them. The score is the margin.

    Args:
      params: the classifier's, as `load_pretrained` returns them.
      threads: threads of ONNX Runtime.
    """
    import cv2

    network = _onnx_classifier(params, threads)

    def detect(image: np.ndarray) -> PeerDetections:
        ink = _subtract_background(image)
        otsu, _ = cv2.threshold(ink, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        mask = (ink > max(MIN_THRESHOLD, OTSU_SHARE * otsu)).astype(np.uint8)
        count, components, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        boxes, digits = [], []
        for number in range(1, count):
            x, y, width, height, area = stats[number].tolist()
            if height < MIN_HEIGHT or width < MIN_WIDTH or area < MIN_AREA:
                continue
            if not ASPECTS[0] <= width / height <= ASPECTS[1]:
                continue
            crop = np.s_[y : y + height, x : x + width]
            component = (components[crop] == number).astype(np.uint8)
            own = cv2.dilate(component, np.ones((3, 3), np.uint8))  # with its antialiased edge
            digits.append(_frame(ink[crop] * own))
            boxes.append((x, y, x + width, y + height))
        if not boxes:
            return _no_detections()
        probabilities = network(np.stack(digits)[..., None])
        best_two = np.sort(probabilities, axis=1)[:, -2:]
        margins = best_two[:, 1] - best_two[:, 0]
        return PeerDetections(np.array(boxes), probabilities.argmax(axis=1), margins)

    return detect


def rapidocr_digits(limit_side_len: int = 320) -> Peer:
    """Returns RapidOCR with the models in its wheel, restricted to digits.

    It has no list of allowed characters, so the probabilities of all others, except CTC's blank,
    are set to zero before decoding. Lines are split into equal widths, and these are shrunk to
    their ink. The score is that of the line.

    Args:
      limit_side_len: RapidOCR's `Det.limit_side_len`, px.
    """
    from rapidocr import RapidOCR

    engine: Any = RapidOCR(
        params={
            "Global.use_cls": False,
            "Global.log_level": "critical",
            "Global.text_score": 0.0,
            "Global.width_height_ratio": -1,
            "Det.limit_side_len": limit_side_len,
            "Det.limit_type": "min",
        }
    )
    blank = np.full((48, 320, 3), 255, np.uint8)
    engine(blank, use_det=False, use_cls=False, use_rec=True)  # loads the recogniser
    decoder = engine.text_rec.postprocess_op
    allowed = np.array([c == "blank" or c in "0123456789" for c in decoder.character])
    decode = type(decoder).__call__

    class DigitDecoder(type(decoder)):  # type: ignore[misc]
        def __call__(self, preds: np.ndarray, *args: Any, **kwargs: Any) -> Any:
            return decode(self, np.where(allowed, preds, 0), *args, **kwargs)

    decoder.__class__ = DigitDecoder

    def detect(image: np.ndarray) -> PeerDetections:
        ink = _subtract_background(image)
        page = np.pad(255 - ink, TEXT_BORDER, constant_values=255)
        rgb = np.repeat(page[..., None], 3, axis=2)
        # A call keeps the options of the one before, so all of them are given.
        result = engine(rgb, use_det=True, use_cls=False, use_rec=True)
        boxes, labels, scores = [], [], []
        lines = zip(result.boxes, result.txts, result.scores, strict=True) if result.txts else ()
        for corners, text, score in lines:
            x0, y0 = np.floor(corners.min(axis=0) - TEXT_BORDER).clip(0).astype(int)
            x1, y1 = np.ceil(corners.max(axis=0) - TEXT_BORDER).astype(int)
            edges = np.linspace(x0, x1, len(text) + 1).round().astype(int)
            for digit, left, right in zip(text, edges[:-1], edges[1:], strict=True):
                if digit.isdigit():
                    boxes.append(_shrink(ink, left, y0, max(right, left + 1), max(y1, y0 + 1)))
                    labels.append(int(digit))
                    scores.append(float(score))
        if not boxes:
            return _no_detections()
        return PeerDetections(np.array(boxes), np.array(labels), np.array(scores))

    return detect


def _onnx_classifier(params: Params, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "classifier.onnx"
        path.write_bytes(classifier_to_onnx(params))
        session = onnxruntime.InferenceSession(str(path), options)

    def probabilities(images: np.ndarray) -> np.ndarray:
        (logits,) = session.run(None, {"images": images.astype(np.float32)})
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))

    return probabilities


def _subtract_background(image: np.ndarray) -> np.ndarray:
    """Returns the distance from a wide median, the largest of the channels, at full contrast."""
    import cv2

    width = min(max(31, min(image.shape[:2]) // 3 | 1), 255)
    distance = np.abs(image.astype(np.float32) - cv2.medianBlur(image, width))
    if distance.ndim == 3:
        distance = distance.max(axis=2)
    white = max(float(np.percentile(distance, 99.7)), 40.0)
    return (255 * (distance / white).clip(0, 1)).astype(np.uint8)


def _frame(digit: np.ndarray) -> np.ndarray:
    """Scales a digit to 20 px on its longer side and moves its centre of mass to the middle."""
    import cv2

    scale = DIGIT_SIDE / max(digit.shape)
    height, width = (max(1, round(side * scale)) for side in digit.shape)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(digit.astype(np.float32), (width, height), interpolation=method)
    small = small / max(float(small.max()), 1.0)
    y, x = np.indices(small.shape)
    shift = [(INPUT_SIDE - 1) / 2 - float((axis * small).sum() / small.sum()) for axis in (x, y)]
    moved: Sequence[Any] = [[1, 0, shift[0]], [0, 1, shift[1]]]
    return np.asarray(cv2.warpAffine(small, np.array(moved, np.float32), (INPUT_SIDE,) * 2))


def _shrink(ink: np.ndarray, x0: int, y0: int, x1: int, y1: int) -> tuple[int, int, int, int]:
    """Returns the tight box of the ink inside a box, or the box where it has none."""
    rows, columns = np.nonzero(ink[y0:y1, x0:x1] > MIN_THRESHOLD)
    if not len(rows):
        return x0, y0, x1, y1
    left, right, top, bottom = columns.min(), columns.max(), rows.min(), rows.max()
    return x0 + int(left), y0 + int(top), x0 + int(right) + 1, y0 + int(bottom) + 1


def _no_detections() -> PeerDetections:
    return PeerDetections(np.zeros((0, 4), np.int64), np.zeros(0, np.int64), np.zeros(0))
