"""A photo file as the 64 x 64 pixels the models see."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from semantic.runtime.errors import DataError

RESIZE = 72
CROP = 64

# What Pillow's decoders raise on broken files. MemoryError is left out: it is the machine's fault, not the photo's.
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
    """A photo file that is there and does not decode."""


def decode_photo(path: Path, resize: int = RESIZE, crop: int = CROP) -> np.ndarray:
    """Pixels uint8 [crop, crop, 3]: RGB, squeezed to `resize` x `resize`, the centre cut out.

    Equal to torchvision's Resize([resize, resize]) and CenterCrop(crop) on a PIL image (bilinear with antialias).
    Raises PhotoError for a file that does not decode, FileNotFoundError for none.
    """
    try:
        with Image.open(path) as file:
            file.load()
            image: Image.Image = file
            if image.mode == "P" and "transparency" in image.info:
                image = image.convert("RGBA")  # straight to RGB warns and reads the same colours
            square = image.convert("RGB").resize((resize, resize), Image.Resampling.BILINEAR)
    except FileNotFoundError:
        raise
    except _BROKEN as error:
        raise PhotoError(f"{path}: expected a photo that decodes, found {error or type(error).__name__}") from error
    start = round((resize - crop) / 2)
    return np.asarray(square.crop((start, start, start + crop, start + crop)), dtype=np.uint8)
