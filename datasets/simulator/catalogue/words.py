"""The words for garments, attributes and values, from which dialogues and product texts draw synonyms."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Noun:
    """A garment's name. One of them is "a {pair}{adjectives} {one}", several are "{adjectives} {many}"."""

    one: str
    many: str
    pair: str = ""


@dataclass(frozen=True)
class Words:
    """The ways to say a value: adjectives before the noun, phrases after "I would prefer them"."""

    adjectives: tuple[str, ...]
    phrases: tuple[str, ...] = ()


def _pairs(*names: str) -> tuple[Noun, ...]:
    return tuple(Noun(name, name, "pair of ") for name in names)


NOUNS: dict[str, tuple[Noun, ...]] = {
    "dress": (Noun("dress", "dresses"), Noun("gown", "gowns")),
    "shirt": (Noun("shirt", "shirts"), Noun("button-up", "button-ups")),
    "t-shirt": (Noun("t-shirt", "t-shirts"), Noun("tee", "tees")),
    "sweater": (Noun("sweater", "sweaters"), Noun("jumper", "jumpers"), Noun("pullover", "pullovers")),
    "hoodie": (Noun("hoodie", "hoodies"),),
    "jacket": (Noun("jacket", "jackets"),),
    "coat": (Noun("coat", "coats"), Noun("overcoat", "overcoats")),
    "jeans": _pairs("jeans", "denims"),
    "trousers": _pairs("trousers", "pants"),
    "shorts": _pairs("shorts"),
    "skirt": (Noun("skirt", "skirts"),),
    "sneakers": _pairs("sneakers", "trainers"),
    "boots": _pairs("boots"),
    "hat": (Noun("hat", "hats"),),
    "bag": (Noun("bag", "bags"), Noun("handbag", "handbags")),
}

MODELS = (
    *("aria", "basil", "cleo", "delta", "ember", "flora", "gala", "haven", "iris", "juno", "karma", "luna"),
    *("maple", "nova", "opal", "pearl", "quinn", "river", "sol", "terra", "una", "vega", "willow", "zoe"),
)

ATTRIBUTE_NAMES: dict[str, tuple[str, ...]] = {
    "type": ("type",),
    "gender": ("gender",),
    "age": ("age group",),
    "colour": ("colour", "shade"),
    "pattern": ("print", "pattern"),
    "sleeve": ("sleeve length", "sleeve"),
    "neckline": ("neckline",),
    "material": ("material", "fabric"),
    "fit": ("fit", "cut"),
    "length": ("length",),
    "style": ("style", "look"),
    "brand": ("brand", "label"),
}


def _colours(**synonyms: tuple[str, ...]) -> dict[str, Words]:
    return {
        value: Words((value, *others), tuple(f"in {word}" for word in (value, *others)))
        for value, others in synonyms.items()
    }


def _materials(*names: str) -> dict[str, Words]:
    return {name: Words((name,), (f"made of {name}", f"in {name}")) for name in names}


WORDS: dict[str, dict[str, Words]] = {
    "colour": _colours(
        black=("ebony",),
        white=("snow white",),
        grey=("gray", "silver"),
        red=("scarlet", "crimson"),
        blue=("azure", "cobalt"),
        navy=("dark blue", "midnight blue"),
        green=("emerald",),
        olive=("khaki", "army green"),
        yellow=("lemon",),
        orange=("tangerine",),
        pink=("rose",),
        purple=("violet", "lilac"),
        brown=("chocolate",),
        beige=("cream", "sand"),
    ),
    "pattern": {
        "plain": Words(("plain", "solid"), ("without a pattern", "in one plain colour")),
        "striped": Words(("striped", "stripy"), ("with stripes", "with lines")),
        "checked": Words(("checked", "plaid"), ("with checks", "in plaid")),
        "dotted": Words(("dotted", "polka dot"), ("with dots", "with polka dots")),
        "floral": Words(("floral", "flowery"), ("with flowers", "with a floral print")),
        "zigzag": Words(("zigzag", "chevron"), ("with zigzags",)),
        "leopard": Words(("leopard", "animal print"), ("with an animal print", "with leopard spots")),
    },
    "sleeve": {
        "sleeveless": Words(("sleeveless",), ("without sleeves", "with no sleeves")),
        "short sleeve": Words(("short sleeved",), ("with short sleeves",)),
        "long sleeve": Words(("long sleeved", "full sleeved"), ("with long sleeves", "with full sleeves")),
    },
    "neckline": {
        "crew neck": Words(("crew neck", "round neck"), ("with a crew neck", "with a round neck")),
        "v neck": Words(("v neck",), ("with a v neck",)),
        "scoop neck": Words(("scoop neck", "low neck"), ("with a scoop neck", "with a low neck")),
        "turtle neck": Words(("turtle neck", "roll neck"), ("with a turtle neck", "with a roll neck")),
    },
    "material": _materials(
        *("cotton", "linen", "silk", "polyester", "velvet", "flannel", "wool", "cashmere", "fleece", "leather"),
        *("denim", "nylon", "suede", "canvas", "mesh", "rubber", "straw"),
    ),
    "fit": {
        "slim": Words(("slim", "tight"), ("in a slim fit", "in a tight fit")),
        "regular": Words(("regular fit",), ("in a regular fit", "in a normal fit")),
        "loose": Words(("loose", "oversized"), ("in a loose fit", "in an oversized fit")),
    },
    "length": {
        "mini": Words(("mini",), ("in mini length", "ending above the knee")),
        "midi": Words(("midi",), ("in midi length", "ending below the knee")),
        "maxi": Words(("maxi", "floor length"), ("in maxi length", "down to the floor")),
        "full length": Words(("full length",), ("in full length",)),
        "cropped": Words(("cropped",), ("in a cropped length",)),
        "knee length": Words(("knee length",), ("down to the knee",)),
        "ankle length": Words(("ankle length",), ("down to the ankle",)),
    },
    "style": {
        "casual": Words(("casual", "everyday"), ("for every day", "in a casual style")),
        "formal": Words(("formal", "elegant"), ("for the office", "in a formal style")),
        "sporty": Words(("sporty", "athletic"), ("for the gym", "in a sporty style")),
        "party": Words(("festive",), ("for a party", "for a night out")),
        "vintage": Words(("vintage", "retro"), ("in a vintage style", "in a retro style")),
    },
    "gender": {
        "women": Words(("women",), ("for women", "for ladies")),
        "men": Words(("men",), ("for men", "for gents")),
        "unisex": Words(("unisex",), ("for anyone",)),
    },
    "age": {
        "adults": Words(("adults",), ("in adult sizes",)),
        "teens": Words(("teens",), ("in teen sizes", "in youth sizes")),
        "kids": Words(("kids",), ("in kids sizes", "in children sizes")),
    },
}
"""Attribute -> value -> its words. Other values, from a user's own catalogue, are said as they are written."""

PHRASES: dict[str, tuple[str, ...]] = {
    "colour": ("in {}",),
    "pattern": ("with a {} print",),
    "sleeve": ("with {} sleeves",),
    "neckline": ("with a {} neckline",),
    "material": ("made of {}", "in {}"),
    "fit": ("in a {} fit",),
    "length": ("in {} length",),
    "style": ("in a {} style",),
    "gender": ("for {}",),
    "age": ("in {} sizes",),
    "brand": ("by {}", "from {}"),
}
"""Attribute -> how a value without phrases of its own is said after the noun."""


def words_of(attribute: str, value: str) -> Words:
    """The words for a value of an attribute other than type, with at least one adjective and one phrase."""
    words = WORDS.get(attribute, {}).get(value) or Words((value,))
    if words.phrases:
        return words
    return Words(words.adjectives, tuple(pattern.format(value) for pattern in PHRASES[attribute]))


def nouns_of(kind: str) -> tuple[Noun, ...]:
    """The names of a type. One that is not in `NOUNS` is named as it is written, with a regular plural."""
    if kind in NOUNS:
        return NOUNS[kind]
    many = kind if kind.endswith("s") else f"{kind}es" if kind.endswith(("ch", "sh", "x")) else f"{kind}s"
    return (Noun(kind, many, "pair of " if kind == many else ""),)
