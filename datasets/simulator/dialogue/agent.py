"""The agent: it asks questions, recommends products that satisfy the criteria, describes them, and answers questions."""

from dataclasses import dataclass

import numpy as np

from semantic.datasets.simulator.catalogue.catalogue import Catalogue
from semantic.datasets.simulator.catalogue.slots import PERSONAL
from semantic.datasets.simulator.dialogue import sentences
from semantic.datasets.simulator.dialogue.phrases import Spans, Wording
from semantic.datasets.simulator.dialogue.search import Search

MOST_SHOWN = 5
SIMILAR_NEGATIVES = (
    0.2  # share of negatives of the type asked for, so that type alone does not rank the positives first
)


@dataclass
class Recommendation:
    """Rows of the products shown, all of which satisfy the criteria, and of the negatives, none of which does."""

    shown: np.ndarray
    negatives: np.ndarray


class Agent:
    """The simulated agent, which knows the catalogue and the current criteria but not the goal."""

    def __init__(self, catalogue: Catalogue, wording: Wording, negatives: int) -> None:
        self.catalogue, self.wording, self.rng, self.negatives = catalogue, wording, wording.rng, negatives

    def question(self, search: Search) -> tuple[str, Spans] | None:
        """(attribute, words) of a question about an open attribute in which the products left differ, None without one."""
        mask = search.satisfying()
        differing = []
        for attribute in search.open_attributes():
            if attribute in sentences.ASK and sum(count > 1 for _, count in search.counts(attribute, mask)) > 1:
                differing.append(attribute)
        if not differing:
            return None
        attribute = "gender" if "gender" in differing and self.rng.random() < 0.5 else self.wording.pick(differing)
        return attribute, self.wording.say(sentences.ASK[attribute], many=self.wording.many(search.kind))

    def recommend(self, search: Search) -> Recommendation:
        """Three to five products that satisfy the criteria, fewer where there are no more; those not shown yet first."""
        mask, most = search.satisfying(), min(MOST_SHOWN, 3 + int(self.rng.integers(0, 4)))
        shown = self._some(search.unseen(), most)
        if len(shown) < most:
            again = np.setdiff1d(np.flatnonzero(mask), shown)
            shown = np.concatenate([shown, self._some(again, most - len(shown))])
        search.shown = shown.tolist()
        search.seen += search.shown
        return Recommendation(shown, self._negatives(search, ~mask))

    def _some(self, rows: np.ndarray, most: int) -> np.ndarray:
        return self.rng.choice(rows, min(most, len(rows)), replace=False)

    def _negatives(self, search: Search, failing: np.ndarray) -> np.ndarray:
        others = np.flatnonzero(failing)
        if len(others) <= self.negatives:
            return self.rng.permutation(others)
        near = others[self.catalogue.has("type", search.kind)[others]] if search.kind else others[:0]
        drawn = self._some(near, round(SIMILAR_NEGATIVES * self.negatives))
        rest = self._some(others, self.negatives)
        rest = rest[~np.isin(rest, drawn)][: self.negatives - len(drawn)]
        return self.rng.permutation(np.concatenate([drawn, rest]))

    def present(self, search: Search) -> Spans:
        """The words with the photos, which repeat up to four of the criteria."""
        likes = dict(search.likes)
        others = [name for name in likes if name != "type"]
        told = self.rng.permutation(len(others))[:3]
        wanted = {name: likes[name] for name in likes if name == "type" or name in {others[i] for i in told}}
        return self.wording.say(sentences.PRESENT, wanted=self.wording.wanted(wanted))

    def describe(self, search: Search) -> Spans:
        """The description of a product shown, by its type and two to four other attributes."""
        place = int(self.rng.integers(len(search.shown)))
        row = search.shown[place]
        known = [name for name in self.catalogue.attributes if search.value(row, name) and name not in PERSONAL]
        told = self.rng.permutation(len(known))[: 2 + int(self.rng.integers(0, 3))]
        item = {name: str(search.value(row, name)) for name in ["type", *(known[i] for i in sorted(told))]}
        nth = self.wording.nth(place, None)
        return self.wording.say(sentences.DESCRIBE, nth=nth, item=self.wording.wanted(item, one=True))

    def tell(self, search: Search, attribute: str, place: int) -> Spans:
        """The answer to a question about a product shown."""
        row = search.shown[place]
        nth = self.wording.nth(place, None)
        if attribute in self.catalogue.facts:
            return self.wording.say(sentences.TELL[attribute], nth=nth, fact=self.catalogue.facts[attribute][row])
        value = str(search.value(row, attribute))
        item = self.wording.phrase(attribute, value, search.kind)
        return self.wording.say(sentences.TELL["other"], nth=nth, item=item)
