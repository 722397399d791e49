"""A photo file as pixels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Resize

from semantic.datasets.preparing.photos import PhotoError, decode_photo


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize(("resize", "crop"), [(72, 64), (11, 7)])
@pytest.mark.parametrize(("height", "width"), [(83, 61), (23, 31)])
def test_pixels_equal_torchvisions_transform(tmp_path: Path, height: int, width: int, resize: int, crop: int) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(noise(height, width)).save(path)
    expected = Compose([Resize([resize, resize]), CenterCrop(crop)])(Image.open(path).convert("RGB"))
    pixels = decode_photo(path, resize, crop)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (crop, crop, 3)
    assert np.array_equal(pixels, np.asarray(expected))


def test_a_real_photo_equals_torchvisions_transform(shared_data: Path) -> None:
    path = min((shared_data / "data/mmd-samples/v3/images/images").iterdir())
    expected = Compose([Resize([72, 72]), CenterCrop(64)])(Image.open(path).convert("RGB"))
    assert np.array_equal(decode_photo(path), np.asarray(expected))


def test_other_colour_modes_become_rgb(tmp_path: Path) -> None:
    for mode, suffix in (("L", "png"), ("RGBA", "png"), ("CMYK", "jpg"), ("P", "gif")):
        path = tmp_path / f"{mode}.{suffix}"
        Image.fromarray(noise(5, 7)).convert(mode).save(path)
        with Image.open(path) as photo:
            expected = Compose([Resize([72, 72]), CenterCrop(64)])(photo.convert("RGB"))
        assert np.array_equal(decode_photo(path), np.asarray(expected))


def test_a_palette_with_transparency_decodes_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    photo = Image.new("P", (5, 7), 1)
    photo.putpalette([0, 0, 0, 200, 100, 50])
    photo.save(path, transparency=b"\x40\x7f")
    pixels = decode_photo(path)
    assert pixels.shape == (64, 64, 3)
    assert (pixels == (200, 100, 50)).all()


@pytest.mark.parametrize("cut", [0, 3, 100, 400])
def test_a_file_that_does_not_decode_is_named(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "broken.jpg"
    Image.fromarray(noise(31, 37)).save(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(PhotoError, match=r"broken\.jpg: expected a photo that decodes, found "):
        decode_photo(path)


@pytest.mark.parametrize("place", [33, 37, 60])
def test_a_broken_png_is_named(tmp_path: Path, place: int) -> None:
    path = tmp_path / "broken.png"
    Image.fromarray(noise(31, 37)).save(path)
    content = bytearray(path.read_bytes())
    content[place : place + 4] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(PhotoError, match=r"broken\.png"):
        decode_photo(path)


def test_no_file_is_another_matter(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        decode_photo(tmp_path / "none.jpg")
