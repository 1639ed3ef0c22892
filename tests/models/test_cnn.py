"""The network against the paper's steps written out in NumPy and SciPy."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import correlate2d

import digits_jax
from digits_jax.models.cnn import Params


def test_init_has_the_paper_s_shapes_and_parameter_count() -> None:
    params = digits_jax.init(jax.random.key(0))
    shapes = jax.tree.map(lambda leaf: leaf.shape, params)
    assert shapes == {
        "conv1": {"kernel": (5, 5, 1, 32), "bias": (32,)},
        "conv2": {"kernel": (5, 5, 32, 64), "bias": (64,)},
        "dense1": {"kernel": (7 * 7 * 64, 1024), "bias": (1024,)},
        "dense2": {"kernel": (1024, 10), "bias": (10,)},
    }
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 3_274_634
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}


def test_init_is_a_function_of_its_key() -> None:
    same, again, other = (digits_jax.init(jax.random.key(seed)) for seed in (3, 3, 4))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, same, again))
    assert not jnp.array_equal(same["dense1"]["kernel"], other["dense1"]["kernel"])


def test_classify_is_the_paper_s_nine_steps() -> None:
    """Against the steps of section 3.1 written out in float64 with SciPy's correlation."""
    keys = iter(jax.random.split(jax.random.key(5), 20))
    params = digits_jax.init(next(keys))
    params = jax.tree.map(lambda p: p + 0.05 * jax.random.normal(next(keys), p.shape), params)
    image = jax.random.uniform(next(keys), (1, 28, 28, 1))
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)

    def conv(x: np.ndarray, layer: dict[str, np.ndarray]) -> np.ndarray:
        kernel = layer["kernel"]
        maps = [
            sum(correlate2d(x[:, :, c], kernel[:, :, c, o], "same") for c in range(x.shape[2]))
            for o in range(kernel.shape[3])
        ]
        return np.stack(maps, axis=-1) + layer["bias"]

    def pool(x: np.ndarray) -> np.ndarray:
        h, w, c = x.shape
        return x.reshape(h // 2, 2, w // 2, 2, c).max(axis=(1, 3))

    x = np.asarray(image[0], np.float64)
    x = np.maximum(pool(conv(x, p["conv1"])), 0)
    x = pool(conv(x, p["conv2"]))
    assert (x < 0).any()  # so that a relu after the second pool would show
    x = np.maximum(x.reshape(-1) @ p["dense1"]["kernel"] + p["dense1"]["bias"], 0)
    expected = x @ p["dense2"]["kernel"] + p["dense2"]["bias"]
    logits = digits_jax.classify(params, image)
    np.testing.assert_allclose(logits[0], expected, rtol=1e-4, atol=1e-4)


def test_compute_dtype_bfloat16_changes_logits_and_gradients_by_rounding_only() -> None:
    """bfloat16 has 8 bits: each factor is off by up to 0.4 %, which sums of many average out.

    Where two pixels of a cell nearly tie, the gradient may go to the other one.
    """
    params = digits_jax.init(jax.random.key(0))
    images = jax.random.uniform(jax.random.key(1), (8, 28, 28, 1))

    @partial(jax.jit, static_argnums=0)
    def logits_and_gradient(compute_dtype: str) -> tuple[jax.Array, Params]:
        def loss(params: Params) -> tuple[jax.Array, jax.Array]:
            logits = digits_jax.classify(params, images, compute_dtype=compute_dtype)
            return jax.nn.log_softmax(logits)[:, 3].mean(), logits

        gradient, logits = jax.grad(loss, has_aux=True)(params)
        return logits, gradient

    rounded, exact = (
        jax.tree.leaves(logits_and_gradient(dtype)) for dtype in ("bfloat16", "float32")
    )
    for array, expected in zip(rounded, exact, strict=True):
        assert array.dtype == jnp.float32
        error = float(jnp.linalg.norm(array - expected) / jnp.linalg.norm(expected))
        assert 1e-5 < error < 0.05


def test_logits_of_an_image_do_not_depend_on_its_batch() -> None:
    params = digits_jax.init(jax.random.key(0))
    images = jax.random.uniform(jax.random.key(1), (5, 28, 28, 1))
    alone = jnp.concatenate([digits_jax.classify(params, image[None]) for image in images])
    np.testing.assert_allclose(digits_jax.classify(params, images), alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((2, 28, 30, 1), "float32"), ((2, 28, 28, 1), "float16")]
)
@pytest.mark.usefixtures("unchecked")
def test_classify_refuses_other_shapes_and_dtypes(shape: tuple[int, ...], dtype: str) -> None:
    params = digits_jax.init(jax.random.key(0))
    with pytest.raises(ValueError, match=r"\[n, 28, 28, 1\] of float32 .* got \[2, 28, .*"):
        digits_jax.classify(params, jnp.zeros(shape, dtype))
