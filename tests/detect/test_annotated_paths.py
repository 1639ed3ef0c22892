"""The names of annotated images: one a page, and never an image's own."""

from pathlib import Path

from digits_jax.detect.annotated_paths import AnnotatedPaths


def test_annotated_paths_have_the_names_of_the_images(tmp_path: Path) -> None:
    folder, image = tmp_path / "new/annotated", tmp_path / "scan.jpg"
    paths = AnnotatedPaths([image], folder)
    assert folder.is_dir()
    assert paths.path(image, None) == folder / "scan.png"
    assert paths.path(image, 0) == folder / "scan-page0.png"
    assert paths.path(image, 12) == folder / "scan-page12.png"


def test_annotated_paths_of_equal_stems_are_numbered(tmp_path: Path) -> None:
    """Upper and lower case count as equal, and a numbered name may exist already."""
    names = ["a/x.png", "b/X.png", "c/x.jpg", "x-3.png", "d/x.tif"]
    images = [tmp_path / name for name in names]
    paths = AnnotatedPaths(images, tmp_path / "annotated")
    annotated = [paths.path(image, None).name for image in images]
    assert annotated == ["x.png", "X-2.png", "x-3.png", "x-3-2.png", "x-4.png"]
    assert len({name.casefold() for name in annotated}) == len(images)


def test_annotated_paths_never_overwrite_an_image(tmp_path: Path) -> None:
    images = [tmp_path / name for name in ("x.png", "x-page0.png", "y.jpg", "Y.PNG")]
    paths = AnnotatedPaths(images, tmp_path)
    used = {str(image).casefold() for image in images}
    annotated = [paths.path(image, page) for image in images for page in (None, 0)]
    assert not used & {str(path).casefold() for path in annotated}
    assert paths.path(images[0], None).name == "x-2.png"
    assert paths.path(images[2], None).name == "y-2.png"


def test_annotated_paths_of_thousands_of_equal_stems_take_linear_time(tmp_path: Path) -> None:
    images = [tmp_path / f"{k}/page.png" for k in range(3000)]
    paths = AnnotatedPaths(images, tmp_path / "annotated")
    assert paths.path(images[-1], None).name == "page-3000.png"
