"""Images of dialogue files as product rows: whole lists at once, with the answers of one at a time."""

from array import array
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantic.datasets.preparing.parsing import Images, packed
from semantic.datasets.preparing.resolving import Resolver

IDS = 17  # places of the array: ids up to 15 in it, those beyond looked up one by one
ROWS = {f"p{row}": row for row in (0, 2, 3, 5, 7, 11)}


def image_name(image: int | str) -> str:
    """Ids 2, 3, 4 ... are p0, p1, p2 ...; a URL ends in its product's name."""
    if isinstance(image, str):
        return image.removeprefix("http://x/") if not image.isdecimal() else image_name(int(image))
    return f"p{image - 2}" if image >= 2 else f"id {int(image)}"


def one_by_one(lists: list[tuple[int | str, ...]], rows: Mapping[str, int]) -> tuple[list[list[int]], list[str]]:
    names = [[image_name(image) for image in images] for images in lists]
    dead = dict.fromkeys(name for each in names for name in each if name not in rows)
    return [[rows[name] for name in each if name in rows] for each in names], list(dead)


numbers = st.one_of(st.integers(-3, 23), st.integers(-(2**31), 2**31 - 1), st.sampled_from([2**31, 2**40, 2**70]))
texts = st.sampled_from(["http://x/p3", "http://x/p4", "13", "4", "odd", "id 1"])
lists = st.one_of(st.lists(st.integers(-3, 23)), st.lists(st.one_of(numbers, texts, st.booleans())))


@given(images=st.lists(lists.map(tuple), max_size=7))
def test_lists_resolve_as_their_images_do_one_by_one(images: list[tuple[int | str, ...]]) -> None:
    dead: list[str] = []
    resolve = Resolver(image_name, ROWS, IDS)
    found = [resolve(packed(each), dead.append).tolist() for each in images]
    assert (found, dead) == one_by_one(images, ROWS)


@pytest.mark.parametrize(
    ("images", "kind"),
    [
        ((3, -1, 2**31 - 1), array),
        ((), array),
        ((3, 2**31), tuple),
        ((3, "4"), tuple),
        (("p0",), tuple),
    ],
)
def test_integers_that_fit_are_packed_and_nothing_else(images: tuple[int | str, ...], kind: type) -> None:
    packed_images: Images = packed(images)
    assert isinstance(packed_images, kind)
    assert tuple(packed_images) == images


def test_an_id_is_looked_up_once() -> None:
    asked: list[int | str] = []

    def name(image: int | str) -> str:
        asked.append(image)
        return image_name(image)

    resolve = Resolver(name, ROWS, IDS)
    for _ in range(3):
        assert resolve(packed((2, 3, 5, 1)), lambda _: None).tolist() == [0, 3]
    assert asked == [2, 3, 5, 1]
