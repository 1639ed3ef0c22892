"""The model of training on many devices, by values computed by hand."""

import jax
import pytest

from digits_jax.models.cnn import init
from digits_jax.train.named_configs import CONFIGS
from digits_jax.train.step import initial_state
from experiments.studies import scaling_model
from experiments.studies.scaling_check import ALL_REDUCE, DISPATCH, STEP, predicted_over_measured
from experiments.studies.scaling_model import ComputeTime, Link, Network

LINK = Link(bytes_per_second=100.0, latency_seconds=0.5)
# Two stages: rings of 4 at 100 B/s and 0.5 s a turn, rings through them at 10 B/s and 1 s.
NETWORK = Network("test", LINK, 4, Link(bytes_per_second=10.0, latency_seconds=1.0))
COMPUTE = ComputeTime(fixed_seconds=1.0, seconds_per_image=0.25)


def test_the_bytes_are_those_of_the_network_and_of_adam() -> None:
    shapes = jax.eval_shape(init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == scaling_model.PARAMETERS
    state = jax.eval_shape(lambda: initial_state(CONFIGS["paper"], jax.random.key(0)))
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    # The rest are counters of steps.
    assert size - scaling_model.STATE_BYTES == pytest.approx(0, abs=64)


def test_the_line_through_two_step_times() -> None:
    # 100 images at 50 a second take 2 s, 300 at 75 take 4 s: 1 s + 0.01 s an image.
    compute = scaling_model.fit_compute_time(100, 50.0, 300, 75.0)
    assert compute.fixed_seconds == pytest.approx(1.0)
    assert compute.seconds_per_image == pytest.approx(0.01)
    assert compute.step_seconds(500) == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("devices", "seconds"),
    [
        (1, 0.0),
        (2, 2 / 2 * 8 + 2 * 0.5),  # 2·1 turns of half of 800 B at 100 B/s
        (4, 6 / 4 * 8 + 6 * 0.5),
    ],
)
def test_a_ring_takes_the_time_of_its_bytes_and_its_turns(devices: int, seconds: float) -> None:
    assert scaling_model.ring_seconds(devices, 800, LINK) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("devices", "seconds"),
    [
        (1, 0.0),
        (2, 9.0),  # one ring, as above
        (4, 15.0),
        (8, 15.0 + (2 / 2 * 200 / 10 + 2 * 1.0)),  # each device holds 200 of the 800 B
        (16, 15.0 + (6 / 4 * 200 / 10 + 6 * 1.0)),
    ],
)
def test_two_stages_add_up(devices: int, seconds: float) -> None:
    assert scaling_model.all_reduce_seconds(devices, 800, NETWORK) == pytest.approx(seconds)


def test_an_inner_ring_that_is_not_full_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a multiple of 4 devices of test; got 6"):
        scaling_model.all_reduce_seconds(6, 800, NETWORK)


def test_images_a_second_and_where_the_all_reduce_takes_half(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scaling_model, "GRADIENT_BYTES", 800)
    # 8 images on each device take 3 s; with 0, 9, 15 and 37 s of all-reduce:
    for devices, seconds in ((1, 3), (2, 12), (4, 18), (8, 40)):
        rate = scaling_model.images_per_second(devices, 8, COMPUTE, NETWORK)
        assert rate == pytest.approx(devices * 8 / seconds)
    first = scaling_model.fewest_dominated
    assert first((1, 2, 4, 8), 8, COMPUTE, NETWORK) == 2  # 3 s of 12
    assert first((1, 2, 4, 8), 56, COMPUTE, NETWORK) == 4  # 15 s of 30
    assert first((1, 2, 4), 57, COMPUTE, NETWORK) is None


def test_the_batch_at_which_an_all_reduce_takes_a_share_of_the_step() -> None:
    # 9 s are a quarter of 36 s, which leaves 27 s: 1 s + 104 images.
    batch = scaling_model.batch_for_share(0.25, 9.0, COMPUTE)
    assert batch == pytest.approx(104)
    assert 9.0 / (9.0 + COMPUTE.step_seconds(batch)) == pytest.approx(0.25)
    assert scaling_model.batch_for_share(0.5, 0.5, COMPUTE) == 0  # the fixed second is enough


def test_checkpoints_take_their_share_of_a_run() -> None:
    assert scaling_model.checkpoint_share(2.0, 100, 0.06) == pytest.approx(0.25)


def test_the_check_compares_within_a_round_and_takes_the_median() -> None:
    seconds = {
        (STEP, 1): [1.1, 2.2, 1.1],
        (DISPATCH, 1): [0.1, 0.2, 0.1],
        (STEP, 4): [5.0, 5.0, 8.0],
        (ALL_REDUCE, 4): [0.7, 1.0, 0.7],
        (DISPATCH, 4): [0.3, 1.0, 0.1],
    }
    # 4·1 + 1 of 5, 4·2 + 2 of 5, 4·1 + 0.8 of 8
    expected = {"median": 1.0, "least": 0.6, "most": 2.0}
    assert predicted_over_measured(seconds, 4) == expected
    alone = {key: times for key, times in seconds.items() if key[1] == 1}
    assert predicted_over_measured(alone, 1)["median"] == 1.0
