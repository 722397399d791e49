"""Rank the whole catalogue for one dialogue that need not be in any store."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from semantic.building import batch_builder
from semantic.datasets.batches import NONE, Contexts
from semantic.datasets.errors import DataError
from semantic.datasets.merging import merge_turns
from semantic.datasets.records import Turn
from semantic.datasets.store import Store
from semantic.datasets.text import utterance_text
from semantic.encoders.vocabulary import tokenise
from semantic.evaluation import encode_catalogue
from semantic.match import ProductVectors
from semantic.model import Semantic
from semantic.progress import Progress
from semantic.settings import EvaluationConfig

AT_ONCE = 65_536
"""Products matched at once; bounds memory, not the result."""


@dataclass(frozen=True)
class Recommendation:
    """A product with its relevance and the attention of its text and photo over the slots."""

    product: int
    name: str
    text: str
    score: float
    attention_text: list[float]
    attention_image: list[float]


def read_dialogue(file: Path) -> tuple[Turn, ...]:
    """Turns of a JSON file: a list of {"speaker", "text", "images"}, or of turns as in the MMD and SIMMC layouts.

    Raises:
        DataError: no such file, no JSON, no turn, or a turn without a speaker; the message says which.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: expected a JSON file with the turns of a dialogue, got: {error}") from None
    if not isinstance(content, list) or not content:
        raise DataError(
            f"{file}: expected a list of turns, got {type(content).__name__ if content else 'an empty list'}"
        )
    return tuple(_turn(file, number, item) for number, item in enumerate(content))


def _turn(file: Path, number: int, item: Any) -> Turn:
    if not isinstance(item, dict) or item.get("speaker") not in ("user", "system"):
        raise DataError(
            f'{file}, turn {number}: expected an object with "speaker" "user" or "system", got {json.dumps(item)[:80]}'
        )
    utterance = item.get("utterance")
    body = utterance if isinstance(utterance, dict) else item
    text, images = body.get("text", body.get("nlg")), body.get("images")
    if not isinstance(text, (str, type(None))) or not isinstance(images, (list, type(None))):
        raise DataError(f'{file}, turn {number}: expected "text" to be a string and "images" a list of product names')
    return Turn(item["speaker"], "", text or "", tuple(map(str, images or ())))


def dialogue_for_page(turns: tuple[Turn, ...], store: Store) -> list[dict[str, Any]]:
    """The turns with their photos as product ids, as the page shows them."""
    ids = _ids(turns, store)
    return [{"speaker": t.speaker, "text": t.text, "images": [ids[name] for name in t.images]} for t in turns]


def _ids(turns: tuple[Turn, ...], store: Store) -> dict[str, int]:
    wanted = {name for turn in turns for name in turn.images}
    ids = {name: row for row, name in enumerate(store.product_names) if name in wanted} if wanted else {}
    if wanted - ids.keys():
        raise DataError(
            f"dialogue: expected images to be products of {store.path}, got {', '.join(sorted(wanted - ids.keys())[:5])}"
        )
    return ids


@torch.no_grad()
def recommend(
    model: Semantic, store: Store, turns: tuple[Turn, ...], top: int = 10, *, progress: Progress | None = None
) -> list[Recommendation]:
    """The `top` products of the store's whole catalogue for the turn that would follow, best first.

    Raises:
        DataError: no turn, a product name that is not in the catalogue, or slots that are not the model's.
    """
    if not turns:
        raise DataError("dialogue: expected at least one turn, got none")
    progress = progress or Progress()
    device = next(model.parameters()).device
    builder = batch_builder(model, store, device, progress, dialogues=False)
    sizes = model.sizes
    turns = tuple(replace(turn, text=utterance_text(turn.text)) for turn in turns)
    window = [merged.turn for merged in merge_turns(turns)][-sizes.context_turns :]
    ids = _ids(turns, store)
    shown = np.full((len(window), sizes.photos_per_turn), NONE, dtype=np.int64)
    for row, turn in enumerate(window):
        names = turn.images[: sizes.photos_per_turn]
        shown[row, : len(names)] = [ids[name] for name in names]
    assert model.tokenizer is not None
    pieces = tokenise(model.tokenizer, [turn.text for turn in window], sizes.turn_tokens)
    index = np.full((1, sizes.context_turns), NONE, dtype=np.int64)
    index[0, -len(window) :] = np.arange(len(window))
    contexts = builder.assemble(pieces, shown, index, np.full((1, len(store.slots)), NONE, dtype=np.int32))
    with progress.bar("catalogue", store.num_products) as advance:
        everything = np.arange(store.num_products)
        vectors = encode_catalogue(model.eval(), builder, everything, EvaluationConfig().product_batch_size, advance)
    return _best(model, store, contexts.to(device), vectors, top)


def _best(model: Semantic, store: Store, contexts: Contexts, vectors: ProductVectors, top: int) -> list[Recommendation]:
    context = model.encode_contexts(contexts)
    state = model.student_state(context)
    scores = torch.cat(
        [
            model.match(state, context, _rows(vectors, torch.arange(s, min(s + AT_ONCE, len(vectors.text))))).relevance[
                0
            ]
            for s in range(0, len(vectors.text), AT_ONCE)
        ]
    )
    best = scores.sort(descending=True, stable=True).indices[:top]
    match = model.match(state, context, _rows(vectors, best))
    return [
        Recommendation(int(p), store.product_names[int(p)], store.product_texts[int(p)], score, text, image)
        for p, score, text, image in zip(
            best,
            match.relevance[0].tolist(),
            match.product_text[0].tolist(),
            match.product_image[0].tolist(),
            strict=True,
        )
    ]


def _rows(vectors: ProductVectors, rows: torch.Tensor) -> ProductVectors:
    return ProductVectors(vectors.text[rows], vectors.image[rows])
