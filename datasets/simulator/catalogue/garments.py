"""Tables for drawing garments: the attributes of each type, their values, and how likely each value is."""

from dataclasses import dataclass

Weights = dict[str, float]
"""Value -> its weight in a draw; weights need not sum to one."""


@dataclass(frozen=True)
class Garment:
    """A type of garment: its weight in the catalogue, its share of women's products, its price, its possible values.

    A type does not have attributes that are absent from `options`: a hat has no sleeve.
    """

    weight: float
    women: float
    price: float
    options: dict[str, Weights]


def _even(*values: str) -> Weights:
    return dict.fromkeys(values, 1.0)


COLOURS: Weights = {
    "black": 16,
    "blue": 13,
    "white": 11,
    "red": 10,
    "grey": 8,
    "navy": 8,
    "green": 7,
    "pink": 6,
    "beige": 5,
    "brown": 5,
    "yellow": 4,
    "purple": 3,
    "orange": 3,
    "olive": 3,
}
EARTHY: Weights = {"brown": 9, "black": 9, "beige": 5, "grey": 3, "navy": 2, "red": 2, "olive": 2, "white": 2}
DENIM: Weights = {"blue": 10, "navy": 7, "black": 6, "grey": 4, "white": 2}

PATTERNS: Weights = {"plain": 8, "striped": 4, "checked": 3, "dotted": 2.5, "floral": 2.5, "zigzag": 1.2, "leopard": 1}
SOBER: Weights = {"plain": 8, "checked": 2, "striped": 1.5}
BOLD: Weights = {"plain": 4, "floral": 4, "dotted": 2.5, "striped": 2.5, "leopard": 1.2, "checked": 1, "zigzag": 1}

STYLES: Weights = {"casual": 5, "formal": 2, "party": 1.5, "vintage": 1.5, "sporty": 1.5}
SMART: Weights = {"formal": 4, "casual": 3, "vintage": 1.5, "party": 1}
ACTIVE: Weights = {"casual": 4, "sporty": 4, "vintage": 1}

FITS = _even("slim", "regular", "loose")
CREW_AND_V: Weights = {"crew neck": 4, "v neck": 3, "scoop neck": 2}
HEMS: Weights = {"mini": 2, "midi": 3, "maxi": 2}
LEGS: Weights = {"full length": 4, "cropped": 2}

GARMENTS: dict[str, Garment] = {
    "dress": Garment(
        14,
        0.98,
        60,
        {
            "colour": COLOURS,
            "pattern": BOLD,
            "style": {"party": 3, "casual": 4, "formal": 2, "vintage": 2},
            "sleeve": {"sleeveless": 4, "short sleeve": 3, "long sleeve": 2},
            "neckline": CREW_AND_V,
            "length": HEMS,
            "fit": FITS,
            "material": {"cotton": 4, "linen": 2, "silk": 2, "polyester": 3, "velvet": 1},
        },
    ),
    "shirt": Garment(
        10,
        0.4,
        40,
        {
            "colour": COLOURS,
            "pattern": PATTERNS,
            "style": SMART,
            "sleeve": {"long sleeve": 4, "short sleeve": 2},
            "fit": FITS,
            "material": {"cotton": 5, "linen": 2, "silk": 1, "flannel": 1.5},
        },
    ),
    "t-shirt": Garment(
        10,
        0.5,
        18,
        {
            "colour": COLOURS,
            "pattern": PATTERNS,
            "style": ACTIVE,
            "neckline": CREW_AND_V,
            "fit": FITS,
            "sleeve": {"short sleeve": 5, "long sleeve": 1.5, "sleeveless": 1.5},
            "material": {"cotton": 6, "polyester": 2, "linen": 1},
        },
    ),
    "sweater": Garment(
        8,
        0.5,
        55,
        {
            "colour": COLOURS,
            "pattern": {"plain": 7, "striped": 4, "zigzag": 2.5, "checked": 1},
            "style": STYLES,
            "neckline": {"crew neck": 4, "v neck": 3, "turtle neck": 3},
            "fit": FITS,
            "material": {"wool": 4, "cashmere": 1.5, "cotton": 3},
        },
    ),
    "hoodie": Garment(
        5,
        0.4,
        45,
        {"colour": COLOURS, "pattern": SOBER, "style": ACTIVE, "fit": FITS, "material": {"cotton": 4, "fleece": 3}},
    ),
    "jacket": Garment(
        7,
        0.45,
        90,
        {
            "colour": EARTHY | {"blue": 5, "green": 2},
            "pattern": SOBER,
            "style": STYLES,
            "fit": FITS,
            "material": {"leather": 3, "denim": 3, "nylon": 2.5, "suede": 1},
        },
    ),
    "coat": Garment(
        5,
        0.55,
        140,
        {
            "colour": EARTHY,
            "pattern": SOBER,
            "style": SMART,
            "fit": FITS,
            "length": {"knee length": 3, "ankle length": 2},
            "material": {"wool": 4, "cotton": 2, "nylon": 1.5},
        },
    ),
    "jeans": Garment(
        7, 0.5, 60, {"colour": DENIM, "pattern": {"plain": 1}, "style": ACTIVE, "length": LEGS, "fit": FITS}
    ),
    "trousers": Garment(
        6,
        0.45,
        55,
        {
            "colour": EARTHY,
            "pattern": SOBER,
            "style": SMART,
            "length": LEGS,
            "fit": FITS,
            "material": {"cotton": 4, "linen": 2, "wool": 2, "polyester": 2},
        },
    ),
    "shorts": Garment(
        4,
        0.45,
        30,
        {
            "colour": COLOURS,
            "pattern": PATTERNS,
            "style": ACTIVE,
            "fit": FITS,
            "material": _even("cotton", "linen", "nylon"),
        },
    ),
    "skirt": Garment(
        7,
        0.99,
        40,
        {
            "colour": COLOURS,
            "pattern": BOLD,
            "style": {"casual": 4, "formal": 2, "party": 2, "vintage": 2},
            "length": HEMS,
            "fit": FITS,
            "material": {"cotton": 3, "denim": 2, "silk": 1.5, "leather": 1, "polyester": 2},
        },
    ),
    "sneakers": Garment(
        6,
        0.5,
        75,
        {"colour": COLOURS, "pattern": {"plain": 1}, "style": ACTIVE, "material": _even("leather", "canvas", "mesh")},
    ),
    "boots": Garment(
        5,
        0.5,
        110,
        {
            "colour": EARTHY,
            "pattern": {"plain": 1},
            "style": STYLES,
            "material": {"leather": 4, "suede": 2.5, "rubber": 1},
        },
    ),
    "hat": Garment(
        3,
        0.55,
        25,
        {"colour": COLOURS, "pattern": SOBER, "style": STYLES, "material": {"wool": 2, "straw": 2, "cotton": 2}},
    ),
    "bag": Garment(
        5,
        0.8,
        85,
        {
            "colour": EARTHY | {"pink": 2},
            "pattern": SOBER,
            "style": STYLES,
            "material": _even("leather", "canvas", "suede"),
        },
    ),
}

FOOTWEAR = frozenset({"sneakers", "boots", "shoes", "sandals", "heels"})
UNISEX = frozenset({"t-shirt", "hoodie", "sneakers", "hat", "bag"})
UNSIZED = frozenset({"hat", "bag"})

BRANDS: dict[str, tuple[float, Weights]] = {
    "ardo": (0.6, {"casual": 3, "sporty": 1}),
    "belmira": (1.6, {"formal": 2, "party": 3}),
    "corvane": (1.3, {"formal": 3}),
    "dunfell": (0.9, {"vintage": 2, "casual": 2}),
    "elvaro": (2.2, {"party": 2, "formal": 2}),
    "fenwick": (1.1, {"formal": 2, "casual": 2}),
    "giselo": (0.7, {"casual": 2, "party": 2}),
    "halden": (1.0, {"sporty": 3}),
    "istria": (0.8, {"casual": 3, "vintage": 1}),
    "jorvik": (1.2, {"sporty": 3, "casual": 1}),
    "kestra": (0.5, {"casual": 3, "sporty": 1}),
    "lumeo": (1.4, {"vintage": 3, "party": 1}),
}
"""Brand -> its price factor, and weights of the styles in which it is more frequent."""

CARE: dict[str, str] = {
    **dict.fromkeys(("leather", "suede", "straw", "rubber"), "wipe with a damp cloth"),
    **dict.fromkeys(("silk", "cashmere", "wool", "velvet"), "hand wash cold"),
}
"""Material -> how to clean it, where not by machine."""

MISSING_TEXT: dict[str, float] = {
    "colour": 0.4,
    "type": 0.2,
    "pattern": 0.25,
    "sleeve": 0.25,
    "neckline": 0.15,
    "length": 0.15,
    "material": 0.05,
    "style": 0.05,
    "fit": 0.05,
    "gender": 0.05,
    "age": 0.05,
    "brand": 0.03,
}
"""How often an attribute is missing from a product's text: most often those that its photo shows."""
