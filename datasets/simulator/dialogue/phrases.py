"""The wording of criteria, as pieces of text marked with the slots they are about."""

from collections.abc import Mapping, Sequence
from string import Formatter
from typing import TypeVar

import numpy as np

from semantic.datasets.simulator.catalogue.slots import slot_of
from semantic.datasets.simulator.catalogue.words import ATTRIBUTE_NAMES, Noun, nouns_of, words_of

Span = tuple[str, str | None]
"""A piece of an utterance and the slot it is about, None for the words between."""

Spans = list[Span]
Item = TypeVar("Item")

BEFORE_THE_NOUN = ("style", "fit", "length", "colour", "pattern", "sleeve", "neckline", "material", "brand")
MOST_ADJECTIVES = 3
ORDINALS = (("1st", "first"), ("2nd", "second"), ("3rd", "third"), ("4th", "fourth"), ("5th", "fifth"))


class Wording:
    """Draws the words of one dialogue at random, so that the same thing is rarely said twice in the same way."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def pick(self, choices: Sequence[Item]) -> Item:
        return choices[int(self.rng.integers(len(choices)))]

    def say(self, templates: Sequence[str], **words: str | Spans) -> Spans:
        """One of the templates, with `words` in its `{places}`."""
        spans: Spans = []
        for text, place, _, _ in Formatter().parse(self.pick(templates)):
            spans.append((text, None))
            if place:
                filling = words[place]
                spans.extend([(filling, None)] if isinstance(filling, str) else filling)
        return joined(spans)

    def noun(self, kind: str) -> Noun:
        return self.pick(nouns_of(kind))

    def many(self, kind: str | None) -> Spans:
        """The name of several garments: "jumpers", or "ones" where the type is not known."""
        return [("ones", None)] if kind is None else [(self.noun(kind).many, slot_of("type", kind))]

    def adjective(self, attribute: str, value: str, kind: str | None) -> Spans:
        """A value as it stands before a noun: "navy", "long sleeved"."""
        if attribute == "type":
            return self.many(value)
        return [(self.pick(words_of(attribute, value).adjectives), slot_of(attribute, kind))]

    def phrase(self, attribute: str, value: str, kind: str | None) -> Spans:
        """A value as it follows "I would prefer them": "in navy", "with long sleeves"."""
        return [(self.pick(words_of(attribute, value).phrases), slot_of(attribute, kind))]

    def attribute(self, attribute: str, kind: str | None) -> Spans:
        """The name of the attribute: "colour", "print"."""
        return [(self.pick(ATTRIBUTE_NAMES[attribute]), slot_of(attribute, kind))]

    def nth(self, place: int, kind: str | None) -> Spans:
        """The name of a photo by its place among those shown last: "2nd image", "second dress"."""
        noun = None if kind is None else self.noun(kind)
        names = ["one", "image", "photo"] + ([] if noun is None else [noun.pair.split()[0] if noun.pair else noun.one])
        return [(f"{self.pick(ORDINALS[place])} {self.pick(names)}", None)]

    def wanted(self, criteria: Mapping[str, str], one: bool = False) -> Spans:
        """A noun phrase: "red striped dresses with long sleeves for women", or "a red striped dress ..."."""
        kind = criteria.get("type")
        noun = self.noun(kind) if kind else Noun("one", "ones")
        before, after = self._places(criteria)
        spans: Spans = []
        for attribute in before:
            spans += [*self.adjective(attribute, criteria[attribute], kind), (" ", None)]
        spans.append((noun.one if one else noun.many, slot_of("type", kind)))
        for attribute in after:
            piece, slot = self.phrase(attribute, criteria[attribute], kind)[0]
            # "with long sleeves with a v neck" -> "with long sleeves and a v neck"
            if piece.startswith("with ") and any(text.startswith("with ") for text, _ in spans[-1:]):
                piece = "and " + piece.removeprefix("with ")
            spans += [(" ", None), (piece, slot)]
        if one:
            start = noun.pair or spans[0][0]
            spans.insert(
                0, (f"{'an' if start[0] in 'aeiou' and not start.startswith('un') else 'a'} {noun.pair}", None)
            )
        return joined(spans)

    def _places(self, criteria: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """The attributes said before the noun, at most three, and after it; gender and age are always after."""
        before: list[str] = []
        after: list[str] = []
        for attribute in criteria:
            if attribute in BEFORE_THE_NOUN and len(before) < MOST_ADJECTIVES and self.rng.random() < 0.6:
                before.append(attribute)
            elif attribute != "type":
                after.append(attribute)
        return sorted(before, key=BEFORE_THE_NOUN.index), after


def joined(spans: Spans) -> Spans:
    """The same text with neighbouring unmarked pieces joined and empty pieces removed."""
    merged: Spans = []
    for text, slot in spans:
        if slot is None and merged and merged[-1][1] is None:
            merged[-1] = (merged[-1][0] + text, None)
        elif text:
            merged.append((text, slot))
    return [(text, slot) for text, slot in merged if text]


def text_of(spans: Spans) -> str:
    return "".join(text for text, _ in spans)
