"""Consecutive turns of one speaker become one."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from semantic.datasets.reading.merging import merge_turns
from semantic.datasets.reading.records import Turn


def test_texts_images_negatives_act_and_state_of_one_speaker_join() -> None:
    turns = [
        Turn("user", "greeting", "hi", state={"color": "red"}),
        Turn("user", "question", "", ("a",)),
        Turn("user", "last", "there"),
        Turn("system", "answer", "look", ("b",), ("c", "d")),
        Turn("system", "show", "", ("e",), ("f",)),
        Turn("user", "bye", "bye"),
    ]
    first, second, third = merge_turns(turns)
    assert first.turn == Turn("user", "last", "hi there", ("a",), (), {"color": "red"})
    assert second.turn == Turn("system", "show", "look", ("b", "e"), ("c", "d", "f"))
    assert third.turn == turns[-1]
    assert (first.merged, second.merged, third.merged) == (3, 2, 1)


def test_the_last_state_there_is_wins_even_an_empty_one() -> None:
    states = [{"color": "red"}, {}, None]
    (merged,) = merge_turns([Turn("user", "", "", state=state) for state in states])
    assert merged.turn.state == {}


@given(st.lists(st.tuples(st.sampled_from(["user", "system"]), st.lists(st.sampled_from("abc")))))
def test_speakers_alternate_and_nothing_is_lost(content: list[tuple[str, list[str]]]) -> None:
    turns = [Turn(speaker, "", "x", tuple(images)) for speaker, images in content]
    merged = merge_turns(turns)
    assert all(one.turn.speaker != other.turn.speaker for one, other in pairwise(merged))
    assert sum(item.merged for item in merged) == len(turns)
    assert [image for item in merged for image in item.turn.images] == [
        image for turn in turns for image in turn.images
    ]
    assert merge_turns(item.turn for item in merged) == tuple(
        type(item)(item.turn, 1) for item in merged
    )  # merging again changes nothing
