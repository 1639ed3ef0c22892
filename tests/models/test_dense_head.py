"""The dense layers of a tile's windows against those of each window's features."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import digits_jax
from digits_jax.models.fcn.dense_head import dense_head
from digits_jax.models.fcn.features import CELL_CLASSES, Maps


@pytest.fixture(scope="module")
def maps() -> Maps:
    """Random layer-5 cells of 11 × 20 windows."""
    keys = iter(jax.random.split(jax.random.key(1), 25))
    return {
        (y, x): jax.random.normal(next(keys), (11 + 12, 20 + 12, 64))
        for y, x in product(range(5), range(5))
    }


@pytest.mark.parametrize("precision", [lax.Precision.HIGHEST, lax.Precision.HIGH])
@pytest.mark.parametrize("size", [(11, 20), (9, 1), (1, 17)])
def test_logits_equal_the_dense_layers_of_each_windows_features(
    maps: Maps, precision: lax.Precision, size: tuple[int, int]
) -> None:
    """HIGHEST uses minimal filtering. No size is a multiple of its blocks of eight windows."""
    params = digits_jax.init(jax.random.key(0))
    params["dense1"]["bias"] += 0.1
    logits = dense_head(params, precision=precision)(maps, size)
    assert logits.shape == (*size, 10)
    for row, column in {(0, 0), (size[0] - 1, size[1] - 1), (size[0] // 2, size[1] // 2)}:
        features = np.concatenate(
            [
                maps[CELL_CLASSES[q], CELL_CLASSES[p]][row + 2 * q, column + 2 * p]
                for q in range(7)
                for p in range(7)
            ]
        )
        hidden = jax.nn.relu(features @ params["dense1"]["kernel"] + params["dense1"]["bias"])
        expected = hidden @ params["dense2"]["kernel"] + params["dense2"]["bias"]
        np.testing.assert_allclose(logits[row, column], expected, rtol=0, atol=1e-4)


def test_default_precision_rounds_factors_to_bfloat16_and_nothing_else(
    maps: Maps,
) -> None:
    params = digits_jax.init(jax.random.key(0))
    logits = dense_head(params, precision=lax.Precision.DEFAULT)(maps, (9, 17))

    def rounded(array: jax.Array) -> np.ndarray:
        return np.asarray(array.astype(jnp.bfloat16), np.float64)

    kernels = [rounded(params[layer]["kernel"]) for layer in ("dense1", "dense2")]
    for row, column in [(0, 0), (4, 11), (8, 16)]:
        features = [
            rounded(maps[CELL_CLASSES[q], CELL_CLASSES[p]][row + 2 * q, column + 2 * p])
            for q in range(7)
            for p in range(7)
        ]
        hidden = np.maximum(np.concatenate(features) @ kernels[0], 0)
        expected = rounded(jnp.asarray(hidden, jnp.float32)) @ kernels[1]
        # A hidden cell at the border of two bfloat16 may come out as the other, 1/256 away.
        np.testing.assert_allclose(logits[row, column], expected, rtol=0, atol=2e-3)


def test_minimal_filtering_is_for_highest_precision_only(maps: Maps) -> None:
    """It multiplies sums of cells, whose rounding to bfloat16 or TF32 would lose more."""
    params = digits_jax.init(jax.random.key(0))

    def count_dots(precision: lax.Precision) -> int:
        head = dense_head(params, precision=precision)
        return str(jax.make_jaxpr(lambda maps: head(maps, (11, 20)))(maps)).count("dot_general")

    assert count_dots(lax.Precision.HIGH) == count_dots(lax.Precision.DEFAULT) == 2
    assert count_dots(lax.Precision.HIGHEST) > 12
