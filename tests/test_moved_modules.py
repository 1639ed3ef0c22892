"""Modules that can still be imported by the names that they had before they moved."""

import importlib

import pytest

import digits_jax


@pytest.mark.parametrize(
    ("former_name", "module", "attribute"),
    [
        ("scenes", "digits_jax.data.scenes", "compose"),
        ("lines", "digits_jax.detect.reading_order", "read_lines"),
        ("weights", "digits_jax.models.weights", "load_weights"),
        ("normalise", "digits_jax.images.normalise", "normalise"),
        ("training", "digits_jax.train.loop", "train"),
    ],
)
def test_a_moved_module_is_found_by_its_former_name_with_a_warning_of_its_new_name(
    former_name: str, module: str, attribute: str
) -> None:
    with pytest.warns(DeprecationWarning, match=f"digits_jax.{former_name} is now {module};"):
        moved = getattr(digits_jax, former_name)
    assert moved is importlib.import_module(module)
    assert callable(getattr(moved, attribute))


def test_digits_jax_images_offers_read_image() -> None:
    from digits_jax import images

    assert callable(images.read_image)


def test_an_unknown_attribute_of_the_package_is_an_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = digits_jax.nothing
