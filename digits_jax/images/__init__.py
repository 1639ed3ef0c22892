"""Images: files, folders and pages; photo normalisation; MNIST's format."""

from digits_jax.images.read import ImageError as ImageError
from digits_jax.images.read import read_image as read_image
