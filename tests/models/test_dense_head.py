from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import digits_jax
from digits_jax.models.fcn import dense_head as dense
from digits_jax.models.fcn.dense_head import dense_head
from digits_jax.models.fcn.features import CELLS, Maps


def test_six_products_give_four_sums_of_three() -> None:
    """Σ_t d[i + t] k[t], exact for numbers of few digits."""
    rng = np.random.default_rng(0)
    cells, taps = rng.integers(-9, 9, (50, 6)), 24 * rng.integers(-9, 9, (50, 3))
    a, b, g = (np.array(matrix) for matrix in (dense.A, dense.B, dense.G))
    assert b.shape == (6, 6)
    sums = ((taps @ g.T) * (cells @ b.T)) @ a.T
    expected = [(cells[:, i : i + 3] * taps).sum(axis=1) for i in range(4)]
    np.testing.assert_allclose(sums, np.stack(expected, axis=1), rtol=0, atol=1e-9)


@pytest.fixture(scope="module")
def maps() -> Maps:
    """Of 11 × 20 windows."""
    keys = iter(jax.random.split(jax.random.key(1), 25))
    return {
        (y, x): jax.random.normal(next(keys), (11 + 12, 20 + 12, 64))
        for y, x in product(range(5), range(5))
    }


@pytest.mark.parametrize("precision", [lax.Precision.HIGHEST, lax.Precision.HIGH])
@pytest.mark.parametrize("size", [(11, 20), (9, 1), (1, 17)])
def test_the_logits_are_those_of_its_windows_features(
    maps: Maps, precision: lax.Precision, size: tuple[int, int]
) -> None:
    """Whether products are shared or not, and whatever is left over of frames of eight windows."""
    params = digits_jax.init(jax.random.key(0))
    params["dense1"]["bias"] += 0.1
    found = dense_head(params, precision=precision)(maps, size)
    assert found.shape == (*size, 10)
    for row, column in {(0, 0), (size[0] - 1, size[1] - 1), (size[0] // 2, size[1] // 2)}:
        features = np.concatenate(
            [
                maps[CELLS[q], CELLS[p]][row + 2 * q, column + 2 * p]
                for q in range(7)
                for p in range(7)
            ]
        )
        hidden = jax.nn.relu(features @ params["dense1"]["kernel"] + params["dense1"]["bias"])
        expected = hidden @ params["dense2"]["kernel"] + params["dense2"]["bias"]
        np.testing.assert_allclose(found[row, column], expected, rtol=0, atol=1e-4)


def test_the_lowest_precision_rounds_what_is_multiplied_and_nothing_else(maps: Maps) -> None:
    params = digits_jax.init(jax.random.key(0))
    found = dense_head(params, precision=lax.Precision.DEFAULT)(maps, (9, 17))

    def rounded(array: jax.Array) -> np.ndarray:
        return np.asarray(array.astype(jnp.bfloat16), np.float64)

    kernels = [rounded(params[layer]["kernel"]) for layer in ("dense1", "dense2")]
    for row, column in [(0, 0), (4, 11), (8, 16)]:
        features = [
            rounded(maps[CELLS[q], CELLS[p]][row + 2 * q, column + 2 * p])
            for q in range(7)
            for p in range(7)
        ]
        hidden = np.maximum(np.concatenate(features) @ kernels[0], 0)
        expected = rounded(jnp.asarray(hidden, jnp.float32)) @ kernels[1]
        # A hidden cell at the border of two bfloat16 may come out as the other, 1/256 away.
        np.testing.assert_allclose(found[row, column], expected, rtol=0, atol=2e-3)


def test_rounded_factors_are_of_products_of_their_own(maps: Maps) -> None:
    """Fewer products would be of sums of cells, whose rounding to bfloat16 or TF32 costs more."""
    params = digits_jax.init(jax.random.key(0))

    def products(precision: lax.Precision) -> int:
        logits = dense_head(params, precision=precision)
        return str(jax.make_jaxpr(lambda maps: logits(maps, (11, 20)))(maps)).count("dot_general")

    assert products(lax.Precision.HIGH) == products(lax.Precision.DEFAULT) == 2
    assert products(lax.Precision.HIGHEST) > 12
