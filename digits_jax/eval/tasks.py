"""The programs that `throughput` times: training, classification, response maps and detection."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import UInt8

from digits_jax.data.font_glyphs import load_font_digits
from digits_jax.data.mnist import TRAIN_EXAMPLES, Dataset
from digits_jax.detect.calibration import to_search_score
from digits_jax.detect.component_search import search_images
from digits_jax.detect.config import DEFAULT_CONFIG, DetectorConfig
from digits_jax.detect.crop_classifier import (
    Crops,
    Readings,
    classify_block,
    crop_classifier,
    crop_mesh,
)
from digits_jax.detect.padding import pad_to_bucket
from digits_jax.detect.peaks import pyramid_levels, pyramid_sizes
from digits_jax.detect.pipeline import find_detections
from digits_jax.eval.flops import count_flops
from digits_jax.models.cnn import INPUT_SIDE, Params, classify
from digits_jax.models.fcn.response_maps import response_maps
from digits_jax.models.fcn.tiling import map_size, pyramid_maps
from digits_jax.models.mixed_precision import compute_dtype_for
from digits_jax.train.batch import Batch
from digits_jax.train.config import TrainConfig
from digits_jax.train.multi_step import make_multi_step, steps_per_dispatch
from digits_jax.train.named_configs import CONFIGS
from digits_jax.train.pictures import DrawnPictures, pictures_spec
from digits_jax.train.step import TrainState, apply_gradients, initial_state

# A large matrix product measures the rate that a device can reach.
MATMUL_SIDE_CPU = 2048  # rows and columns of each factor
MATMUL_SIDE_ACCELERATOR = 8192
# The work of the exhaustive search depends on the image's size alone.
EXHAUSTIVE_CONFIG = DetectorConfig(method="windows", min_size=15.0, max_size=100.0)
# Pages for the search in components, a device: an accelerator classifies the crops of many at once.
PAGES_CPU = 1
PAGES_ACCELERATOR = 32
PAGE_CELL = 36  # px of a page's side for each digit, which moves by up to PAGE_JITTER px
PAGE_JITTER = 16  # so that some digits touch and some do not


class Task(NamedTuple):
    """A program with its arguments, to be called and timed any number of times."""

    name: str  # "train", "classify", "maps", "detect" or "detect-components"
    size: str  # of a batch or an image
    precision: str  # of the matrix products: "highest", "high" or "default"
    devices: int  # number of devices that share the work
    unit: str  # what `items` counts: "images" or "windows"
    items: int  # number of items that a call processes
    # Returns the floating-point operations of a call's matrix products, once there was a call.
    count_flop: Callable[[], int]
    call: Callable[[], Any]


def matmul_side(platform: str) -> int:
    """Returns the rows and columns of the large matrix product that a platform is measured by."""
    return MATMUL_SIDE_CPU if platform == "cpu" else MATMUL_SIDE_ACCELERATOR


def make_tasks(
    params: Params,
    devices: int,
    batch_sizes: Sequence[int],
    image_sizes: Sequence[int],
    precision: lax.Precision,
) -> Iterator[Task]:
    """Makes the tasks to time on the first devices of the default platform.

    Training and classification split a batch over the devices. At each batch size the
    configuration `paper` trains, and at its own batch size `standard`. Response maps and both
    searches process the same number of images for each device. Images are noise, so that no part
    of them is blank and skipped; those of the search in components are pages of digits.

    Args:
      params: the network's parameters.
      devices: the number of devices to use.
      batch_sizes: batch sizes of training and classification. A size that the devices cannot share
        evenly is left out. If there is none, nothing is trained.
      image_sizes: sides in pixels of the square images for maps and detection.
      precision: that of the matrix products.
    """
    mesh = Mesh(jax.devices()[:devices], ("data",))
    replicated, sharded = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))
    params = jax.device_put(params, replicated)
    task = partial(Task, precision=precision.name.lower(), devices=devices)
    paper = CONFIGS["paper"]
    standard = CONFIGS["standard"]
    for batch_size in batch_sizes:
        if batch_size % devices:
            continue
        size = f"batch {batch_size}"
        config = dataclasses.replace(paper, batch_size=batch_size)
        yield task("train", size, unit="images", **_training_task(config, mesh, precision))
        images = jax.device_put(_noise(batch_size, INPUT_SIDE), sharded)
        forward = jax.jit(partial(_classify, precision=precision))
        yield task(
            "classify",
            size,
            unit="images",
            items=batch_size,
            count_flop=partial(count_flops, forward, params, images),
            call=partial(forward, params, images),
        )
    if batch_sizes and standard.batch_size % devices == 0:
        size = f"standard, batch {standard.batch_size}"
        yield task("train", size, unit="images", **_training_task(standard, mesh, precision))
    for side in image_sizes:
        size = f"{side}×{side}"
        image = _noise(devices, side)
        maps = jax.jit(partial(response_maps, precision=precision))
        yield task(
            "maps",
            size,
            unit="windows",
            items=devices * map_size(side) ** 2,
            count_flop=partial(count_flops, maps, params, image),
            call=partial(maps, params, image),
        )
        search = EXHAUSTIVE_CONFIG
        sizes = pyramid_sizes(search.min_size, search.max_size, side, search.peaks)
        levels = pyramid_levels((side, side), sizes, search.peaks)
        find = partial(find_detections, config=search, precision=precision)
        padded, extents = pad_to_bucket(list(np.asarray(image[..., 0])))
        least = to_search_score(search.min_score, search.reliability)
        arguments = (params, jnp.asarray(padded), extents, least)
        # find_detections skips blank tiles at run time, and noise has none: count all maps.
        all_maps = partial(pyramid_maps, levels=levels, precision=precision)
        yield task(
            "detect",
            size,
            unit="images",
            items=devices,
            count_flop=partial(count_flops, all_maps, params, image),
            call=partial(find, *arguments),
        )
        components = _components_task(params, side, devices, precision)
        yield task("detect-components", size, unit="images", **components)


def matmul_task(devices: int, precision: lax.Precision) -> Task:
    """Makes the task that multiplies two large matrices on each device."""
    side = matmul_side(jax.devices()[0].platform)
    mesh = Mesh(jax.devices()[:devices], ("data",))
    sharded = NamedSharding(mesh, P("data"))
    matrices = jnp.ones((devices, side, side), compute_dtype_for(precision))
    matrices = jax.device_put(matrices, sharded)
    matmul = jax.jit(partial(jnp.matmul, precision=precision, preferred_element_type=jnp.float32))
    return Task(
        name="matmul",
        size=f"{side}³",
        precision=precision.name.lower(),
        devices=devices,
        unit="matmuls",
        items=devices,
        count_flop=lambda: 2 * devices * side**3,
        call=partial(matmul, matrices, matrices),
    )


def _training_task(config: TrainConfig, mesh: Mesh, precision: lax.Precision) -> dict[str, Any]:
    """Makes the fields of a task that trains on random digits, as many as MNIST has.

    The pictures that the configuration needs besides are random as well.
    """
    dtype: Any = jnp.dtype(compute_dtype_for(precision)).name
    config = dataclasses.replace(config, compute_dtype=dtype)
    replicated = NamedSharding(mesh, P())
    rng = np.random.default_rng(0)
    dataset = Dataset(
        rng.integers(0, 256, (TRAIN_EXAMPLES, INPUT_SIDE, INPUT_SIDE), np.uint8),
        rng.integers(0, 10, TRAIN_EXAMPLES, np.uint8),
    )
    key = jax.random.key(0)
    initial = initial_state(config, key)
    state, dataset, key = jax.device_put((initial, dataset, key), replicated)
    steps = steps_per_dispatch(mesh)
    multi_step = make_multi_step(config, mesh, max_steps=steps, draw_pictures=_draw_random_pictures)
    states: list[TrainState] = [state]  # only the latest, since each call donates its argument

    def call() -> Any:
        with jax.default_matmul_precision(precision.name.lower()):
            state, metrics = multi_step(states.pop(), dataset, key, steps)
        states.append(state)
        return state, metrics

    def count_flop() -> int:
        batch = Batch(
            _noise(config.batch_size, INPUT_SIDE),
            jnp.zeros(config.batch_size, jnp.uint8),
            jnp.ones(config.batch_size),
        )
        step = partial(apply_gradients, config=config, mesh=mesh)
        return steps * count_flops(step, initial, batch)

    return {"items": steps * config.batch_size, "count_flop": count_flop, "call": call}


def _draw_random_pictures(_: Dataset, config: TrainConfig) -> DrawnPictures:
    """Returns noise of the shapes of `draw_pictures()`, which would take seconds to draw."""
    rng = np.random.default_rng(0)

    def draw(spec: jax.ShapeDtypeStruct) -> np.ndarray:
        return rng.integers(0, 256 if len(spec.shape) > 1 else 10, spec.shape, np.uint8)

    pictures: DrawnPictures = jax.tree.map(draw, pictures_spec(config))
    return pictures


def _components_task(
    params: Params, side: int, devices: int, precision: lax.Precision
) -> dict[str, Any]:
    """Makes the fields of a task that searches the components of pages of digits.

    The crops of all pages are classified together, on all devices; the rest of the work is the
    host's.
    """
    per_device = PAGES_CPU if jax.default_backend() == "cpu" else PAGES_ACCELERATOR
    pages = [_page(side, seed) for seed in range(devices * per_device)]
    mesh = crop_mesh(devices)
    params = jax.device_put(params, NamedSharding(mesh, P()) if mesh else jax.devices()[0])
    constants = {"contact": DEFAULT_CONFIG.border_contact, "precision": precision, "mesh": mesh}
    classify_crops = crop_classifier(params, partial(classify_block, **constants), mesh)
    crops_read = 0

    def read(crops: Sequence[Crops]) -> Readings:
        nonlocal crops_read
        crops_read += sum(map(len, crops))
        return classify_crops(crops)

    def call() -> Any:
        nonlocal crops_read
        crops_read = 0
        return len(search_images(pages, read, DEFAULT_CONFIG))

    def count_flop() -> int:
        forward = partial(_classify, precision=precision)
        return crops_read * count_flops(forward, params, _noise(1, INPUT_SIDE))

    return {"items": len(pages), "count_flop": count_flop, "call": call}


def _page(side: int, seed: int) -> UInt8[np.ndarray, "side side"]:
    """Draws a page full of digits of fonts, in rows and columns, some of which touch."""
    rng = np.random.default_rng(seed)
    digits = load_font_digits("validation").images
    page = np.zeros((side, side), np.uint8)
    last = side - INPUT_SIDE
    for y in range(0, last + 1, PAGE_CELL):
        for x in range(0, last + 1, PAGE_CELL):
            dy, dx = rng.integers(0, PAGE_JITTER + 1, 2)
            top, left = min(y + dy, last), min(x + dx, last)
            square = page[top : top + INPUT_SIDE, left : left + INPUT_SIDE]
            np.maximum(square, digits[rng.integers(len(digits))], out=square)
    return page


def _classify(params: Params, images: jax.Array, *, precision: lax.Precision) -> jax.Array:
    with jax.default_matmul_precision(precision.name.lower()):
        return classify(params, images, compute_dtype=compute_dtype_for(precision))


def _noise(n: int, side: int) -> jax.Array:
    return jax.random.uniform(jax.random.key(n), (n, side, side, 1))
