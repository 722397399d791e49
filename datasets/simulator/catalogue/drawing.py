"""Drawing of a catalogue: families of products of one cut that differ in colour and pattern, as in a real shop."""

import numpy as np

from semantic.datasets.simulator.catalogue.catalogue import Catalogue, encode
from semantic.datasets.simulator.catalogue.garments import (
    BRANDS,
    CARE,
    GARMENTS,
    MISSING_TEXT,
    UNISEX,
    UNSIZED,
    Garment,
    Weights,
)
from semantic.datasets.simulator.catalogue.slots import CRITERIA
from semantic.datasets.simulator.catalogue.words import MODELS, nouns_of, words_of

LARGEST_FAMILY = 4
VARIES = ("colour", "pattern", "sleeve")
TEXT_KEYS = {"colour": "color", "pattern": "print", "neckline": "neck"}
MISSING = ("unk", "", " ")
SIZES = ("xs", "s", "m", "l", "xl")
SHOE_SIZES = ("36", "37", "38", "39", "40", "41", "42", "43")


def draw_catalogue(products: int, seed: int) -> Catalogue:
    """A catalogue of `products` drawn products; the same arguments draw the same catalogue."""
    rng = np.random.default_rng([seed, 1])
    drawn: list[dict[str, str]] = []
    while len(drawn) < products:
        drawn.extend(_family(rng)[: products - len(drawn)])
    drawn = [drawn[row] for row in rng.permutation(products)]
    columns: dict[str, list[str | None]] = {name: [item.get(name) for item in drawn] for name in CRITERIA}
    values, codes = encode(columns)
    return Catalogue(
        names=[f"item-{row:06d}" for row in range(products)],
        texts=[_text(rng, item) for item in drawn],
        values=values,
        codes=codes,
        facts={fact: [item[fact] for item in drawn] for fact in ("price", "care", "sizes")},
    )


def draw(rng: np.random.Generator, weights: Weights) -> str:
    """A value drawn with probability proportional to its weight."""
    point = rng.random() * sum(weights.values())
    for value, weight in weights.items():
        point -= weight
        if point < 0:
            return value
    return next(reversed(weights))


def _family(rng: np.random.Generator) -> list[dict[str, str]]:
    """One to four products of one cut and brand, no two with the same colour, pattern and sleeve."""
    kind = draw(rng, {name: garment.weight for name, garment in GARMENTS.items()})
    garment = GARMENTS[kind]
    parent = {"type": kind, "model": MODELS[rng.integers(len(MODELS))]}
    for attribute, weights in garment.options.items():
        if attribute not in VARIES:
            parent[attribute] = draw(rng, weights)
    parent["gender"] = "women" if rng.random() < garment.women else "men"
    if kind in UNISEX and rng.random() < 0.4:
        parent["gender"] = "unisex"
    if kind not in UNSIZED:
        parent["age"] = draw(rng, {"adults": 6, "teens": 1, "kids": 1})
    parent["brand"] = draw(rng, {brand: 0.5 + leans.get(parent["style"], 0) for brand, (_, leans) in BRANDS.items()})
    parent["care"] = CARE.get(parent.get("material", "cotton"), "machine wash")
    parent["price"] = _price(rng, garment, parent)
    family: dict[tuple[str | None, ...], dict[str, str]] = {}
    for _ in range(1 + rng.integers(LARGEST_FAMILY)):
        child = dict(parent)
        for attribute in VARIES:
            if attribute in garment.options:
                child[attribute] = draw(rng, garment.options[attribute])
        child["sizes"] = _sizes(rng, kind)
        family.setdefault(tuple(child.get(attribute) for attribute in VARIES), child)
    return list(family.values())


def _price(rng: np.random.Generator, garment: Garment, item: dict[str, str]) -> str:
    factor = BRANDS[item["brand"]][0] * (0.6 if item.get("age") == "kids" else 1.0)
    factor *= {"leather": 1.6, "silk": 1.5, "cashmere": 2.0, "polyester": 0.8}.get(item.get("material", ""), 1.0)
    return str(round(garment.price * factor * rng.uniform(0.8, 1.25)))


def _sizes(rng: np.random.Generator, kind: str) -> str:
    if kind in UNSIZED:
        return "one size"
    every = SHOE_SIZES if kind in ("sneakers", "boots") else SIZES
    first, last = sorted(int(place) for place in rng.choice(len(every), 2, replace=False))
    return " ".join(every[first : last + 1])


def _text(rng: np.random.Generator, item: dict[str, str]) -> dict[str, str]:
    """The content of a product's file: some values are missing, as in real files, and some words are synonyms."""
    said = {name: _word(rng, name, item[name]) for name in CRITERIA if name in item}
    for name in said:
        if rng.random() < MISSING_TEXT[name]:
            said[name] = MISSING[rng.integers(len(MISSING))]
    kind = said.pop("type")
    known = bool(kind.strip()) and kind != "unk"
    # The name ends in the type, but must not reveal it where it is missing.
    text = {"name": f"{item['model']} {kind}" if known else item["model"], "type": kind}
    text |= {TEXT_KEYS.get(name, name): word for name, word in said.items()}
    text["price"] = item["price"]
    text["care"] = item["care"]
    text["available_sizes"] = item["sizes"]
    text["avgStars"] = f"{rng.uniform(2.5, 5):.1f}"
    return text


def _word(rng: np.random.Generator, attribute: str, value: str) -> str:
    """The value itself with probability 2/3, else one of its words, drawn evenly."""
    if rng.random() < 2 / 3:
        return value
    if attribute == "type":
        nouns = nouns_of(value)
        return nouns[rng.integers(len(nouns))].one
    adjectives = words_of(attribute, value).adjectives
    return adjectives[rng.integers(len(adjectives))]
