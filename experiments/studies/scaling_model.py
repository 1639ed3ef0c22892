"""What would many devices do? A model of training's time on 1, 2, 4, … 256 of them.

Each of n devices computes the gradient of its part of the batch. Then an all-reduce adds up the
gradients of all. On a network of one stage it is a ring (Patarasuk and Yuan, 2009): each device
sends 2(n−1)/n of the bytes, in 2(n−1) turns. Two stages are three rings: the first stage
reduce-scatters, the second one all-reduces what each device then holds, the first one gathers.
docs/scaling.md holds the equations, the sources and what the model leaves out.

Command:   python -m experiments.figures.tables, which writes the tables of docs/scaling.md.
Hardware:  any; nothing is timed. The times of one device are those of earlier runs on an H100.
Time:      a second.
"""

from collections.abc import Sequence
from typing import NamedTuple

PARAMETERS = 3_274_634  # of the network; `digits_jax.models.cnn.init`
GRADIENT_BYTES = 4 * PARAMETERS  # float32
STATE_BYTES = 3 * GRADIENT_BYTES  # the parameters and Adam's two moments


class Link(NamedTuple):
    """What connects a device with the next one in a ring."""

    bytes_per_second: float  # that a device sends while it receives as many
    latency_seconds: float  # of a turn, however few the bytes


class Network(NamedTuple):
    """Rings of devices (the inner stage), and rings through them (the outer stage)."""

    name: str
    inner: Link
    inner_devices: int  # most devices of an inner ring
    outer: Link  # with the part of the bandwidth that each device of an inner ring has


# NCCL's source: 360 GB/s of NVLink on Hopper, in each direction (450 by NVIDIA's data sheet), and
# 3.4 µs a turn of a ring by NVLink and 14 µs by a network (`hwLatencies`, protocol Simple).
NVLINK = Link(360e9, 3.4e-6)
GPUS_PER_HOST = 8
HOST_BYTES_PER_SECOND = 100e9 / 8  # 100 Gb/s Ethernet, all of it
# "How to Scale Your Model" (Google DeepMind, 2025): 90 GB/s along an axis of a TPU v5e's torus,
# both directions together, and 1 µs a hop. A pod has 16×16 chips (Google Cloud's documentation).
ICI = Link(90e9, 1e-6)
NETWORKS = (
    Network("NVLink", NVLINK, 256, NVLINK),
    Network("Ethernet", NVLINK, GPUS_PER_HOST, Link(HOST_BYTES_PER_SECOND / GPUS_PER_HOST, 14e-6)),
    Network("TPU v5e", ICI, 16, ICI),
)


class ComputeTime(NamedTuple):
    """The time of a step on one device: a + b · batch."""

    fixed_seconds: float
    seconds_per_image: float

    def step_seconds(self, batch_size: float) -> float:
        """Returns the time of a step of a batch on one device."""
        return self.fixed_seconds + self.seconds_per_image * batch_size


def fit_compute_time(
    small_batch: int, small_rate: float, large_batch: int, large_rate: float
) -> ComputeTime:
    """Returns the line through the step times at two batch sizes.

    Args:
      small_batch: a batch size.
      small_rate: the images a second that one device trains at it.
      large_batch: a larger batch size.
      large_rate: the images a second at that.
    """
    small, large = small_batch / small_rate, large_batch / large_rate
    slope = (large - small) / (large_batch - small_batch)
    return ComputeTime(small - slope * small_batch, slope)


def ring_seconds(devices: int, size_bytes: float, link: Link) -> float:
    """Returns the time of a ring all-reduce: 2(n−1)/n · bytes/bandwidth + 2(n−1) · latency."""
    turns = 2 * (devices - 1)
    return turns / devices * size_bytes / link.bytes_per_second + turns * link.latency_seconds


def all_reduce_seconds(devices: int, size_bytes: float, network: Network) -> float:
    """Returns the time of an all-reduce over both stages of a network.

    Args:
      devices: a number that the network's `inner_devices` divides, or at most that.
      size_bytes: of the arrays on each device.
      network: what connects the devices.

    Raises:
      ValueError: the last inner ring would not be full.
    """
    inner = min(devices, network.inner_devices)
    if devices % inner:
        raise ValueError(
            f"expected a multiple of {network.inner_devices} devices of {network.name}; got "
            f"{devices}"
        )
    outer_seconds = ring_seconds(devices // inner, size_bytes / inner, network.outer)
    return ring_seconds(inner, size_bytes, network.inner) + outer_seconds


def images_per_second(
    devices: int, batch_size: float, compute: ComputeTime, network: Network
) -> float:
    """Returns the images that all devices train a second; nothing overlaps with the all-reduce.

    Args:
      devices: the number of devices.
      batch_size: the images of a step on each device.
      compute: the time of a step on one device.
      network: what connects the devices.
    """
    seconds = compute.step_seconds(batch_size)
    seconds += all_reduce_seconds(devices, GRADIENT_BYTES, network)
    return devices * batch_size / seconds


def fewest_dominated(
    counts: Sequence[int], batch_size: float, compute: ComputeTime, network: Network
) -> int | None:
    """Returns the first number of devices whose all-reduce takes as long as the rest of a step.

    Args:
      counts: numbers of devices, in ascending order.
      batch_size: the images of a step on each device.
      compute: the time of a step on one device.
      network: what connects the devices.

    Returns:
      One of the counts, or None if the rest of the step takes longer at all of them.
    """
    step = compute.step_seconds(batch_size)
    for count in counts:
        if all_reduce_seconds(count, GRADIENT_BYTES, network) >= step:
            return count
    return None


def batch_for_share(share: float, all_reduce: float, compute: ComputeTime) -> float:
    """Returns the batch on each device at which the all-reduce takes a share of the step's time.

    From share = T / (T + a + b·batch) follows batch = (T·(1 − share)/share − a) / b; 0 where any
    batch is enough.

    Args:
      share: above 0 and below 1.
      all_reduce: T, in seconds.
      compute: a and b.
    """
    rest = all_reduce * (1 - share) / share
    return max(0.0, (rest - compute.fixed_seconds) / compute.seconds_per_image)


def checkpoint_share(save_seconds: float, steps: int, step_seconds: float) -> float:
    """Returns the share of a run's time that goes to checkpoints, one every so many steps."""
    return save_seconds / (save_seconds + steps * step_seconds)
