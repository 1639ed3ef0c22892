"""The conversion of 8-bit grey values to float32."""

import jax
import jax.numpy as jnp
import numpy as np

from digits_jax.images.pixels import uint8_to_float

ALL_LEVELS = np.arange(256, dtype=np.uint8)


def test_numpy_grey_values_become_float32_in_0_to_1() -> None:
    values = uint8_to_float(ALL_LEVELS)
    assert isinstance(values, np.ndarray)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, np.arange(256, dtype=np.float32) / np.float32(255))
    assert (values[0], values[255]) == (0, 1)


def test_jax_grey_values_become_float32_in_0_to_1() -> None:
    values = uint8_to_float(jnp.asarray(ALL_LEVELS))
    assert isinstance(values, jax.Array)
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values, uint8_to_float(ALL_LEVELS), rtol=1e-7)
    np.testing.assert_array_equal(jax.jit(uint8_to_float)(jnp.asarray(ALL_LEVELS)), values)


def test_the_shape_stays_and_the_values_return_by_rounding() -> None:
    image = ALL_LEVELS.reshape(4, 8, 8)
    values = uint8_to_float(image)
    assert values.shape == image.shape
    np.testing.assert_array_equal(np.rint(255 * values), image)
