"""Patterns of cloth, as masks of where their second colour shows."""

import math
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageDraw

STEP = 0.105  # the period of a pattern, in picture widths: about 7 pixels of the 64 that models see


def pattern_mask(rng: np.random.Generator, pattern: str, size: int) -> Image.Image:
    """The mask of a pattern, an "L" picture that is 255 where the second colour shows. An unknown pattern is plain."""
    mask = Image.new("L", (size, size), 0)
    step = STEP * size * rng.uniform(0.9, 1.15)
    if pattern in PAINTERS:
        PAINTERS[pattern](ImageDraw.Draw(mask), rng, step, size)
    return mask


def _stripes(pen: ImageDraw.ImageDraw, rng: np.random.Generator, step: float, size: int) -> None:
    start = rng.uniform(0, step)
    for row in range(int(size / step) + 1):
        y = start + row * step
        pen.rectangle((0, y, size, y + 0.38 * step), fill=255)


def _checks(pen: ImageDraw.ImageDraw, rng: np.random.Generator, step: float, size: int) -> None:
    wide = 1.35 * step
    start = rng.uniform(0, wide)
    lines = [start + line * wide for line in range(-1, int(size / wide) + 1)]
    for x in lines:
        pen.rectangle((x, 0, x + 0.42 * wide, size), fill=110)
    for y in lines:
        pen.rectangle((0, y, size, y + 0.42 * wide), fill=110)
        for x in lines:
            pen.rectangle((x, y, x + 0.42 * wide, y + 0.42 * wide), fill=255)


def _dots(pen: ImageDraw.ImageDraw, rng: np.random.Generator, step: float, size: int) -> None:
    start, radius = rng.uniform(0, step), 0.29 * step
    for row in range(-1, int(size / step) + 2):
        for column in range(-1, int(size / step) + 2):
            x, y = start + (column + 0.5 * (row % 2)) * step, start + row * step
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)


def _flowers(pen: ImageDraw.ImageDraw, rng: np.random.Generator, step: float, size: int) -> None:
    wide = 1.7 * step
    for x, y, (turn,) in _jittered_grid(rng, wide, size, 0.18, 1):
        for petal in range(5):
            angle = 2 * math.pi * petal / 5 + 6 * turn
            px, py, radius = x + 0.24 * wide * math.cos(angle), y + 0.24 * wide * math.sin(angle), 0.15 * wide
            pen.ellipse((px - radius, py - radius, px + radius, py + radius), fill=255)
        heart = 0.11 * wide
        pen.ellipse((x - heart, y - heart, x + heart, y + heart), fill=60)


def _zigzag(pen: ImageDraw.ImageDraw, rng: np.random.Generator, step: float, size: int) -> None:
    start, tall = rng.uniform(0, step), 1.3 * step
    columns = int(2 * size / tall) + 2
    for row in range(-1, int(size / tall) + 2):
        y = start + row * tall
        points = [(column * tall / 2, y + (0.55 * tall if column % 2 else 0)) for column in range(columns)]
        pen.line(points, fill=255, width=max(2, round(0.34 * tall)), joint="curve")


def _spots(pen: ImageDraw.ImageDraw, rng: np.random.Generator, step: float, size: int) -> None:
    """Broken rings, each of three arcs turned at random."""
    wide = 1.25 * step
    for x, y, (shape, turn) in _jittered_grid(rng, wide, size, 0.2, 2):
        a, b, start = (0.4 + 0.5 * shape) * wide, (0.4 - 0.5 * shape) * wide, 900 * turn
        for first, last in ((0, 100), (150, 260), (290, 330)):
            box = (x - a, y - b, x + a, y + b)
            pen.arc(box, start + first, start + last, fill=255, width=max(2, round(0.24 * wide)))


def _jittered_grid(
    rng: np.random.Generator, wide: float, size: int, jitter: float, more: int
) -> Iterator[tuple[float, float, np.ndarray]]:
    """Points (x, y) of a staggered grid with cells `wide` pixels wide, each with `more` further random numbers.

    Places, in cells, and these numbers vary evenly from -jitter to jitter.
    """
    cells = range(int(size / wide) + 2)
    drawn = rng.uniform(-jitter, jitter, (len(cells), len(cells), 2 + more))
    for row in cells:
        for column in cells:
            right, down = drawn[row, column, :2]
            yield (column + 0.5 * (row % 2) + right) * wide, (row + down) * wide, drawn[row, column, 2:]


PAINTERS: dict[str, Callable[[ImageDraw.ImageDraw, np.random.Generator, float, int], None]] = {
    "striped": _stripes,
    "checked": _checks,
    "dotted": _dots,
    "floral": _flowers,
    "zigzag": _zigzag,
    "leopard": _spots,
}
