"""The loss, its gradient on several devices, and the optimizers' updates."""

import dataclasses
from functools import partial

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array
from training_cases import SGD, mesh_of

from digits_jax.data.mnist import Dataset
from digits_jax.eval.flops import count_flops
from digits_jax.models.cnn import Params, classify, init
from digits_jax.train.batch import Batch, sample_batch
from digits_jax.train.config import TrainConfig
from digits_jax.train.named_configs import CONFIGS
from digits_jax.train.step import (
    TrainState,
    apply_gradients,
    initial_state,
    loss_and_accuracy,
    train_step,
)


def test_the_loss_of_digits_is_the_mean_cross_entropy() -> None:
    params = jax.tree.map(jnp.zeros_like, init(jax.random.key(0)))
    params["dense2"]["bias"] = jnp.log(jnp.array([0.5] + [0.5 / 9] * 9))
    labels = jnp.array([0, 3, 0, 0], jnp.uint8)
    batch = Batch(jnp.zeros((4, 28, 28, 1)), labels, jnp.ones(4))
    loss, accuracy = loss_and_accuracy(params, batch, mesh_of(1))
    assert loss == pytest.approx(-(3 * np.log(0.5) + np.log(0.5 / 9)) / 4)
    assert accuracy == 0.75


@pytest.mark.parametrize("devices", [2, 4])
def test_several_devices_give_the_gradients_of_one(devices: int, train_digits: Dataset) -> None:
    params = init(jax.random.key(0))
    batch = sample_batch(jax.random.key(1), train_digits, 16)

    def gradients(mesh: Mesh) -> tuple[jax.Array, dict[str, dict[str, jax.Array]]]:
        sharded = jax.device_put(batch, NamedSharding(mesh, P("data")))
        replicated = jax.device_put(params, NamedSharding(mesh, P()))
        program = jax.jit(
            lambda p, b: jax.value_and_grad(loss_and_accuracy, has_aux=True)(p, b, mesh)
        )
        (loss, _), grads = program(replicated, sharded)
        return loss, grads

    loss, expected = gradients(mesh_of(1))
    loss_of_several, grads = gradients(mesh_of(devices))
    assert loss_of_several == pytest.approx(float(loss), rel=1e-6)
    for actual, reference in zip(jax.tree.leaves(grads), jax.tree.leaves(expected), strict=True):
        scale = float(jnp.abs(reference).max())
        np.testing.assert_allclose(actual, reference, rtol=0, atol=3e-6 * scale)


def test_a_negative_s_loss_is_least_at_uniform_probabilities() -> None:
    mesh = mesh_of(1)
    params = jax.tree.map(jnp.zeros_like, init(jax.random.key(0)))

    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def loss_and_gradient(
        bias: jax.Array, params: Params, labels: jax.Array, confidence: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        biased = {**params, "dense2": {**params["dense2"], "bias": bias}}
        batch = Batch(jnp.zeros((4, 28, 28, 1)), labels, confidence)
        return loss_and_accuracy(biased, batch, mesh)

    labels = jnp.array([2, 3, 7, 9], jnp.uint8)
    (loss, accuracy), gradient = loss_and_gradient(jnp.zeros(10), params, labels, jnp.zeros(4))
    assert loss == pytest.approx(np.log(10))
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
    assert accuracy == 0  # there are no digits
    p = np.full(10, 0.05)
    p[2] = 0.55
    unequal = jnp.asarray(np.log(p), jnp.float32)
    expected = -np.log(p).mean()
    assert expected > np.log(10)
    (loss, _), gradient = loss_and_gradient(unequal, params, labels, jnp.zeros(4))
    assert loss == pytest.approx(expected)
    np.testing.assert_allclose(gradient, p - 0.1, atol=1e-6)
    # Two digits, one of them correct, and two negatives: the accuracy counts the digits only.
    (loss, accuracy), _ = loss_and_gradient(unequal, params, labels, jnp.array([1.0, 0, 1, 0]))
    assert loss == pytest.approx((-np.log(0.55) - np.log(0.05) + 2 * expected) / 4)
    assert accuracy == 0.5
    # The loss of a jittered crop with confidence 0.5 is least at a margin of 0.5; it is no digit.
    twos = jnp.full(4, 2, jnp.uint8)
    (_, accuracy), gradient = loss_and_gradient(unequal, params, twos, jnp.full(4, 0.5))
    assert p[2] - np.delete(p, 2).max() == pytest.approx(0.5)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
    assert accuracy == 0


def test_label_smoothing_mixes_the_targets_with_the_uniform_distribution() -> None:
    p = np.full(10, 0.05)
    p[0] = 0.55
    params = jax.tree.map(jnp.zeros_like, init(jax.random.key(0)))
    params["dense2"]["bias"] = jnp.asarray(np.log(p), jnp.float32)
    labels = jnp.array([0, 3], jnp.uint8)
    batch = Batch(jnp.zeros((2, 28, 28, 1)), labels, jnp.array([1.0, 0.5]))
    loss, accuracy = loss_and_accuracy(params, batch, mesh_of(1), label_smoothing=0.2)
    digit = -(0.8 * np.log(p[0]) + 0.2 * np.log(p).mean())
    crop = -(0.4 * np.log(p[3]) + 0.6 * np.log(p).mean())
    assert loss == pytest.approx((digit + crop) / 2)
    assert accuracy == 1  # of the digit; the other window is a jittered crop


def _gradient_and_step(
    state: TrainState, batch: Batch, config: TrainConfig
) -> tuple[Params, TrainState]:
    mesh = mesh_of(1)
    gradient = jax.jit(lambda p: jax.grad(loss_and_accuracy, has_aux=True)(p, batch, mesh)[0])
    step = jax.jit(lambda s, b: train_step(s, b, jax.random.key(2), config=config, mesh=mesh)[0])
    return gradient(state.params), step(state, batch)


def test_sgd_is_theta_minus_alpha_times_the_gradient(train_digits: Dataset) -> None:
    config = dataclasses.replace(SGD, translate_px=0)
    state = initial_state(config, jax.random.key(0))
    batch = sample_batch(jax.random.key(1), train_digits, 16)
    grads, updated = _gradient_and_step(state, batch, config)
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, grads)
    for actual, reference in zip(
        jax.tree.leaves(updated.params), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(actual, reference, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("optax_promotion")
def test_adam_s_first_update_is_the_learning_rate_times_the_gradient_s_sign(
    train_digits: Dataset,
) -> None:
    """g/√(g²) = ±1 after bias correction (Kingma and Ba, 2015), where |g| is well above ε."""
    config = dataclasses.replace(CONFIGS["paper"], batch_size=16, translate_px=0)
    state = initial_state(config, jax.random.key(0))
    batch = sample_batch(jax.random.key(1), train_digits, 16)
    grads, updated = _gradient_and_step(state, batch, config)
    gradient = np.asarray(grads["conv2"]["kernel"])
    moved = np.asarray(updated.params["conv2"]["kernel"] - state.params["conv2"]["kernel"])
    large = np.abs(gradient) > 1e-4
    assert large.sum() > 1000
    np.testing.assert_allclose(moved[large], -1e-4 * np.sign(gradient[large]), atol=2e-7)


@pytest.mark.usefixtures("optax_promotion")
def test_muon_s_updates_are_the_gradients_made_orthogonal(train_digits: Dataset) -> None:
    """With the gradient's singular values all near 1; those of layers 1 and 8 are Adam's.

    Layer 6 is a 7×7 convolution: each of its 49 places is a matrix by itself. Newton-Schulz
    iterations bring singular values to 0.6–1.2 (Jordan, 2024), the very small ones to less.
    """
    config = dataclasses.replace(
        CONFIGS["paper"], batch_size=16, translate_px=0, optimizer="muon", learning_rate=1e-3
    )
    state = initial_state(config, jax.random.key(0))
    batch = sample_batch(jax.random.key(1), train_digits, 16)
    grads, updated = _gradient_and_step(state, batch, config)
    moved = jax.tree.map(lambda new, old: np.asarray(new - old), updated.params, state.params)
    for layer, shape in (("conv2", (1, 800, 64)), ("dense1", (49, 64, 1024))):
        gradients = np.asarray(grads[layer]["kernel"]).reshape(shape)
        updates = moved[layer]["kernel"].reshape(shape) / -5e-3
        for gradient, update in zip(gradients[::12], updates[::12], strict=True):
            left, singular, right = np.linalg.svd(gradient, full_matrices=False)
            along = np.einsum("ik,ij,kj->k", left, update, right)  # in the gradient's directions
            assert (along[singular > 0.03 * singular[0]] > 0.5).all()
            assert np.linalg.svd(update, compute_uv=False).max() < 1.3
    for layer in ("conv1", "dense2"):
        gradient, update = np.asarray(grads[layer]["kernel"]), moved[layer]["kernel"]
        large = np.abs(gradient) > 1e-4
        assert large.sum() > 700
        np.testing.assert_allclose(update[large], -1e-3 * np.sign(gradient[large]), atol=2e-6)


@pytest.mark.parametrize(("share", "windows"), [(0.0, 0), (0.25, 2), (0.3, 3), (1.0, 8)])
def test_convolutions_learn_from_the_first_windows_of_each_device(
    train_digits: Dataset, share: float, windows: int
) -> None:
    """Two devices have eight windows each; the mean is over all sixteen."""
    mesh, params = mesh_of(2), initial_state(SGD, jax.random.key(0)).params
    batch = sample_batch(jax.random.key(1), train_digits, 16)
    mean_loss = partial(loss_and_accuracy, mesh=mesh, convolution_share=share)
    differentiate = jax.jit(jax.value_and_grad(mean_loss, has_aux=True))
    (loss, accuracy), grads = differentiate(params, batch)

    def sum_of_losses(params: Params, rows: list[int]) -> Array:
        logits = classify(params, batch.images[jnp.array(rows)])
        labels = batch.labels[jnp.array(rows)].astype(jnp.int32)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).sum() / 16

    whole, of_all = jax.value_and_grad(sum_of_losses)(params, [*range(16)])
    rows = [*range(windows), *range(8, 8 + windows)]
    of_some = (
        jax.grad(sum_of_losses)(params, rows) if rows else jax.tree.map(jnp.zeros_like, params)
    )
    assert loss == pytest.approx(float(whole), rel=1e-5)
    assert 0 < accuracy < 1
    for layer, values in grads.items():
        expected = of_some if layer.startswith("conv") else of_all
        for name, value in values.items():
            np.testing.assert_allclose(value, expected[layer][name], atol=1e-6)


def test_steps_whose_convolutions_learn_from_fewer_windows_do_less_work(
    train_digits: Dataset,
) -> None:
    batch = sample_batch(jax.random.key(1), train_digits, 16)
    flops = []
    for share in (1.0, 0.5, 0.0):
        config = dataclasses.replace(SGD, convolution_share=share)
        step = partial(apply_gradients, config=config, mesh=mesh_of(1))
        flops.append(count_flops(step, initial_state(config, jax.random.key(0)), batch))
    # Layer 4 costs 20 of a window's 28 MFLOP in the forward pass, and twice as much backward.
    assert flops[2] / flops[0] == pytest.approx((28 + 13) / (28 + 13 + 40 + 2), abs=0.03)
    assert flops[1] == pytest.approx((flops[0] + flops[2]) / 2, rel=0.01)
