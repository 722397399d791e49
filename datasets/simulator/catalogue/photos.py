"""Rendered photos of drawn products, which show type, colour, pattern, sleeves, neckline, length and fit."""

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image

from semantic.datasets.simulator.catalogue.patterns import PAINTERS, pattern_mask
from semantic.datasets.simulator.catalogue.shapes import draw_garment
from semantic.datasets.simulator.catalogue.sketch import Colour, Sketch

SIZE = 96  # preparation resizes to 72 and crops 64 at the centre, so the garment stays inside the middle 85%
FINE = 2 * SIZE  # pictures are drawn twice as large and reduced, so that slanting lines are smooth
MASKS = 12  # masks of each pattern, made once and shared by all photos
MARGIN = 24  # masks are larger than a picture by this, and each photo cuts its own piece out of them

COLOURS: dict[str, Colour] = {
    "black": (28, 28, 30),
    "white": (246, 246, 244),
    "grey": (140, 142, 146),
    "red": (204, 28, 36),
    "blue": (46, 118, 214),
    "navy": (24, 34, 88),
    "green": (30, 142, 66),
    "olive": (112, 114, 44),
    "yellow": (246, 214, 40),
    "orange": (240, 124, 22),
    "pink": (246, 142, 182),
    "purple": (124, 52, 158),
    "brown": (108, 66, 34),
    "beige": (222, 200, 162),
}
SECOND: dict[str, tuple[Colour, ...]] = {
    "dark": ((248, 248, 244), (236, 222, 190)),
    "light": ((44, 44, 52), (70, 60, 56)),
}
"""The second colours of patterns on dark and on light cloth: neutral, so that the first colour is the one seen."""
BACKGROUNDS: tuple[Colour, ...] = ((214, 214, 216), (226, 220, 208), (204, 212, 222), (198, 202, 198), (218, 208, 214))
WIDTHS = {"slim": 0.86, "loose": 1.1}


class Photographer:
    """Renders photos of products. Pattern masks and noise are made once."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 2])
        large = FINE + MARGIN
        self._masks = {name: [pattern_mask(rng, name, large) for _ in range(MASKS)] for name in PAINTERS}
        self._noise = [rng.normal(0, 3.0, (SIZE, SIZE, 1)).astype(np.float32) for _ in range(MASKS)]
        slope = np.linspace(-1, 1, SIZE, dtype=np.float32)
        self._light = [
            np.float32(7) * (a * slope[:, None, None] + b * slope[None, :, None])
            for a, b in ((1, 0), (0, 1), (0.7, -0.7), (-0.7, -0.7))
        ]

    def picture(self, item: Mapping[str, str], rng: np.random.Generator) -> Image.Image:
        """An RGB picture [96, 96] of a product, whose colour, light, size and place vary a little with `rng`."""
        base = _shade(COLOURS.get(item.get("colour", "grey"), COLOURS["grey"]), rng.integers(-9, 10, 3))
        background = _shade(BACKGROUNDS[rng.integers(len(BACKGROUNDS))], rng.integers(-6, 7, 1).repeat(3))
        bright = 0.3 * base[0] + 0.6 * base[1] + 0.1 * base[2]
        seconds = SECOND["light" if bright > 130 else "dark"]
        width = WIDTHS.get(item.get("fit", ""), 1.0)
        sketch = Sketch(FINE, rng.uniform(0.80, 0.86), (rng.uniform(-0.02, 0.02), rng.uniform(-0.02, 0.02)), width)
        draw_garment(sketch, item)
        cloth = Image.new("RGB", (FINE, FINE), base)
        if item.get("pattern") in self._masks:
            left, top = (int(place) for place in rng.integers(0, MARGIN, 2))
            mask = self._masks[item["pattern"]][rng.integers(MASKS)].crop((left, top, left + FINE, top + FINE))
            cloth.paste(seconds[rng.integers(len(seconds))], mask=mask)
        image = Image.new("RGB", (FINE, FINE), background)
        image.paste(cloth, mask=sketch.mask)
        # A darker line would not show on dark cloth, so black garments get lighter seams.
        sketch.finish(image, _shade(base, np.full(3, 46)) if bright < 55 else _scaled(base, 0.62))
        pixels = np.asarray(image.reduce(2), dtype=np.float32)
        pixels = pixels + self._noise[rng.integers(MASKS)] + self._light[rng.integers(len(self._light))]
        return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))

    def jpeg(self, item: Mapping[str, str], rng: np.random.Generator) -> bytes:
        """The picture as a JPEG file's bytes."""
        buffer = io.BytesIO()
        self.picture(item, rng).save(buffer, "JPEG", quality=88)
        return buffer.getvalue()


def _shade(colour: Colour, change: np.ndarray) -> Colour:
    red, green, blue = (min(255, max(0, int(channel + step))) for channel, step in zip(colour, change, strict=True))
    return red, green, blue


def _scaled(colour: Colour, factor: float) -> Colour:
    red, green, blue = (int(channel * factor) for channel in colour)
    return red, green, blue
