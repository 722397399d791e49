"""The shopper: a hidden goal, an agenda of moves towards it, and the words of each move."""

from collections.abc import Callable

import numpy as np

from semantic.datasets.simulator.catalogue.catalogue import UNKNOWN, Catalogue
from semantic.datasets.simulator.catalogue.slots import PERSONAL
from semantic.datasets.simulator.dialogue import sentences
from semantic.datasets.simulator.dialogue.phrases import BEFORE_THE_NOUN, Spans, Wording
from semantic.datasets.simulator.dialogue.search import Reference, Search

Move = tuple[str, Spans]
"""The act of a user turn and its words. A move is returned after it has changed the criteria of the search."""

MOVES: dict[str, float] = {
    "inform": 30,
    "refer": 17,
    "refer_but": 12,
    "dislike": 8,
    "dislike_shown": 8,
    "change": 10,
    "drop": 5,
    "more": 10,
}
"""The weight of each move when an agenda is drawn."""

MISTAKES = 0.15  # how often one criterion of an opening is said wrong
ENOUGH = 4  # most new criteria leave this many products, so that a recommendation has about four positives
FEW = 2  # the others leave at least this many


class Shopper:
    """The simulated user. It makes the moves of its agenda, one a turn; a move that does not fit is replaced."""

    def __init__(self, catalogue: Catalogue, wording: Wording) -> None:
        self.catalogue, self.wording, self.rng = catalogue, wording, wording.rng
        self.search = Search(catalogue, 0)
        self.agenda: list[str] = []
        self.mistake: tuple[str, str] | None = None  # an attribute with a wrong value, and the value meant

    def open(self, first: bool) -> Move | None:
        """The first move of a new search, which says some of its criteria. Gender and age stay those of the last search.

        None where the catalogue has no other type of garment for that person.
        """
        before = self.search
        old = before.kind
        kept = {} if first else {name: value for name, value in before.likes.items() if name in ("gender", "age")}
        goals = np.flatnonzero(self._goals(old, kept))
        if not len(goals):
            return None
        target = int(self.rng.choice(goals))
        self.search = search = Search(self.catalogue, target, likes=dict(kept))
        search.likes = {"type": str(search.value(target, "type")), **kept}
        said = {"type": search.likes["type"]}
        if "gender" not in kept and self.rng.random() < 0.5:
            said |= self._add_wish("gender")
        for _ in range(int(self.rng.integers(0, 3))):
            said |= self._add_wish()
        said |= self._err(said)
        if "gender" in kept and self.rng.random() < 0.6:
            said["gender"] = kept["gender"]
        moves = 2 + int(self.rng.integers(0, 3)) if first else 1 + int(self.rng.integers(0, 2))
        weights = np.array(list(MOVES.values()), dtype=float)
        self.agenda = [str(move) for move in self.rng.choice(list(MOVES), moves, p=weights / weights.sum())]
        if self.mistake:
            self.agenda[0] = "correct"
        wanted = self.wording.wanted(said)
        if first:
            return "give-part-criteria", self.wording.say(sentences.OPENINGS, wanted=wanted)
        old_name = self.wording.many(old)
        return "switch-synset", self.wording.say(sentences.SWITCHES, wanted=wanted, old=old_name)

    def answer(self, attribute: str) -> Move:
        """The answer to the agent's question: the goal's value, or no preference."""
        kind = self.search.kind
        added = self._add_wish(attribute) if self.rng.random() < 0.85 else {}
        if not added:
            return "give-criteria", self.wording.say(sentences.INDIFFERENT)
        spans = {"phrase": self.wording.phrase(attribute, added[attribute], kind)}
        templates: tuple[str, ...] = sentences.ANSWERS
        if attribute in BEFORE_THE_NOUN:
            templates = sentences.ANSWERS + sentences.SHORT_ANSWERS
            spans |= {"word": self.wording.adjective(attribute, added[attribute], kind)}
        return "give-criteria", self.wording.say(templates, **spans)

    def next_move(self) -> Move | None:
        """The next move of the agenda, None when the agenda is empty. The agenda only gets shorter."""
        if not self.agenda:
            return None
        self.search.references = []
        planned = self.agenda.pop(0)
        moves: dict[str, Callable[[], Move | None]] = {
            "inform": self._inform,
            "refer": self._refer,
            "refer_but": self._refer_but,
            "drop": self._drop,
            "dislike": self._dislike,
            "dislike_shown": self._dislike_shown,
            "change": self._change,
            "more": self._more,
            "correct": self._correct,
        }
        for name in (planned, "inform", "change", "refer", "more"):
            move = moves[name]()
            if move is not None:
                self.search.retarget(self.rng)
                return move
        return "show_result", self.wording.say(sentences.AGAIN)

    def buy(self) -> Move:
        place = self._place()
        self.search.references = [Reference(self.search.shown[place])]
        return "buy", self.wording.say(sentences.PURCHASES, nth=self.wording.nth(place, self.search.kind))

    def ask(self, attribute: str, place: int) -> Move:
        """A question about a product shown, which changes no criterion."""
        self.search.references = [Reference(self.search.shown[place])]
        nth = self.wording.nth(place, self.search.kind)
        name = self.wording.attribute(attribute, self.search.kind) if attribute in self.catalogue.attributes else ""
        return "ask_attribute", self.wording.say(
            sentences.QUESTIONS.get(attribute, sentences.QUESTIONS["other"]), nth=nth, name=name
        )

    def _goals(self, old: str | None, kept: dict[str, str]) -> np.ndarray:
        """bool [product]: whether the type is known and not `old`, and the product is for the person of `kept`."""
        return (self.catalogue.codes["type"] != UNKNOWN) & self.catalogue.satisfying(
            kept, {"type": [old] if old else []}
        )

    def _add_wish(self, only: str | None = None) -> dict[str, str]:
        """Add a value of the goal to the criteria, one that narrows the search and leaves enough products.

        Returned as {attribute: value}, empty where no value does so.
        """
        search, mask = self.search, self.search.satisfying()
        total, least = int(mask.sum()), self._least()
        fitting = []
        for attribute in search.open_attributes():
            value = search.value(search.target, attribute)
            if value is None or value == "unisex" or only not in (None, attribute):
                continue
            left = int((mask & self.catalogue.has(attribute, value)).sum())
            if least <= left < total:
                fitting.append((attribute, value))
        if not fitting:
            return {}
        attribute, value = self.wording.pick(fitting)
        search.likes[attribute] = value
        return {attribute: value}

    def _err(self, said: dict[str, str]) -> dict[str, str]:
        """Now and then give one of the criteria just said a wrong value, to be corrected later; {} otherwise."""
        open_to_error = [name for name in said if name not in PERSONAL]
        self.mistake = None
        if not open_to_error or self.rng.random() > MISTAKES:
            return {}
        attribute = self.wording.pick(open_to_error)
        others = self._other_values(attribute)
        if not others:
            return {}
        self.mistake = (attribute, said[attribute])
        self.search.likes[attribute] = self.wording.pick(others)
        self.search.retarget(self.rng)
        return {attribute: self.search.likes[attribute]}

    def _other_values(self, attribute: str) -> list[str]:
        """Other values of the attribute that leave a few products while every other criterion is kept."""
        mask = self.search.satisfying(without=attribute)
        unwanted = (self.search.likes.get(attribute), "unisex")
        return [value for value, count in self.search.counts(attribute, mask) if count >= FEW and value not in unwanted]

    def _least(self) -> int:
        return ENOUGH if self.rng.random() < 0.75 else FEW

    def _place(self) -> int:
        return int(self.rng.integers(len(self.search.shown)))

    def _inform(self) -> Move | None:
        added = self._add_wish()
        if not added:
            return None
        ((attribute, value),) = added.items()
        return "give-criteria", self._wish(attribute, value, sentences.INFORM_PHRASES, sentences.INFORM_ADJECTIVES)

    def _wish(self, attribute: str, value: str, phrases: tuple[str, ...], adjectives: tuple[str, ...]) -> Spans:
        kind = self.search.kind
        many = self.wording.many(kind)
        if attribute in BEFORE_THE_NOUN and self.rng.random() < 0.5:
            return self.wording.say(adjectives, word=self.wording.adjective(attribute, value, kind), many=many)
        return self.wording.say(phrases, phrase=self.wording.phrase(attribute, value, kind), many=many)

    def _shown_values(self, place: int) -> list[tuple[str, str, int]]:
        """(attribute, value, number of products left with it as a criterion) of a photo, where it narrows the search."""
        mask, row = self.search.satisfying(), self.search.shown[place]
        total, found = int(mask.sum()), []
        for attribute in self.search.open_attributes():
            value = self.search.value(row, attribute)
            if value is not None and value != "unisex" and attribute not in PERSONAL:
                left = int((mask & self.catalogue.has(attribute, value)).sum())
                if left < total:
                    found.append((attribute, value, left))
        return found

    def _refer(self) -> Move | None:
        """ "The colour of the 2nd image is great, more like it": the value of the photo becomes a criterion."""
        place, least = self._place(), self._least()
        fitting = [(name, value) for name, value, left in self._shown_values(place) if left >= least]
        if not fitting:
            return None
        attribute, value = self.wording.pick(fitting)
        search, kind = self.search, self.search.kind
        search.likes[attribute] = value
        search.references = [Reference(search.shown[place], likes=(attribute,))]
        spans = self.wording.say(
            sentences.REFER if self.rng.random() < 0.65 else sentences.REFER_WITH_VALUE,
            name=self.wording.attribute(attribute, kind),
            nth=self.wording.nth(place, kind),
            many=self.wording.many(kind),
            phrase=self.wording.phrase(attribute, value, kind),
        )
        return "like_n_show_result", spans

    def _refer_but(self) -> Move | None:
        """ "Like the 2nd but in red" changes one value; "same print as the 2nd, but in red" also takes one from the photo."""
        search, kind, place = self.search, self.search.kind, self._place()
        row, options = search.shown[place], []
        for attribute in self.catalogue.attributes:
            shown = search.value(row, attribute)
            if attribute not in PERSONAL and shown is not None:
                options += [(attribute, value) for value in self._other_values(attribute) if value != shown]
        if not options:
            return None
        attribute, value = self.wording.pick(options)
        search.likes[attribute] = value
        same = [(name, value) for name, value, left in self._shown_values(place) if left >= FEW and name != attribute]
        nth, phrase = self.wording.nth(place, kind), self.wording.phrase(attribute, value, kind)
        if same and self.rng.random() < 0.5:
            name, held = self.wording.pick(same)
            search.likes[name] = held
            search.references = [Reference(row, likes=(name,), dislikes=(attribute,))]
            spans = self.wording.say(
                sentences.SAME_BUT, name=self.wording.attribute(name, kind), nth=nth, phrase=phrase
            )
        else:
            search.references = [Reference(row, dislikes=(attribute,))]
            spans = self.wording.say(sentences.LIKE_BUT, nth=nth, phrase=phrase, many=self.wording.many(kind))
        return "show_similar_to", spans

    def _unwanted(self, place: int) -> list[tuple[str, str]]:
        """Values of a photo that can be ruled out: they are not the goal's, and a few products are left without them."""
        mask, search = self.search.satisfying(), self.search
        found = []
        for attribute, value, left in self._shown_values(place):
            if value != search.value(search.target, attribute) and left and int(mask.sum()) - left >= FEW:
                found.append((attribute, value))
        return found

    def _rule_out(self, place: int) -> tuple[str, str] | None:
        """Dislike a value of a photo and return it as (attribute, value), None where none can be ruled out."""
        fitting = self._unwanted(place)
        if not fitting:
            return None
        attribute, value = self.wording.pick(fitting)
        self.search.dislikes.setdefault(attribute, []).append(value)
        return attribute, value

    def _dislike(self) -> Move | None:
        ruled_out = self._rule_out(self._place())
        if ruled_out is None:
            return None
        return "do_not_like_n_show_result", self._wish(
            *ruled_out, sentences.DISLIKE_PHRASES, sentences.DISLIKE_ADJECTIVES
        )

    def _dislike_shown(self) -> Move | None:
        """ "I do not like the print of the 1st": the value is read off the photo."""
        place = self._place()
        ruled_out = self._rule_out(place)
        if ruled_out is None:
            return None
        attribute, _ = ruled_out
        self.search.references = [Reference(self.search.shown[place], dislikes=(attribute,))]
        kind = self.search.kind
        name, nth = self.wording.attribute(attribute, kind), self.wording.nth(place, kind)
        return "do_not_like_n_show_result", self.wording.say(sentences.DISLIKE_SHOWN, name=name, nth=nth)

    def _change(self) -> Move | None:
        open_to_change = [name for name in self.search.likes if name not in PERSONAL]
        if not open_to_change:
            return None
        attribute = self.wording.pick(open_to_change)
        others = self._other_values(attribute)
        if not others:
            return None
        value = self.wording.pick(others)
        return "give-criteria", self._replace(attribute, value, sentences.CHANGES)

    def _correct(self) -> Move | None:
        if self.mistake is None:
            return None
        (attribute, meant), self.mistake = self.mistake, None
        likes = self.search.likes | {attribute: meant}
        if not self.catalogue.satisfying(likes, self.search.dislikes).any():
            return None
        return "give-criteria", self._replace(attribute, meant, sentences.CORRECTIONS)

    def _replace(self, attribute: str, value: str, templates: tuple[str, ...]) -> Spans:
        kind, old = self.search.kind, self.search.likes[attribute]
        self.search.likes[attribute] = value
        before, after = (self.wording.adjective(attribute, word, kind) for word in (old, value))
        return self.wording.say(templates, old=before, word=after, many=self.wording.many(kind))

    def _drop(self) -> Move | None:
        droppable = [name for name in self.search.likes if name not in PERSONAL]
        if not droppable:
            return None
        attribute = self.wording.pick(droppable)
        del self.search.likes[attribute]
        return "give-criteria", self.wording.say(
            sentences.DROPS, name=self.wording.attribute(attribute, self.search.kind)
        )

    def _more(self) -> Move | None:
        if not len(self.search.unseen()):
            return None
        return "show_result", self.wording.say(sentences.MORE, many=self.wording.many(self.search.kind))
