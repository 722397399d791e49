"""Slot schemas: the slots of a belief state, and the words their keys are embedded as."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

UNSET = "none"
"""The value text of a slot that is not set."""


@dataclass(frozen=True)
class SlotSchema:
    """Slots in a fixed order; the key `slots[i]` is embedded as `words[i]`."""

    name: str
    slots: tuple[str, ...]
    words: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.slots or len(self.slots) != len(self.words):
            raise ValueError(
                f"slot schema {self.name!r}: expected one word a slot, got {len(self.slots)} slots, {len(self.words)} words"
            )
        repeated = sorted({slot for slot in self.slots if self.slots.count(slot) > 1})
        if repeated:
            raise ValueError(f"slot schema {self.name!r}: expected each slot once, got {', '.join(repeated)} repeated")

    @classmethod
    def from_mapping(cls, name: str, mapping: Mapping[str, str]) -> "SlotSchema":
        """A schema from {slot: key words}, in the mapping's order."""
        return cls(name, tuple(mapping), tuple(str(word) for word in mapping.values()))

    def values(self, state: Mapping[str, str]) -> tuple[str, ...]:
        """The state's value texts in the schema's order, "none" where not set. ValueError for an unknown slot."""
        unknown = sorted(state.keys() - set(self.slots))
        if unknown:
            raise ValueError(
                f"belief state: expected slots of {self.name!r} ({', '.join(self.slots)}), got {', '.join(unknown)}"
            )
        return tuple(state.get(slot, UNSET) for slot in self.slots)

    @classmethod
    def for_slots(cls, slots: Sequence[str]) -> "SlotSchema":
        """The known schema with exactly these slots, else a schema whose keys are embedded as themselves."""
        for schema in SCHEMAS.values():
            if schema.slots == tuple(slots):
                return schema
        return cls("own", tuple(slots), tuple(slots))


MMD = SlotSchema.from_mapping(
    "mmd",
    {
        "age": "age",
        "product_category": "category",
        "brand": "brand",
        "sizes": "size",
        "length": "length",
        "colors": "color",
        "fit": "fit",
        "styles": "style",
        "care": "care",
        "types": "type",
        "materials": "material",
        "gender": "gender",
        "print": "print",
        "likes": "like",
        "dislikes": "dislike",
    },
)

SIMMC = SlotSchema.from_mapping(
    "simmc",
    {
        "customerReview": "review",
        "brand": "brand",
        "sleeveLength": "length",
        "availableSizes": "size",
        "pattern": "pattern",
        "price": "price",
        "color": "color",
        "materials": "material",
        "customerRating": "rate",
        "type": "type",
    },
)

SCHEMAS: Mapping[str, SlotSchema] = {schema.name: schema for schema in (MMD, SIMMC)}
