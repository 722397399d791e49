"""The two known schemas, and a user's own."""

import pytest

from semantic.dst.schema import MMD, SCHEMAS, SIMMC, SlotSchema


def test_mmd_has_its_fifteen_slots_under_the_releases_key_words():
    assert MMD.slots == (
        "age", "product_category", "brand", "sizes", "length", "colors", "fit", "styles", "care", "types", "materials",
        "gender", "print", "likes", "dislikes",
    )  # fmt: skip
    assert " ".join(MMD.words) == (
        "age category brand size length color fit style care type material gender print like dislike"
    )


def test_simmc_has_its_ten_slots_under_the_releases_key_words():
    assert SIMMC.slots == (
        "customerReview", "brand", "sleeveLength", "availableSizes", "pattern", "price", "color", "materials",
        "customerRating", "type",
    )  # fmt: skip
    assert " ".join(SIMMC.words) == "review brand length size pattern price color material rate type"


def test_values_come_in_the_schemas_order_and_none_where_unset():
    assert SIMMC.values({"type": "dress", "color": "red"}) == (*["none"] * 6, "red", *["none"] * 2, "dress")


def test_an_unknown_slot_is_refused():
    with pytest.raises(ValueError, match=r"belief state: expected slots of 'simmc' \(customerReview, .*\), got colour"):
        SIMMC.values({"colour": "red"})


def test_known_slots_find_their_schema_and_others_speak_for_themselves():
    assert all(SlotSchema.for_slots(schema.slots) is schema for schema in SCHEMAS.values())
    own = SlotSchema.for_slots(SIMMC.slots[::-1])
    assert own.words == own.slots == SIMMC.slots[::-1]


def test_a_schema_from_a_mapping_keeps_its_order():
    schema = SlotSchema.from_mapping("own", {"hue": "colour", "cut": "fit of it"})

    assert (schema.name, schema.slots, schema.words) == ("own", ("hue", "cut"), ("colour", "fit of it"))


@pytest.mark.parametrize(
    ("slots", "words", "message"),
    [
        ((), (), "slot schema 'own': expected one word a slot, got 0 slots, 0 words"),
        (("a", "b"), ("x",), "slot schema 'own': expected one word a slot, got 2 slots, 1 words"),
        (("a", "b", "a"), ("x", "y", "z"), "slot schema 'own': expected each slot once, got a repeated"),
    ],
)
def test_a_schema_without_one_word_a_slot_is_refused(slots, words, message):
    with pytest.raises(ValueError, match=message):
        SlotSchema("own", slots, words)
