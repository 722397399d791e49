"""A photo file as pixels."""

import errno
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Resize

from semantic.datasets.preparing import photos
from semantic.datasets.preparing.photos import PIXELS, PhotoError, decode_photo
from tests.mutations import mutated_bytes


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


def png_promising(width: int, height: int) -> bytes:
    """A PNG file that promises a picture and holds none."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


@pytest.mark.parametrize("size", [(8001, 8000), (10_000, 10_000), (2**31 - 1, 2**31 - 1)])
def test_a_photo_too_large_is_refused_by_its_header(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png_promising(*size))
    with pytest.raises(PhotoError, match=rf"large\.png: expected a photo of at most {PIXELS:,} pixels, found "):
        decode_photo(path)


def test_a_photo_at_the_limit_decodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(noise(7, 11)).save(tmp_path / "a.png")
    monkeypatch.setattr(photos, "PIXELS", 77)
    assert decode_photo(tmp_path / "a.png").shape == (64, 64, 3)
    monkeypatch.setattr(photos, "PIXELS", 76)
    with pytest.raises(PhotoError, match="at most 76 pixels, found 11 x 7"):
        decode_photo(tmp_path / "a.png")


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    with open(tmp_path / "a.jpg", "wb") as file:
        file.truncate(photos.BYTES + 1)
    with pytest.raises(PhotoError, match=r"a\.jpg: expected at most 268,435,456 bytes, found 268,435,457"):
        decode_photo(tmp_path / "a.jpg")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_and_a_folder_are_no_photos_and_a_dangling_link_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nothing")
    with pytest.raises(PhotoError, match=r"pipe\.jpg: expected a file, found a pipe, a socket or a device"):
        decode_photo(tmp_path / "pipe.jpg")
    with pytest.raises(PhotoError, match=r"folder\.jpg: expected a file, found a folder"):
        decode_photo(tmp_path / "folder.jpg")
    with pytest.raises(FileNotFoundError):
        decode_photo(tmp_path / "link.jpg")


def test_metadata_cut_short_gives_no_warning(tmp_path: Path) -> None:
    metadata = Image.Exif()
    metadata[271] = "a maker of cameras"
    Image.fromarray(noise(31, 37)).save(tmp_path / "a.webp", exif=metadata.tobytes()[:-9])
    assert decode_photo(tmp_path / "a.webp").shape == (64, 64, 3)


def test_an_animation_shows_its_first_picture(tmp_path: Path) -> None:
    red, blue = (Image.new("RGB", (5, 7), colour) for colour in ("red", "blue"))
    red.save(tmp_path / "a.gif", save_all=True, append_images=[blue] * 11)
    assert (decode_photo(tmp_path / "a.gif") == (255, 0, 0)).all()


@pytest.mark.parametrize(("kind", "name"), [("TIFF", "a.jpg"), ("EPS", "b.jpg"), ("PPM", "c.png")])
def test_other_kinds_of_file_are_not_decoded_whatever_their_suffix(tmp_path: Path, kind: str, name: str) -> None:
    Image.fromarray(noise(5, 7)).save(tmp_path / name, kind)
    with pytest.raises(PhotoError, match=f"{name}: expected a photo that decodes, found cannot identify image file"):
        decode_photo(tmp_path / name)


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), MemoryError()])
def test_faults_of_the_machine_are_not_the_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    Image.fromarray(noise(5, 7)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(type(error)) as raised:
        decode_photo(tmp_path / "a.png")
    assert raised.value is error


photos_of_all_kinds = st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP"])


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=photos_of_all_kinds)
def test_any_bytes_decode_or_are_a_photo_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: str
) -> None:
    content = io.BytesIO()
    Image.fromarray(noise(13, 11)).save(content, kind)
    path = tmp_path_factory.mktemp("photos") / "a"
    path.write_bytes(data.draw(mutated_bytes(content.getvalue())))
    try:
        assert decode_photo(path).shape == (64, 64, 3)
    except PhotoError as error:
        message = str(error)
    else:
        message = f"{path}: expected"
    assert message.startswith(f"{path}: expected")
    assert "\n" not in message
