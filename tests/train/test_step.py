import dataclasses
import threading
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from digits_jax.data.mnist import Dataset, Mnist
from digits_jax.models.cnn import Params, init
from digits_jax.runtime.devices import data_mesh
from digits_jax.train import multi_step as module
from digits_jax.train.augment import NegativePictures, draw_negatives, negatives_spec
from digits_jax.train.config import CONFIGS, TrainConfig
from digits_jax.train.multi_step import make_multi_step
from digits_jax.train.step import (
    Batch,
    TrainState,
    augment,
    initial_state,
    loss_and_accuracy,
    sample_batch,
    train_step,
    translate,
)

SGD = dataclasses.replace(
    CONFIGS["paper"], batch_size=16, optimizer="sgd", learning_rate=0.1, steps=100
)


def mesh_of(devices: int) -> Mesh:
    return Mesh(jax.devices()[:devices], ("data",))


@pytest.fixture(scope="session")
def train_digits(mnist: Mnist) -> Dataset:
    return Dataset(jnp.asarray(mnist.train.images), jnp.asarray(mnist.train.labels))


def test_sample_draws_digits_of_the_set_with_their_labels(train_digits: Dataset) -> None:
    five = Dataset(train_digits.images[:5], train_digits.labels[:5])
    batch = sample_batch(jax.random.key(0), five, 400)
    assert batch.images.shape == (400, 28, 28, 1)
    assert batch.images.dtype == jnp.float32
    originals = np.asarray(five.images, np.float32) / 255
    for image, label in zip(np.asarray(batch.images[..., 0]), batch.labels, strict=True):
        row = [np.allclose(image, original, atol=1e-6) for original in originals].index(True)
        assert label == five.labels[row]


def test_sample_is_uniform_over_the_whole_set() -> None:
    rows = np.arange(250, dtype=np.uint8)
    dataset = Dataset(jnp.broadcast_to(rows[:, None, None], (250, 28, 28)), jnp.asarray(rows))
    counts = np.bincount(sample_batch(jax.random.key(1), dataset, 25_000).labels, minlength=250)
    assert counts.min() > 50  # 100 expected, ± 10
    assert counts.max() < 150


def test_sample_is_a_function_of_its_key(train_digits: Dataset) -> None:
    first, same, other = (sample_batch(jax.random.key(k), train_digits, 8) for k in (0, 0, 1))
    assert jnp.array_equal(first.images, same.images)
    assert not jnp.array_equal(first.images, other.images)


def test_shift_moves_whole_images_everywhere_within_its_limit() -> None:
    dots = jnp.zeros((4000, 28, 28, 1)).at[:, 14, 14, 0].set(0.5)
    moved = np.asarray(translate(jax.random.key(2), dots, 6))
    image, row, column, _ = np.nonzero(moved)
    np.testing.assert_array_equal(image, np.arange(4000))  # one dot each, nothing lost
    assert set(np.unique(moved)) == {0, 0.5}
    offsets = set(zip((row - 14).tolist(), (column - 14).tolist(), strict=True))
    assert offsets == {(y, x) for y in range(-6, 7) for x in range(-6, 7)}


def test_shift_fills_with_zeros_and_drops_what_leaves() -> None:
    full = np.asarray(translate(jax.random.key(3), jnp.ones((200, 28, 28, 1)), 6))[..., 0]
    for image in full:
        rows, columns = image.any(axis=1), image.any(axis=0)
        assert 22 <= rows.sum() <= 28
        np.testing.assert_array_equal(image, np.outer(rows, columns))
    assert min(image.sum() for image in full) < 28 * 28


def test_a_limit_of_zero_leaves_the_digits_where_they_are(train_digits: Dataset) -> None:
    images = sample_batch(jax.random.key(0), train_digits, 4).images
    np.testing.assert_array_equal(translate(jax.random.key(1), images, 0), images)


def test_the_loss_is_the_cross_entropy() -> None:
    params = jax.tree.map(jnp.zeros_like, init(jax.random.key(0)))
    params["dense2"]["bias"] = jnp.log(jnp.array([0.5] + [0.5 / 9] * 9))
    labels = jnp.array([0, 3, 0, 0], jnp.uint8)
    batch = Batch(jnp.zeros((4, 28, 28, 1)), labels, jnp.ones(4))
    loss, accuracy = loss_and_accuracy(params, batch, mesh_of(1))
    assert loss == pytest.approx(-(3 * np.log(0.5) + np.log(0.5 / 9)) / 4)
    assert accuracy == 0.75


@pytest.mark.parametrize("devices", [2, 4])
def test_many_devices_give_the_gradients_of_one(devices: int, train_digits: Dataset) -> None:
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
    loss_of_many, grads = gradients(mesh_of(devices))
    assert loss_of_many == pytest.approx(float(loss), rel=1e-6)
    for mine, other in zip(jax.tree.leaves(grads), jax.tree.leaves(expected), strict=True):
        scale = float(jnp.abs(other).max())
        np.testing.assert_allclose(mine, other, rtol=0, atol=3e-6 * scale)


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_whole_steps_on_many_devices_are_the_steps_on_one(
    devices: int, train_digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By plain descent, since Adam amplifies rounding; the loop that accelerators run, too.

    Its first call draws the windows of two steps, and those of two more, of which it takes one.
    """
    monkeypatch.setattr(module, "BATCHES_AHEAD", 2)
    final = _descend(train_digits, mesh_of(devices), looped=True, calls=[3, 2])
    expected = _descend(train_digits, mesh_of(1), looped=False, calls=[1] * 5)
    assert int(final.step) == int(expected.step) == 5
    for mine, other in zip(
        jax.tree.leaves(final.params), jax.tree.leaves(expected.params), strict=True
    ):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-6)


def _descend(digits: Dataset, mesh: Mesh, looped: bool, calls: list[int]) -> TrainState:
    replicated = NamedSharding(mesh, P())
    state = jax.device_put(initial_state(SGD, jax.random.key(0)), replicated)
    digits, key = jax.device_put((digits, jax.random.key(1)), replicated)
    advance = make_multi_step(SGD, mesh, looped=looped)
    for count in calls:
        state, _ = advance(state, digits, key, count)
    return state


def test_windows_that_are_composed_ahead_are_those_composed_one_by_one(
    train_digits: Dataset,
) -> None:
    recipe = dataclasses.replace(CONFIGS["standard"], batch_size=12)
    keys, batch = (
        jax.random.split(jax.random.key(3)),
        sample_batch(jax.random.key(4), train_digits, 12),
    )
    distractors = draw_negatives()
    compose = jax.jit(lambda key: augment(key, batch, recipe, distractors))
    ahead = jax.jit(jax.vmap(lambda key: augment(key, batch, recipe, distractors)))(keys)
    for k in range(2):
        alone = compose(keys[k])
        np.testing.assert_array_equal(ahead.labels[k], alone.labels)
        np.testing.assert_allclose(ahead.images[k], alone.images, atol=1e-5)


def test_windows_show_the_distractors_that_are_drawn_while_the_program_compiles(
    train_digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the program on two devices as in a step of one; other ones would give other parameters."""
    rng, threads = np.random.default_rng(5), []
    noise = NegativePictures(
        *(rng.integers(0, 256, p.shape).astype(np.uint8) for p in negatives_spec())
    )

    def draw() -> NegativePictures:
        threads.append(threading.current_thread())
        return noise

    monkeypatch.setattr(module, "draw_distractors", draw)
    recipe = dataclasses.replace(SGD, shapes=0.4, textures=0.4)
    advance = make_multi_step(recipe, mesh_of(2), looped=True)
    key, state = jax.random.key(1), initial_state(recipe, jax.random.key(0))
    sample_key, step_key = jax.random.split(jax.random.fold_in(key, 0))
    batch = sample_batch(sample_key, train_digits, recipe.batch_size)

    @jax.jit
    def expected(distractors: NegativePictures) -> TrainState:
        return train_step(
            state, batch, step_key, recipe=recipe, mesh=mesh_of(1), distractors=distractors
        )[0]

    same, other = (
        expected(drawn).params["conv1"]["kernel"]
        for drawn in (noise, noise._replace(clutter=noise.clutter[::-1]))
    )
    found, _ = advance(state, train_digits, key, 1)
    found, _ = advance(found, train_digits, key, 0)
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()
    kernel = np.asarray(found.params["conv1"]["kernel"])
    np.testing.assert_allclose(kernel, same, rtol=0, atol=1e-6)
    assert np.abs(kernel - np.asarray(other)).max() > 1e-5


def test_the_loop_sums_its_metrics_and_names_the_first_bad_step(train_digits: Dataset) -> None:
    mesh = mesh_of(1)
    advance = make_multi_step(SGD, mesh, looped=True)
    single = make_multi_step(SGD, mesh, looped=False)
    key = jax.random.key(1)
    _, sums = advance(initial_state(SGD, jax.random.key(0)), train_digits, key, 4)
    state, total = initial_state(SGD, jax.random.key(0)), np.zeros(2)
    for _ in range(4):
        state, step = single(state, train_digits, key, 1)
        total += [float(step.loss), float(step.accuracy)]
    np.testing.assert_allclose([sums.loss, sums.accuracy], total, rtol=1e-5)
    assert sums.bad_step == -1

    state = state._replace(params=jax.tree.map(lambda p: p * jnp.nan, state.params))
    _, sums = advance(state, train_digits, key, 3)
    assert sums.bad_step == 4


def test_a_background_window_s_loss_is_least_at_uniform_probabilities() -> None:
    mesh = mesh_of(1)
    params = jax.tree.map(jnp.zeros_like, init(jax.random.key(0)))

    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def loss(
        bias: jax.Array, params: Params, labels: jax.Array, centred: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        biased = {**params, "dense2": {**params["dense2"], "bias": bias}}
        batch = Batch(jnp.zeros((4, 28, 28, 1)), labels, centred)
        return loss_and_accuracy(biased, batch, mesh)

    labels = jnp.array([2, 3, 7, 9], jnp.uint8)
    (found, accuracy), gradient = loss(jnp.zeros(10), params, labels, jnp.zeros(4))
    assert found == pytest.approx(np.log(10))
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
    assert accuracy == 0  # of no digits
    p = np.full(10, 0.05)
    p[2] = 0.55
    unequal = jnp.asarray(np.log(p), jnp.float32)
    expected = -np.log(p).mean()
    assert expected > np.log(10)
    (found, _), gradient = loss(unequal, params, labels, jnp.zeros(4))
    assert found == pytest.approx(expected)
    np.testing.assert_allclose(gradient, p - 0.1, atol=1e-6)
    # Two digits, of which one is right, and two background windows: accuracy is the digits'.
    (found, accuracy), _ = loss(unequal, params, labels, jnp.array([1.0, 0, 1, 0]))
    assert found == pytest.approx((-np.log(0.55) - np.log(0.05) + 2 * expected) / 4)
    assert accuracy == 0.5
    # A near miss of a 2, half centred, is at its least at a margin of one half, and no digit yet.
    twos = jnp.full(4, 2, jnp.uint8)
    (_, accuracy), gradient = loss(unequal, params, twos, jnp.full(4, 0.5))
    assert p[2] - np.delete(p, 2).max() == pytest.approx(0.5)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
    assert accuracy == 0


def _gradient_and_step(
    state: TrainState, batch: Batch, recipe: TrainConfig
) -> tuple[Params, TrainState]:
    mesh = mesh_of(1)
    gradient = jax.jit(lambda p: jax.grad(loss_and_accuracy, has_aux=True)(p, batch, mesh)[0])
    step = jax.jit(lambda s, b: train_step(s, b, jax.random.key(2), recipe=recipe, mesh=mesh)[0])
    return gradient(state.params), step(state, batch)


def test_plain_descent_is_theta_minus_alpha_times_the_gradient(train_digits: Dataset) -> None:
    recipe = dataclasses.replace(SGD, shift=0)
    state = initial_state(recipe, jax.random.key(0))
    batch = sample_batch(jax.random.key(1), train_digits, 16)
    grads, after = _gradient_and_step(state, batch, recipe)
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, grads)
    for mine, other in zip(jax.tree.leaves(after.params), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("optax_promotion")
def test_adam_s_first_step_is_the_learning_rate_each_way(train_digits: Dataset) -> None:
    """g/√(g²) = ±1 after bias correction (Kingma and Ba, 2015), where |g| is well above ε."""
    recipe = dataclasses.replace(CONFIGS["paper"], batch_size=16, shift=0)
    state = initial_state(recipe, jax.random.key(0))
    batch = sample_batch(jax.random.key(1), train_digits, 16)
    grads, after = _gradient_and_step(state, batch, recipe)
    gradient = np.asarray(grads["conv2"]["kernel"])
    moved = np.asarray(after.params["conv2"]["kernel"] - state.params["conv2"]["kernel"])
    clear = np.abs(gradient) > 1e-4
    assert clear.sum() > 1000
    np.testing.assert_allclose(moved[clear], -1e-4 * np.sign(gradient[clear]), atol=2e-7)


@pytest.mark.usefixtures("optax_promotion")
def test_training_learns(train_digits: Dataset) -> None:
    recipe = dataclasses.replace(CONFIGS["paper"], batch_size=32, learning_rate=1e-3, shift=2)
    advance = make_multi_step(recipe, mesh_of(1), looped=False)
    state, losses = initial_state(recipe, jax.random.key(0)), []
    for _ in range(40):
        state, metrics = advance(state, train_digits, jax.random.key(1), 1)
        losses.append(float(metrics.loss))
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_the_mesh_is_as_many_devices_as_share_the_batch_evenly() -> None:
    assert [data_mesh(n).size for n in (50, 51, 256)] == [2, 3, 4]


def test_a_program_without_a_loop_refuses_more_than_one_step(train_digits: Dataset) -> None:
    advance = make_multi_step(SGD, mesh_of(1), looped=False)
    with pytest.raises(ValueError, match="one step a call, not 5"):
        advance(initial_state(SGD, jax.random.key(0)), train_digits, jax.random.key(1), 5)


def test_the_state_is_donated(train_digits: Dataset) -> None:
    state = initial_state(SGD, jax.random.key(0))
    make_multi_step(SGD, mesh_of(1), looped=False)(state, train_digits, jax.random.key(1), 1)
    assert state.params["dense1"]["kernel"].is_deleted()


def test_recipes_refuse_nonsense() -> None:
    fields = dataclasses.asdict(CONFIGS["paper"])
    for change in (
        {"batch_size": 0},
        {"steps": -1},
        {"shift": 28},
        {"learning_rate": 0.0},
        {"learning_rate": float("inf")},
    ):
        with pytest.raises(ValueError, match=next(iter(change))):
            TrainConfig(**{**fields, **change})


@pytest.mark.usefixtures("optax_promotion")
def test_the_one_cycle_schedule_rises_and_falls_to_zero() -> None:
    recipe = CONFIGS["standard"]
    rates = [float(recipe.learning_rates()(step)) for step in range(0, recipe.steps + 1, 50)]
    peak = int(np.argmax(rates))
    assert rates[peak] == pytest.approx(recipe.learning_rate)
    assert rates == sorted(rates[: peak + 1]) + sorted(rates[peak + 1 :], reverse=True)
    assert rates[-1] < 1e-3 * recipe.learning_rate
