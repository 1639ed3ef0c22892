"""The compiled program of one or many steps a call."""

import dataclasses
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from training_cases import SGD, mesh_of

from digits_jax.data.mnist import Dataset
from digits_jax.runtime.errors import ArgumentError
from digits_jax.train.batch import sample_batch
from digits_jax.train.config import TrainConfig
from digits_jax.train.hands.draw import other_hands_spec
from digits_jax.train.multi_step import make_multi_step
from digits_jax.train.named_configs import CONFIGS
from digits_jax.train.negatives.draw import NegativePictures, negatives_spec
from digits_jax.train.pictures import DrawnPictures
from digits_jax.train.step import TrainState, initial_state, train_step


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_a_loop_on_several_devices_equals_single_steps_on_one(
    devices: int, train_digits: Dataset
) -> None:
    """The first call augments two batches ahead and then two more, of which it uses one."""
    final = _train_sgd(train_digits, mesh_of(devices), max_steps=3, calls=[3, 2])
    expected = _train_sgd(train_digits, mesh_of(1), max_steps=1, calls=[1] * 5)
    assert int(final.step) == int(expected.step) == 5
    for actual, reference in zip(
        jax.tree.leaves(final.params), jax.tree.leaves(expected.params), strict=True
    ):
        np.testing.assert_allclose(actual, reference, rtol=0, atol=1e-6)


def _train_sgd(digits: Dataset, mesh: Mesh, *, max_steps: int, calls: list[int]) -> TrainState:
    replicated = NamedSharding(mesh, P())
    state = jax.device_put(initial_state(SGD, jax.random.key(0)), replicated)
    digits, key = jax.device_put((digits, jax.random.key(1)), replicated)
    multi_step = make_multi_step(SGD, mesh, max_steps=max_steps, batches_ahead=2)
    for count in calls:
        state, _ = multi_step(state, digits, key, count)
    return state


@pytest.mark.slow
def test_negatives_are_drawn_once_in_a_thread_and_shown_in_the_windows(
    train_digits: Dataset,
) -> None:
    """Two steps on two devices, whose windows are composed ahead, equal two single ones on one."""
    rng, threads = np.random.default_rng(5), []
    noise = NegativePictures(
        *(rng.integers(0, 256, p.shape).astype(np.uint8) for p in negatives_spec()[:2])
    )

    def draw(digits: Dataset, config: TrainConfig) -> DrawnPictures:
        threads.append(threading.current_thread())
        return DrawnPictures(noise)

    config = dataclasses.replace(
        SGD,
        negative_shapes=0.4,
        negative_textures=0.4,
        scale=1.25,
        rotation_deg=10.0,
        elastic_sigma_px=1.0,
        neighbours=1.2,
        jittered_crops=0.1,
    )
    multi_step = make_multi_step(config, mesh_of(2), max_steps=2, draw_pictures=draw)
    key, state = jax.random.key(1), initial_state(config, jax.random.key(0))

    @jax.jit
    def single_step(state: TrainState, negatives: NegativePictures) -> TrainState:
        sample_key, step_key = jax.random.split(jax.random.fold_in(key, state.step))
        batch = sample_batch(sample_key, train_digits, config.batch_size)
        return train_step(
            state, batch, step_key, config=config, mesh=mesh_of(1), negatives=negatives
        )[0]

    def kernel(state: TrainState) -> np.ndarray:
        return np.asarray(state.params["conv1"]["kernel"])

    one = single_step(state, noise)
    other = single_step(state, noise._replace(clutter=noise.clutter[::-1]))
    assert np.abs(kernel(other) - kernel(one)).max() > 1e-5
    trained, _ = multi_step(state, train_digits, key, 2)
    trained, _ = multi_step(trained, train_digits, key, 0)
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()
    np.testing.assert_allclose(kernel(trained), kernel(single_step(one, noise)), rtol=0, atol=1e-6)


def test_digits_in_other_hands_are_trained_on_without_composition(train_digits: Dataset) -> None:
    """With only other hands, the step is that of a dataset which holds just these."""
    config = dataclasses.replace(SGD, other_hands=1.0)
    spec = other_hands_spec()
    image = np.zeros(spec.images.shape, np.uint8)
    image[:, 5:20, 8:12] = 255
    hands = Dataset(image, np.full(spec.labels.shape, 3, np.uint8))
    multi_step = make_multi_step(
        config, mesh_of(1), max_steps=1, draw_pictures=lambda *_: DrawnPictures(None, hands)
    )
    plain_step = make_multi_step(SGD, mesh_of(1), max_steps=1)
    key = jax.random.key(1)
    trained, _ = multi_step(initial_state(config, jax.random.key(0)), train_digits, key, 1)
    expected, _ = plain_step(initial_state(SGD, jax.random.key(0)), hands, key, 1)
    for actual, reference in zip(
        jax.tree.leaves(trained.params), jax.tree.leaves(expected.params), strict=True
    ):
        np.testing.assert_allclose(actual, reference, rtol=0, atol=1e-6)


def test_the_loop_sums_its_metrics_and_returns_the_first_bad_step(train_digits: Dataset) -> None:
    mesh = mesh_of(1)
    multi_step = make_multi_step(SGD, mesh, max_steps=4)
    single_step = make_multi_step(SGD, mesh, max_steps=1)
    key = jax.random.key(1)
    _, sums = multi_step(initial_state(SGD, jax.random.key(0)), train_digits, key, 4)
    state, total = initial_state(SGD, jax.random.key(0)), np.zeros(2)
    for _ in range(4):
        state, metrics = single_step(state, train_digits, key, 1)
        total += [float(metrics.loss), float(metrics.accuracy)]
    np.testing.assert_allclose([sums.loss, sums.accuracy], total, rtol=1e-5)
    assert sums.bad_step == -1

    state = state._replace(params=jax.tree.map(lambda p: p * jnp.nan, state.params))
    _, sums = multi_step(state, train_digits, key, 3)
    assert sums.bad_step == 4


@pytest.mark.usefixtures("optax_promotion")
def test_forty_steps_halve_the_loss(train_digits: Dataset) -> None:
    config = dataclasses.replace(
        CONFIGS["paper"], batch_size=32, learning_rate=1e-3, translate_px=2
    )
    multi_step = make_multi_step(config, mesh_of(1), max_steps=1)
    state, losses = initial_state(config, jax.random.key(0)), []
    for _ in range(40):
        state, metrics = multi_step(state, train_digits, jax.random.key(1), 1)
        losses.append(float(metrics.loss))
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


@pytest.mark.parametrize(
    ("max_steps", "count", "message"),
    [
        (1, 5, "expected 1 step a call; got 5"),
        (1, 0, "expected 1 step a call; got 0"),
        (3, 4, "expected at most 3 steps a call; got 4"),
    ],
)
def test_more_steps_than_a_program_can_do_in_a_call_are_refused(
    max_steps: int, count: int, message: str, train_digits: Dataset
) -> None:
    multi_step = make_multi_step(SGD, mesh_of(1), max_steps=max_steps)
    with pytest.raises(ArgumentError, match=message):
        multi_step(initial_state(SGD, jax.random.key(0)), train_digits, jax.random.key(1), count)


def test_the_state_is_donated(train_digits: Dataset) -> None:
    state = initial_state(SGD, jax.random.key(0))
    make_multi_step(SGD, mesh_of(1), max_steps=1)(state, train_digits, jax.random.key(1), 1)
    assert state.params["dense1"]["kernel"].is_deleted()
