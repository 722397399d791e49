"""Rank the whole catalogue for one dialogue that need not be in any store."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from semantic.encoders.image import Backbone
from semantic.encoders.vocabulary import tokenise
from semantic.evaluation.product_index import best_products, encoding, score_catalogue, stored_index
from semantic.models.interface import Model, precise
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Progress, shown, steps
from semantic.serving.dialogues import own_photo, shown_images


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
        DataError: no turn, an image that is neither in the catalogue nor a file, slots that are not the model's, or a store that was
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
    def rank(
        self, turns: tuple[Turn, ...] | str, top: int = 10, *, photos: Sequence[str | Path] = ()
    ) -> Recommendations:
        """As `recommend`: every product is scored, none is left out by an approximation.

        `turns` may be what the shopper says, and `photos` is what is shown with it, or with the last turn: products by name
        or row, or files of the shopper's own.
        """
        if isinstance(turns, str):
            turns = (Turn("user", "", turns),)
        if photos and turns:
            turns = (*turns[:-1], replace(turns[-1], images=(*turns[-1].images, *map(str, photos))))
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
        found = shown_images(turns, self.store)
        own = [name for name, one in found.items() if isinstance(one, Path)]
        ids = {name: one for name, one in found.items() if isinstance(one, int)}
        ids |= {name: self.store.num_products + place for place, name in enumerate(own)}
        shown = np.full((len(window), spec.photos_per_turn), NONE, dtype=np.int64)
        for row, turn in enumerate(window):
            names = turn.images[: spec.photos_per_turn]
            shown[row, : len(names)] = [ids[name] for name in names]
        assert self.model.tokenizer is not None
        pieces = tokenise(self.model.tokenizer, [turn.text for turn in window], spec.turn_tokens)
        index = np.full((1, spec.context_turns), NONE, dtype=np.int64)
        index[0, -len(window) :] = np.arange(len(window))
        states = np.full((1, len(self.store.slots)), NONE, dtype=np.int32)
        return self.builder.assemble(pieces, shown, index, states, self._own_photos([Path(name) for name in own]))

    def _own_photos(self, files: Sequence[Path]) -> np.ndarray:
        """Photos of no product as the model is shown a product's: pictures, or the backbone's features of them."""
        like, source = self.builder.photos, self.model.inputs.photos
        if not files or source is None:
            return np.zeros((len(files), *like.shape[1:]), like.dtype)
        if isinstance(source, Path):
            raise DataError(
                f"{files[0]}: expected photos of products, as this model reads features from {source} and has no backbone to read others"
            )
        pictures = np.stack([own_photo(file, self.store) for file in files])
        if source == "pictures":
            return pictures
        assert isinstance(source, Backbone)
        features = source.eval()(torch.from_numpy(pictures).to(self.model.device))
        return features.float().cpu().numpy()
