"""The attributes a criterion can be about, and MMD's slot for each."""

from semantic.datasets.simulator.catalogue.garments import FOOTWEAR

SLOTS: dict[str, str] = {
    "type": "product_category",
    "gender": "gender",
    "age": "age",
    "colour": "colors",
    "pattern": "print",
    "sleeve": "types >> sleeve",
    "neckline": "types >> neckline",
    "material": "materials",
    "fit": "fit",
    "length": "length",
    "style": "styles",
    "brand": "brand",
}
"""Attribute -> slot of `ds`. `sizes` and `care` are never set: product texts leave them out, so no model could use them."""

CRITERIA = tuple(SLOTS)
"""Every attribute a criterion can be about, in the order in which product texts have them."""

PERSONAL = ("type", "gender", "age")
"""What is wanted, and for whom: said once in a search, and not changed by pointing at photos."""


def slot_of(attribute: str, kind: str | None) -> str:
    """The slot of an attribute of the type `kind`. The material of footwear is that of the upper, below `materials`."""
    if attribute == "material" and kind in FOOTWEAR:
        return "materials >> upper materials (shoes)"
    return SLOTS[attribute]
