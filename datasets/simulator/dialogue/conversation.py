"""A whole dialogue between the shopper and the agent."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from semantic.datasets.simulator.catalogue.catalogue import Catalogue
from semantic.datasets.simulator.dialogue import sentences
from semantic.datasets.simulator.dialogue.agenda import Move, Shopper
from semantic.datasets.simulator.dialogue.agent import Agent, Recommendation
from semantic.datasets.simulator.dialogue.phrases import Spans, Wording
from semantic.datasets.simulator.dialogue.slots import PERSONAL

SEARCHES = (0.6, 0.95, 1.0)  # one, two or three garments, as a cumulative share
QUESTIONS = (0.35, 0.85, 1.0)  # none, one or two questions before the first recommendation
ASKED = 0.18  # how often the shopper asks about a photo before going on
BOUGHT = 0.6
GREETED = 0.8
DELAYED = 0.2  # "let me see" before the photos
PRESENTED = 0.75  # words with the photos that say the criteria again: those said long ago stay within a short context
DESCRIBED = 0.5  # a turn about one of the photos after them


@dataclass
class Said:
    """A turn: words (None for photos without any), and what belongs to them."""

    speaker: str
    act: str
    spans: Spans | None
    recommendation: Recommendation | None = None
    state: dict[str, list[dict[str, Any]]] | None = None


def converse(catalogue: Catalogue, rng: np.random.Generator, negatives: int) -> Iterator[Said]:
    """The turns of a dialogue: greeting, one to three searches with some recommendations each, goodbye."""
    wording = Wording(rng)
    yield from _Conversation(Shopper(catalogue, wording), Agent(catalogue, wording, negatives), wording).turns()


class _Conversation:
    def __init__(self, shopper: Shopper, agent: Agent, wording: Wording) -> None:
        self.shopper, self.agent, self.wording, self.rng = shopper, agent, wording, wording.rng

    def turns(self) -> Iterator[Said]:
        if self.rng.random() < GREETED:
            yield Said("user", "greeting", self.wording.say(sentences.GREETINGS))
            yield Said("system", "greeting", self.wording.say(sentences.AGENT_GREETINGS))
        for search in range(1 + self._step(SEARCHES)):
            yield from self._search(first=search == 0)
        self.shopper.search.references = []
        yield self._user(("exit-message", self.wording.say(sentences.FAREWELLS)))
        yield Said("system", "exit-message", self.wording.say(sentences.AGENT_FAREWELLS))

    def _search(self, first: bool) -> Iterator[Said]:
        opening = self.shopper.open(first)
        if opening is None:
            return
        yield self._user(opening)
        for _ in range(self._step(QUESTIONS) if first else 0):
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
        """The photos, with or without words, and often one of them described in a turn of its own."""
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

    def _step(self, shares: tuple[float, ...]) -> int:
        point = self.rng.random()
        return next(place for place, share in enumerate(shares) if point < share)
