"""Decoding of photo files to the 64 x 64 pixels that models see."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from semantic.runtime.errors import DataError

RESIZE = 72
CROP = 64

# What Pillow's decoders raise for broken files. MemoryError is left out: its cause is the machine, not the photo.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    TypeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class PhotoError(DataError):
    """A photo file that exists but does not decode."""


def decode_photo(path: Path, resize: int = RESIZE, crop: int = CROP) -> np.ndarray:
    """The pixels of a photo, uint8 [crop, crop, 3] in RGB: resized to `resize` x `resize`, then cropped at the centre.

    Equal to torchvision's Resize([resize, resize]) and CenterCrop(crop) on a PIL image (bilinear with antialias).
    Raises PhotoError for a file that does not decode, FileNotFoundError for a missing file.
    """
    try:
        with Image.open(path) as file:
            file.load()
            image: Image.Image = file
            if image.mode == "P" and "transparency" in image.info:
                image = image.convert("RGBA")  # the same colours as straight to RGB, but without a warning
            square = image.convert("RGB").resize((resize, resize), Image.Resampling.BILINEAR)
    except FileNotFoundError:
        raise
    except _BROKEN as error:
        raise PhotoError(f"{path}: expected a photo that decodes, found {error or type(error).__name__}") from error
    start = round((resize - crop) / 2)
    return np.asarray(square.crop((start, start, start + crop, start + crop)), dtype=np.uint8)
