"""The attributes a shopper may ask for, and the MMD slot each is recorded under."""

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
"""Attribute -> slot of `ds`. `sizes` and `care` stay unset: a product's text leaves them out, so no ranker could obey."""

CRITERIA = tuple(SLOTS)
"""Every attribute a criterion can be about, in the order a sentence or a product's text gives them."""

PERSONAL = ("type", "gender", "age")
"""Criteria about what is wanted and for whom: said once a search, not changed by pointing at photos."""


def slot_of(attribute: str, footwear: bool) -> str:
    """The slot of an attribute; the material of footwear is that of its upper part, a slot below `materials`."""
    return "materials >> upper materials (shoes)" if attribute == "material" and footwear else SLOTS[attribute]
