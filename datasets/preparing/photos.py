"""Decoding of photo files to the 64 x 64 pixels that models see."""

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from semantic.datasets.reading.files import check_status, machine_error
from semantic.runtime.errors import DataError

RESIZE = 72
CROP = 64

PIXELS = 64_000_000
"""The most pixels of a photo, by its header; decoded, as many take about a quarter of a gigabyte."""

BYTES = 256 << 20
"""The most bytes of a photo file."""

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP")
"""The kinds of file that are decoded, whatever the file's suffix. Of the others, Pillow hands some to programs (EPS to
Ghostscript), and the library for TIFF writes to the terminal about broken files."""


class PhotoError(DataError):
    """A photo file that exists but does not decode."""


def decode_photo(path: Path, resize: int = RESIZE, crop: int = CROP) -> np.ndarray:
    """The pixels of a photo, uint8 [crop, crop, 3] in RGB: resized to `resize` x `resize`, then cropped at the centre.

    Equal to torchvision's Resize([resize, resize]) and CenterCrop(crop) on a PIL image (bilinear with antialias). Of an
    animation it is the first picture. Raises PhotoError for a file that does not decode, is of none of `FORMATS`, or is
    larger than `PIXELS` or `BYTES`; FileNotFoundError for a missing file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's about the file: large, bad metadata, transparency of a palette
            square = _square(path, resize)
    except (FileNotFoundError, MemoryError, PhotoError):
        raise
    except Image.DecompressionBombError as error:  # its own limit is above `PIXELS`
        raise PhotoError(f"{path}: expected a photo of at most {PIXELS:,} pixels, found more: {error}") from error
    except Exception as error:  # Pillow's decoders raise exceptions of any class for broken files
        if isinstance(error, OSError) and machine_error(error):
            raise
        found = " ".join(str(error).split()) or type(error).__name__
        raise PhotoError(f"{path}: expected a photo that decodes, found {found}") from error
    start = round((resize - crop) / 2)
    return np.asarray(square.crop((start, start, start + crop, start + crop)), dtype=np.uint8)


def _square(path: Path, resize: int) -> Image.Image:
    status = os.stat(path)
    try:
        check_status(path, status, BYTES)
    except DataError as error:
        raise PhotoError(str(error)) from error
    with Image.open(path, formats=FORMATS) as file:
        width, height = file.size
        if width * height > PIXELS:
            raise PhotoError(f"{path}: expected a photo of at most {PIXELS:,} pixels, found {width} x {height}")
        file.load()
        image: Image.Image = file
        if image.mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")  # the same colours as straight to RGB
        return image.convert("RGB").resize((resize, resize), Image.Resampling.BILINEAR)
