"""Merging of consecutive turns of one speaker, which the paper does before it cuts context windows."""

from collections.abc import Iterable
from dataclasses import dataclass

from semantic.datasets.reading.records import Turn


@dataclass(frozen=True, slots=True)
class MergedTurn:
    """A turn merged from `merged` consecutive turns of one speaker."""

    turn: Turn
    merged: int


def merge_turns(turns: Iterable[Turn]) -> tuple[MergedTurn, ...]:
    """The turns with consecutive ones of one speaker merged, so that speakers alternate.

    Texts are joined by a space, lists of images and negatives concatenated. The last act is kept, and the last state:
    a later turn without a state does not erase an earlier one.
    """
    merged: list[MergedTurn] = []
    for turn in turns:
        if merged and merged[-1].turn.speaker == turn.speaker:
            merged[-1] = MergedTurn(_joined(merged[-1].turn, turn), merged[-1].merged + 1)
        else:
            merged.append(MergedTurn(turn, 1))
    return tuple(merged)


def _joined(first: Turn, second: Turn) -> Turn:
    return Turn(
        speaker=second.speaker,
        act=second.act,
        text=" ".join(filter(None, (first.text, second.text))),
        images=first.images + second.images,
        negatives=first.negatives + second.negatives,
        state=first.state if second.state is None else second.state,
    )
