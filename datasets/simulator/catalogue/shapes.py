"""Drawings of each type of garment: its outline, and the details that tell it from other types."""

from collections.abc import Callable, Mapping

from semantic.datasets.simulator.catalogue.sketch import Colour, Sketch

PALE: Colour = (238, 238, 232)
METAL: Colour = (205, 205, 210)
STITCH: Colour = (214, 158, 74)
LEATHER: Colour = (92, 62, 40)

Item = Mapping[str, str]
"""The attributes of one product."""


def draw_garment(sketch: Sketch, item: Item) -> None:
    """Draw the garment of `item["type"]`. A type without a shape of its own is drawn as a folded piece of cloth."""
    SHAPES.get(item["type"], _folded)(sketch, item)


def _sleeves(sketch: Sketch, length: str, drop: float = 0.0) -> None:
    """Draw sleeves from the shoulder at (0.7, 0.2); none for "sleeveless"."""
    if length == "long sleeve":
        sketch.both((0.68, 0.19), (0.75, 0.24), (0.90, 0.72 + drop), (0.81, 0.76 + drop), (0.68, 0.44))
    elif length == "short sleeve":
        sketch.both((0.68, 0.19), (0.76, 0.23), (0.87, 0.42), (0.77, 0.48), (0.68, 0.40))


def _neckline(sketch: Sketch, neckline: str) -> None:
    if neckline == "turtle neck":
        sketch.area((0.42, 0.10), (0.58, 0.10), (0.59, 0.21), (0.41, 0.21))
        sketch.seam((0.41, 0.20), (0.59, 0.20))
    elif neckline == "v neck":
        sketch.cut((0.40, 0.14), (0.5, 0.37), (0.60, 0.14))
    elif neckline == "scoop neck":
        sketch.cut_ellipse(0.5, 0.15, 0.13, 0.16)
    else:
        sketch.cut_ellipse(0.5, 0.15, 0.09, 0.06)


def _torso(sketch: Sketch, hem: float, sleeve: str) -> None:
    shoulder = 0.64 if sleeve == "sleeveless" else 0.70
    _sleeves(sketch, sleeve)
    sketch.halves((0.57, 0.15), (shoulder, 0.19), (0.67, 0.42), (0.67, hem))


def _t_shirt(sketch: Sketch, item: Item) -> None:
    _torso(sketch, 0.82, item.get("sleeve", "short sleeve"))
    _neckline(sketch, item.get("neckline", "crew neck"))


def _shirt(sketch: Sketch, item: Item) -> None:
    _torso(sketch, 0.86, item.get("sleeve", "long sleeve"))
    sketch.cut((0.44, 0.14), (0.5, 0.24), (0.56, 0.14))
    for side in (1, -1):
        sketch.trim(
            *((0.5 + side * x, y) for x, y in ((0.0, 0.25), (0.05, 0.12), (0.12, 0.16), (0.07, 0.28))), colour=PALE
        )
    sketch.seam((0.5, 0.25), (0.5, 0.86), width=0.02, colour=PALE)
    for step in range(5):
        sketch.dot(0.5, 0.33 + 0.11 * step, 0.016)


def _sweater(sketch: Sketch, item: Item) -> None:
    _torso(sketch, 0.80, "long sleeve")
    _neckline(sketch, item.get("neckline", "crew neck"))
    sketch.trim((0.33, 0.76), (0.67, 0.76), (0.66, 0.84), (0.34, 0.84))
    for x in (0.36, 0.40, 0.44, 0.48, 0.52, 0.56, 0.60, 0.64):
        sketch.seam((x, 0.77), (x, 0.83), colour=METAL)
    for side in (1, -1):
        sketch.trim(*((0.5 + side * x, y) for x, y in ((0.39, 0.68), (0.41, 0.75), (0.31, 0.79), (0.29, 0.72))))


def _hoodie(sketch: Sketch, _item: Item) -> None:
    sketch.ellipse(0.5, 0.17, 0.17, 0.11)
    _torso(sketch, 0.82, "long sleeve")
    sketch.trim((0.40, 0.19), (0.43, 0.11), (0.57, 0.11), (0.60, 0.19), (0.5, 0.28))
    sketch.seams((0.54, 0.26), (0.545, 0.46), width=0.016, colour=PALE)
    sketch.seam((0.39, 0.74), (0.41, 0.58), (0.59, 0.58), (0.61, 0.74), (0.39, 0.74), width=0.018)


def _jacket(sketch: Sketch, _item: Item) -> None:
    _torso(sketch, 0.70, "long sleeve")
    sketch.cut((0.42, 0.14), (0.5, 0.32), (0.58, 0.14))
    sketch.trim((0.5, 0.34), (0.58, 0.13), (0.68, 0.20), (0.60, 0.25))
    sketch.trim((0.5, 0.34), (0.42, 0.13), (0.32, 0.20), (0.40, 0.25))
    sketch.seam((0.5, 0.33), (0.5, 0.70), width=0.03, colour=METAL)
    sketch.seams((0.56, 0.56), (0.63, 0.50), width=0.022, colour=METAL)
    sketch.trim((0.33, 0.66), (0.67, 0.66), (0.67, 0.71), (0.33, 0.71))


def _coat(sketch: Sketch, item: Item) -> None:
    hem = 0.97 if item.get("length") == "ankle length" else 0.80
    _sleeves(sketch, "long sleeve", -0.1)
    sketch.halves((0.57, 0.07), (0.70, 0.12), (0.64, 0.45), (0.70, hem))
    sketch.cut((0.43, 0.05), (0.5, 0.26), (0.57, 0.05))
    sketch.trim((0.5, 0.34), (0.57, 0.06), (0.66, 0.22), (0.60, 0.26))
    sketch.trim((0.5, 0.34), (0.43, 0.06), (0.34, 0.22), (0.40, 0.26))
    sketch.seam((0.5, 0.34), (0.5, hem), width=0.016)
    sketch.trim((0.36, 0.46), (0.64, 0.46), (0.64, 0.51), (0.36, 0.51), colour=LEATHER)
    for y in (0.40, 0.57, 0.65):
        for x in (0.45, 0.55):
            sketch.dot(x, y, 0.018)


def _dress(sketch: Sketch, item: Item) -> None:
    hem = {"mini": 0.64, "midi": 0.80, "maxi": 0.97}.get(item.get("length", ""), 0.80)
    sleeve = item.get("sleeve", "sleeveless")
    flare = 0.10 + 0.22 * (hem - 0.40)
    if sleeve == "sleeveless":
        sketch.halves((0.55, 0.08), (0.60, 0.09), (0.62, 0.26), (0.59, 0.42), (0.59 + flare, hem))
    else:
        shift = 0.09
        if sleeve == "long sleeve":
            sketch.both((0.64, 0.19 - shift), (0.70, 0.22 - shift), (0.83, 0.60), (0.76, 0.63), (0.62, 0.34))
        else:
            sketch.both((0.64, 0.19 - shift), (0.71, 0.22 - shift), (0.79, 0.34), (0.70, 0.39), (0.62, 0.30))
        sketch.halves((0.56, 0.07), (0.66, 0.10), (0.63, 0.30), (0.59, 0.42), (0.59 + flare, hem))
    neckline = item.get("neckline", "crew neck")
    if neckline == "v neck":
        sketch.cut((0.43, 0.05), (0.5, 0.27), (0.57, 0.05))
    else:
        sketch.cut_ellipse(
            0.5, 0.07, 0.10 if neckline == "scoop neck" else 0.07, 0.15 if neckline == "scoop neck" else 0.05
        )
    sketch.seam((0.41, 0.42), (0.59, 0.42), width=0.022)


def _skirt(sketch: Sketch, item: Item) -> None:
    hem = {"mini": 0.56, "midi": 0.75, "maxi": 0.95}.get(item.get("length", ""), 0.75)
    flare = 0.13 + 0.28 * (hem - 0.2)
    sketch.halves((0.63, 0.18), (0.64, 0.24), (0.5 + flare, hem))
    sketch.trim((0.37, 0.17), (0.63, 0.17), (0.64, 0.23), (0.36, 0.23))
    for x in (-0.5, 0.0, 0.5):
        sketch.seam((0.5 + 0.1 * x, 0.25), (0.5 + flare * x, hem - 0.02))


def _legs(sketch: Sketch, hem: float, taper: float) -> None:
    sketch.halves((0.65, 0.10), (0.70, 0.30), (0.70 - taper, hem), (0.57 - taper / 3, hem), (0.505, 0.36))
    sketch.seam((0.5, 0.12), (0.5, 0.36))


def _jeans(sketch: Sketch, item: Item) -> None:
    hem = 0.72 if item.get("length") == "cropped" else 0.95
    _legs(sketch, hem, 0.06)
    sketch.seam((0.35, 0.15), (0.65, 0.15), width=0.014, colour=STITCH)
    sketch.seams((0.55, 0.16), (0.58, 0.24), (0.68, 0.24), width=0.014, colour=STITCH)
    sketch.seams((0.69, 0.28), (0.67 - 0.06, hem), width=0.014, colour=STITCH)
    sketch.seams((0.57, hem - 0.03), (0.64, hem - 0.03), width=0.014, colour=STITCH)


def _trousers(sketch: Sketch, item: Item) -> None:
    hem = 0.72 if item.get("length") == "cropped" else 0.95
    _legs(sketch, hem, 0.03)
    sketch.trim((0.35, 0.10), (0.65, 0.10), (0.66, 0.16), (0.34, 0.16), colour=LEATHER)
    sketch.trim((0.475, 0.10), (0.525, 0.10), (0.525, 0.16), (0.475, 0.16), colour=METAL)
    sketch.seams((0.61, 0.24), (0.61, hem - 0.02), width=0.016)


def _shorts(sketch: Sketch, _item: Item) -> None:
    sketch.halves((0.66, 0.24), (0.76, 0.66), (0.53, 0.68), (0.505, 0.50))
    sketch.seam((0.34, 0.30), (0.66, 0.30), width=0.02)
    sketch.seam((0.5, 0.30), (0.5, 0.50))
    sketch.seams((0.52, 0.31), (0.55, 0.42), colour=PALE, width=0.016)


def _sneakers(sketch: Sketch, _item: Item) -> None:
    sketch.area(
        (0.12, 0.40),
        (0.20, 0.33),
        (0.34, 0.37),
        (0.44, 0.34),
        (0.60, 0.50),
        (0.82, 0.55),
        (0.90, 0.64),
        (0.90, 0.68),
        (0.12, 0.68),
    )
    sketch.trim((0.10, 0.66), (0.92, 0.66), (0.90, 0.75), (0.12, 0.75), colour=PALE)
    sketch.trim((0.74, 0.55), (0.83, 0.56), (0.90, 0.63), (0.90, 0.66), (0.74, 0.66), colour=PALE)
    for step in range(4):
        x, y = 0.44 + 0.055 * step, 0.39 + 0.05 * step
        sketch.seam((x - 0.04, y + 0.04), (x + 0.04, y - 0.02), width=0.024, colour=PALE)


def _boots(sketch: Sketch, _item: Item) -> None:
    sketch.area(
        (0.28, 0.14),
        (0.56, 0.14),
        (0.56, 0.50),
        (0.66, 0.58),
        (0.82, 0.64),
        (0.86, 0.76),
        (0.28, 0.76),
    )
    sketch.trim((0.26, 0.76), (0.87, 0.76), (0.87, 0.82), (0.46, 0.82), (0.45, 0.88), (0.26, 0.88), colour=LEATHER)
    sketch.seam((0.28, 0.20), (0.56, 0.20), width=0.02)
    for step in range(4):
        sketch.seam((0.47, 0.28 + 0.08 * step), (0.56, 0.26 + 0.08 * step), width=0.022, colour=METAL)


def _hat(sketch: Sketch, _item: Item) -> None:
    sketch.ellipse(0.5, 0.64, 0.40, 0.09)
    sketch.halves((0.58, 0.28), (0.66, 0.34), (0.70, 0.62), (0.64, 0.66))
    sketch.trim((0.315, 0.53), (0.685, 0.53), (0.70, 0.61), (0.30, 0.61), colour=LEATHER)


def _bag(sketch: Sketch, _item: Item) -> None:
    sketch.seam(
        (0.34, 0.44), (0.37, 0.24), (0.45, 0.16), (0.55, 0.16), (0.63, 0.24), (0.66, 0.44), width=0.04, colour=LEATHER
    )
    sketch.halves((0.74, 0.42), (0.80, 0.82))
    sketch.trim((0.26, 0.42), (0.74, 0.42), (0.76, 0.54), (0.5, 0.61), (0.24, 0.54))
    sketch.dot(0.5, 0.59, 0.028, METAL)


def _folded(sketch: Sketch, _item: Item) -> None:
    sketch.halves((0.72, 0.30), (0.74, 0.72))
    sketch.seam((0.26, 0.50), (0.74, 0.52))


SHAPES: dict[str, Callable[[Sketch, Item], None]] = {
    "dress": _dress,
    "shirt": _shirt,
    "t-shirt": _t_shirt,
    "sweater": _sweater,
    "hoodie": _hoodie,
    "jacket": _jacket,
    "coat": _coat,
    "jeans": _jeans,
    "trousers": _trousers,
    "shorts": _shorts,
    "skirt": _skirt,
    "sneakers": _sneakers,
    "boots": _boots,
    "hat": _hat,
    "bag": _bag,
}
