"""A whole dialogue between shopper and agent."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from semantic.datasets.simulator.catalogue.catalogue import Catalogue
from semantic.datasets.simulator.catalogue.slots import PERSONAL
from semantic.datasets.simulator.dialogue import sentences
from semantic.datasets.simulator.dialogue.agenda import Move, Shopper
from semantic.datasets.simulator.dialogue.agent import Agent, Recommendation
from semantic.datasets.simulator.dialogue.phrases import Spans, Wording

SEARCHES = (0.6, 0.95, 1.0)  # cumulative shares of dialogues with one, two and three searches
QUESTIONS = (0.35, 0.85, 1.0)  # cumulative shares of no, one and two questions before the first recommendation
# How often:
ASKED = 0.18  # the shopper asks about a photo before its next move
BOUGHT = 0.6  # a search ends with buying
GREETED = 0.8  # a dialogue begins with greetings
DELAYED = 0.2  # the agent says "let me see" before the photos
PRESENTED = 0.75  # words with the photos repeat criteria, so that old ones stay within a short context window
DESCRIBED = 0.5  # one of the photos is described in the next turn


@dataclass
class Said:
    """A turn: its words (None for photos without words), and its recommendation or state."""

    speaker: str
    act: str
    spans: Spans | None
    recommendation: Recommendation | None = None
    state: dict[str, list[dict[str, Any]]] | None = None


def converse(catalogue: Catalogue, rng: np.random.Generator, negatives: int) -> Iterator[Said]:
    """The turns of a dialogue: greetings, one to three searches with some recommendations each, and goodbye."""
    wording = Wording(rng)
    yield from _Conversation(Shopper(catalogue, wording), Agent(catalogue, wording, negatives), wording).turns()


class _Conversation:
    def __init__(self, shopper: Shopper, agent: Agent, wording: Wording) -> None:
        self.shopper, self.agent, self.wording, self.rng = shopper, agent, wording, wording.rng

    def turns(self) -> Iterator[Said]:
        if self.rng.random() < GREETED:
            yield Said("user", "greeting", self.wording.say(sentences.GREETINGS))
            yield Said("system", "greeting", self.wording.say(sentences.AGENT_GREETINGS))
        for search in range(1 + self._draw(SEARCHES)):
            yield from self._search(first=search == 0)
        self.shopper.search.references = []
        yield self._user(("exit-message", self.wording.say(sentences.FAREWELLS)))
        yield Said("system", "exit-message", self.wording.say(sentences.AGENT_FAREWELLS))

    def _search(self, first: bool) -> Iterator[Said]:
        opening = self.shopper.open(first)
        if opening is None:
            return
        yield self._user(opening)
        for _ in range(self._draw(QUESTIONS) if first else 0):
            asked = self.agent.question(self.shopper.search)
            if asked:
                yield Said("system", "question", asked[1])
                yield self._user(self.shopper.answer(asked[0]))
        yield from self._recommend()
        while True:
            if self.rng.random() < ASKED:
                yield from self._ask()
            move = self.shopper.next_move()
            if move is None:
                break
            yield self._user(move)
            yield from self._recommend()
        if self.rng.random() < BOUGHT:
            yield self._user(self.shopper.buy())
            yield Said("system", "buy", self.wording.say(sentences.SOLD))

    def _recommend(self) -> Iterator[Said]:
        """The turns of a recommendation: photos with or without words, and often a description of one of them."""
        search = self.shopper.search
        if self.rng.random() < DELAYED:
            yield Said("system", "answer", self.wording.say(sentences.WAIT))
        recommendation = self.agent.recommend(search)
        words = self.agent.present(search) if self.rng.random() < PRESENTED else None
        yield Said("system", "answer", words, recommendation)
        if self.rng.random() < DESCRIBED:
            yield Said("system", "answer", self.agent.describe(search))

    def _ask(self) -> Iterator[Said]:
        search = self.shopper.search
        place = int(self.rng.integers(len(search.shown)))
        untold = [name for name in search.open_attributes() if name not in PERSONAL]
        known = [name for name in untold if search.value(search.shown[place], name) is not None]
        if known or self.agent.catalogue.facts:
            attribute = self.wording.pick([*known, *self.agent.catalogue.facts])
            yield self._user(self.shopper.ask(attribute, place))
            yield Said("system", "answer", self.agent.tell(search, attribute, place))

    def _user(self, move: Move) -> Said:
        act, spans = move
        return Said("user", act, spans, state=self.shopper.search.state())

    def _draw(self, shares: tuple[float, ...]) -> int:
        """An index drawn by cumulative shares."""
        point = self.rng.random()
        return next(place for place, share in enumerate(shares) if point < share)
