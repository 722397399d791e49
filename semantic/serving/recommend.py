"""Rank the whole catalogue for one dialogue that need not be in any store."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch

from semantic.config.schema import EvaluationConfig
from semantic.datasets.batches.tensors import NONE, Contexts
from semantic.datasets.reading.merging import merge_turns
from semantic.datasets.reading.records import Turn
from semantic.datasets.reading.text import utterance_text
from semantic.datasets.store.store import Store
from semantic.encoders.vocabulary import tokenise
from semantic.evaluation.product_index import best_products, encoding, score_catalogue, stored_index
from semantic.models.interface import Model, precise
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Progress, shown, steps
from semantic.runtime.reading import ReadingError, parse_json, read_text


@dataclass(frozen=True)
class Recommendation:
    """A product with its score."""

    product: int
    name: str
    text: str
    score: float


@dataclass(frozen=True)
class Recommendations:
    """The best products of a catalogue for one dialogue, best first, and the model's explanations of them.

    An explanation is a dict: "title", "labels", "query" {source: [weight a label]}, "products" {source: [[weight a label]
    a product]}.
    """

    products: list[Recommendation]
    explanations: list[dict[str, Any]]


PLAIN = ("speaker", "text", "images")
"""Keys of a turn as people write it."""

LAYOUTS = ("speaker", "utterance", "type", "question-type", "question-subtype", "turn_id", "dst", "ds")
"""Keys of a turn in the MMD and SIMMC layouts, told by its `utterance`."""

UTTERANCE = ("nlg", "images", "false nlg", "false images", "image_desps", "spans")

MOST_BYTES = 1 << 22
"""Of a dialogue's file."""


def read_dialogue(file: Path) -> tuple[Turn, ...]:
    """Turns of a JSON file: a list of {"speaker", "text", "images"}, or of turns as in the MMD and SIMMC layouts.

    Raises:
        DataError: no such file, no JSON, no turn, a turn without a speaker, an unknown key, or a value of another kind; the
            message says which.
    """
    try:
        content = parse_json(read_text(file, MOST_BYTES))
    except ReadingError as error:
        raise DataError(f"{file}: expected a JSON file with the turns of a dialogue, got {error}") from None
    if not isinstance(content, list) or not content:
        raise DataError(
            f"{file}: expected a list of turns, got {type(content).__name__ if content else 'an empty list'}"
        )
    return tuple(_turn(f"{file}, turn {number}", item) for number, item in enumerate(content))


def _turn(where: str, item: Any) -> Turn:
    if not isinstance(item, dict) or item.get("speaker") not in ("user", "system"):
        raise DataError(f'{where}: expected an object with "speaker" "user" or "system", got {json.dumps(item)[:80]}')
    if "utterance" in item:
        _check_keys(where, item, LAYOUTS)
        body, text_key = item["utterance"], "nlg"
        if not isinstance(body, dict):
            raise DataError(f'{where}: expected "utterance" to be an object, got {json.dumps(body)[:80]}')
        _check_keys(f"{where}, utterance", body, UTTERANCE)
    else:
        _check_keys(where, item, PLAIN)
        body, text_key = item, "text"
    text, images = body.get(text_key), body.get("images")
    if not isinstance(text, (str, type(None))):
        raise DataError(f'{where}: expected "{text_key}" to be a string, got {json.dumps(text)[:80]}')
    names = [] if images is None else images
    if not isinstance(names, list) or not all(
        isinstance(one, str | int) and not isinstance(one, bool) for one in names
    ):
        raise DataError(f'{where}: expected "images" to be a list of product names, got {json.dumps(images)[:80]}')
    return Turn(item["speaker"], "", text or "", tuple(map(str, names)))


def _check_keys(where: str, found: dict[str, Any], known: Sequence[str]) -> None:
    for key in found:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"the keys here are {', '.join(known)}"
            raise DataError(f"{where}: no such key {json.dumps(key)[:80]}; {hint}")


def dialogue_for_page(turns: tuple[Turn, ...], store: Store) -> list[dict[str, Any]]:
    """The turns with their photos as product ids, as the page shows them."""
    ids = _ids(turns, store)
    return [{"speaker": t.speaker, "text": t.text, "images": [ids[name] for name in t.images]} for t in turns]


def _ids(turns: tuple[Turn, ...], store: Store) -> dict[str, int]:
    wanted = {name for turn in turns for name in turn.images}
    ids = store.product_rows(wanted) if wanted else {}
    if wanted - ids.keys():
        raise DataError(
            f"dialogue: expected images to be products of {store.path}, got {', '.join(sorted(wanted - ids.keys())[:5])}"
        )
    return ids


def recommend(
    model: Model,
    store: Store,
    turns: tuple[Turn, ...],
    top: int = 10,
    *,
    evaluation: EvaluationConfig | None = None,
    progress: Progress | bool | None = None,
) -> Recommendations:
    """The `top` products of the store's whole catalogue for the turn that would follow, best first.

    `evaluation` are the run's settings, the defaults where none are given.

    For several dialogues open one `Recommender` instead: it reads model and catalogue once.

    Raises:
        DataError: no turn, a product name that is not in the catalogue, slots that are not the model's, or a store that was
            changed since it was prepared.
    """
    return Recommender(model, store, evaluation=evaluation, progress=progress).rank(turns, top)


class Recommender:
    """A model over a store's whole catalogue. Its products are encoded once and kept beside the store, memory-mapped."""

    def __init__(
        self,
        model: Model,
        store: Store,
        *,
        evaluation: EvaluationConfig | None = None,
        progress: Progress | bool | None = None,
    ) -> None:
        if model.config.reads_gold_states or model.spec.states_appended:
            raise DataError(
                "recommend: expected a model that infers the dialogue state, got one that ranks by the gold state, "
                "which a new dialogue does not have"
            )
        self.model, self.store, self.evaluation = model.eval(), store, evaluation or EvaluationConfig()
        progress = shown(progress)
        with steps(progress) as report:
            store.verify_once(report)
        self.builder = model.open_batches(store, progress, dialogues=False)
        self.index = stored_index(model, self.builder, self.evaluation, progress)

    @torch.no_grad()
    def rank(self, turns: tuple[Turn, ...], top: int = 10) -> Recommendations:
        """As `recommend`: every product is scored, none is left out by an approximation."""
        with encoding(self.model.device, self.evaluation.precision):
            query = precise(self.model.encode_query(self._contexts(turns).to(self.model.device)))
        scores = score_catalogue(self.model, query, self.index)[0]
        if scores.isnan().any():
            raise DataError(f"{self.store.path}: expected a number as every product's score, got NaN from this model")
        best = best_products(scores, top)
        rows = best.tolist()
        names, texts = (self.store.product_column(column, rows) for column in ("name", "text"))
        products = [Recommendation(*one) for one in zip(rows, names, texts, scores[best].tolist(), strict=True)]
        return Recommendations(products, self._explain(query, best))

    def _explain(self, query: Any, best: torch.Tensor) -> list[dict[str, Any]]:
        found = self.model.explain(query, self.index.at(best.unsqueeze(0), self.model.device))
        return [
            {
                "title": one.title,
                "labels": list(one.labels),
                "query": {source: values[0].tolist() for source, values in one.query.items()},
                "products": {source: values[0].tolist() for source, values in one.products.items()},
            }
            for one in found
        ]

    def _contexts(self, turns: tuple[Turn, ...]) -> Contexts:
        if not turns:
            raise DataError("dialogue: expected at least one turn, got none")
        spec = self.model.spec
        turns = tuple(replace(turn, text=utterance_text(turn.text)) for turn in turns)
        window = [merged.turn for merged in merge_turns(turns)][-spec.context_turns :]
        ids = _ids(turns, self.store)
        shown = np.full((len(window), spec.photos_per_turn), NONE, dtype=np.int64)
        for row, turn in enumerate(window):
            names = turn.images[: spec.photos_per_turn]
            shown[row, : len(names)] = [ids[name] for name in names]
        assert self.model.tokenizer is not None
        pieces = tokenise(self.model.tokenizer, [turn.text for turn in window], spec.turn_tokens)
        index = np.full((1, spec.context_turns), NONE, dtype=np.int64)
        index[0, -len(window) :] = np.arange(len(window))
        return self.builder.assemble(pieces, shown, index, np.full((1, len(self.store.slots)), NONE, dtype=np.int32))
