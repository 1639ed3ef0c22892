"""The pictures that are drawn for a run."""

import cv2
import pytest

from digits_jax.data.mnist import load_mnist
from digits_jax.train import pictures
from digits_jax.train.named_configs import CONFIGS


def test_opencv_draws_with_one_thread_and_gets_its_threads_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        assert cv2.getNumThreads() == 1
        raise OSError("no pen")

    before = cv2.getNumThreads()
    monkeypatch.setattr(pictures, "draw_other_hands", fail)
    cv2.setNumThreads(3)
    try:
        with pytest.raises(OSError, match="no pen"):
            pictures.draw_pictures(load_mnist().train, CONFIGS["standard"])
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)
