"""Batches of a store's examples, built from memory-mapped arrays."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from mmap import mmap
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from semantic.datasets.batches.tensors import NONE, Batch, Contexts, Products
from semantic.datasets.store.store import Store
from semantic.runtime.errors import DataError

LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Pieces:
    """Every text of a store as word pieces, tokenised once: integers [text, length], NONE beyond a text's end."""

    products: np.ndarray
    turns: np.ndarray
    values: np.ndarray


class BatchBuilder:
    """Builds batches of a store's examples from memory-mapped arrays.

    `photos` is the array a product's photo (or feature row) is read from. A turn shows at most `photos_per_turn` photos,
    the first ones; a context is the `context_turns` merged turns before the recommendation, left-padded.

    Nothing of what is `hidden` is in any batch: without "photos" no product has one and no turn shows one, without
    "product_text" and "dialogue_text" products and turns have no word pieces. Of `photos` the type and the row's shape alone are
    then read.

    With `appended`, the word pieces of the slots' keys, the last turn of each context ends in its gold state, `key value` for
    each slot that is set, unless "dialogue_text" is hidden.
    """

    def __init__(
        self,
        store: Store,
        pieces: Pieces,
        photos: np.ndarray,
        *,
        context_turns: int,
        photos_per_turn: int,
        pad: int,
        hidden: Collection[str] = (),
        appended: Sequence[Sequence[int]] = (),
    ) -> None:
        self.store = store
        self.pieces = pieces
        self.photos = photos
        self.context_turns = context_turns
        self.photos_per_turn = photos_per_turn
        self.pad = pad
        self.hidden = frozenset(hidden)
        self.appended = appended

    def __getstate__(self) -> dict[str, Any]:
        """For worker processes: a memory map goes as its file's name, not as a copy of its content."""
        pieces = {field.name: _portable(getattr(self.pieces, field.name)) for field in fields(Pieces)}
        return self.__dict__ | {"pieces": pieces, "photos": _portable(self.photos)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        pieces = Pieces(**{name: _opened(array) for name, array in state["pieces"].items()})
        self.__dict__ = state | {"pieces": pieces, "photos": _opened(state["photos"])}

    def batch(self, rows: np.ndarray, candidates: np.ndarray, positive: np.ndarray) -> Batch:
        """The examples `rows` with candidate product ids [batch, candidate], NONE where padded."""
        kept = candidates != NONE
        unique, inverse = np.unique(candidates[kept], return_inverse=True)
        index = np.full(candidates.shape, NONE, dtype=np.int64)
        index[kept] = inverse
        return Batch(
            self.contexts(rows), self.products(unique), torch.from_numpy(index), torch.from_numpy(positive & kept)
        )

    def shared_batch(self, rows: np.ndarray, products: np.ndarray) -> Batch:
        """The examples `rows`, each with `products` and all examples' positives as candidates."""
        lists = [self.store.positives(row) for row in rows]
        owner = np.repeat(np.arange(len(rows)), [len(ids) for ids in lists])
        shown = np.concatenate(lists)
        unique = np.unique(np.concatenate([shown, products]))
        positive = np.zeros((len(rows), len(unique)), dtype=bool)
        positive[owner, np.searchsorted(unique, shown)] = True
        return Batch(self.contexts(rows), self.products(unique), None, torch.from_numpy(positive))

    def contexts(self, rows: np.ndarray) -> Contexts:
        dialogue, target = self.store.example_turns[rows].T
        window = target[:, None] - np.arange(self.context_turns, 0, -1)
        window[window < self.store.dialogue_first_turn[dialogue][:, None]] = NONE
        if self.appended and "dialogue_text" not in self.hidden:
            return self._contexts_with_states(window)
        turns, inverse = np.unique(window[window != NONE], return_inverse=True)
        index = np.full(window.shape, NONE, dtype=np.int64)
        index[window != NONE] = inverse
        return self.assemble(self.pieces.turns[turns], self._shown(turns), index, self.store.turn_states[window[:, -1]])

    def _contexts_with_states(self, window: np.ndarray) -> Contexts:
        """Contexts whose last turns end in their gold states; these are theirs alone, as other contexts hold them plain."""
        earlier, last = window[:, :-1], window[:, -1]
        turns, inverse = np.unique(earlier[earlier != NONE], return_inverse=True)
        index = np.full(window.shape, NONE, dtype=np.int64)
        index[:, :-1][earlier != NONE] = inverse
        index[:, -1] = len(turns) + np.arange(len(window))
        states = self.store.turn_states[last]
        said = [self.pieces.turns[last]]
        for slot, key in enumerate(self.appended):
            value = self.pieces.values[np.maximum(states[:, slot], 0)]
            told = np.concatenate(
                [np.broadcast_to(np.asarray(key, value.dtype), (len(value), len(key))), value], axis=1
            )
            said.append(np.where(states[:, slot, None] > 0, told, NONE))  # the first value is "none": unset
        whole = np.concatenate(said, axis=1)
        whole = np.take_along_axis(whole, np.argsort(whole == NONE, axis=1, kind="stable"), axis=1)
        plain = self.pieces.turns[turns]
        plain = np.pad(plain, ((0, 0), (0, whole.shape[1] - plain.shape[1])), constant_values=NONE)
        pieces = np.concatenate([plain, whole])
        return self._assemble(pieces, self._shown(np.concatenate([turns, last])), index, states)

    def assemble(
        self,
        pieces: np.ndarray,
        shown: np.ndarray,
        turns: np.ndarray,
        states: np.ndarray,
        own: np.ndarray | None = None,
    ) -> Contexts:
        """Contexts from turns that need not be the store's.

        `pieces` [turn, token] and `shown` [turn, photo] (product ids) describe the turns, `turns` [batch, context] points
        at them, `states` [batch, slot] are rows of the store's slot values. NONE pads; a turn without a state reads as one
        with every slot unset, so whether its example counts as labelled is decided before (`data.unannotated`). Ids from the number of
        products on are rows of `own`, photos of no product, which have no text; they are as those of `photos`.
        """
        return self._assemble(self._visible(pieces, "dialogue_text"), shown, turns, states, own)

    def _assemble(
        self,
        pieces: np.ndarray,
        shown: np.ndarray,
        turns: np.ndarray,
        states: np.ndarray,
        own: np.ndarray | None = None,
    ) -> Contexts:
        is_own = shown >= self.store.num_products
        held = np.where(is_own, "photos" not in self.hidden, self.has_photo(np.where(is_own, 0, shown)))
        shown = np.where((shown != NONE) & held, shown, NONE).astype(np.int64)
        pictures, picture = np.unique(shown[shown != NONE], return_inverse=True)
        shown[shown != NONE] = picture
        tokens, keep = self._tokens(pieces)
        values, values_keep = self._tokens(self.pieces.values[np.maximum(states, 0)], trim=False)
        products = pictures[pictures < self.store.num_products]
        photos, texts = self.photo_rows(products), self.pieces.products[products]
        if own is not None and len(products) < len(pictures):
            rows = own[pictures[len(products) :] - self.store.num_products]
            photos = torch.cat([photos, torch.from_numpy(rows).to(photos.dtype)])
            texts = np.pad(texts, ((0, len(rows)), (0, 0)), constant_values=NONE)
        return Contexts(
            tokens,
            keep,
            torch.from_numpy(shown),
            photos,
            *self._tokens(self._visible(texts, "product_text")),
            torch.from_numpy(turns),
            values,
            values_keep,
        )

    def products(self, ids: np.ndarray) -> Products:
        tokens, keep = self._tokens(self._visible(self.pieces.products[ids], "product_text"))
        return Products(tokens, keep, self.photo_rows(ids), torch.from_numpy(self.has_photo(ids)))

    def has_photo(self, ids: np.ndarray) -> np.ndarray:
        """Whether the model is shown a photo of each of these products."""
        held = np.asarray(self.store.has_photo[ids])
        return np.zeros_like(held) if "photos" in self.hidden else held

    def photo_rows(self, ids: np.ndarray) -> Tensor:
        """The pictures or features of the products `ids`; zeros where photos are hidden.

        Raises:
            DataError: a feature that is no number, or none that float32 holds.
        """
        if "photos" in self.hidden:
            return torch.from_numpy(np.zeros((len(ids), *self.photos.shape[1:]), self.photos.dtype))
        rows = np.ascontiguousarray(self.photos[ids])
        if rows.dtype.kind == "f":
            with np.errstate(over="ignore"):
                finite = np.isfinite(rows.astype(np.float32, copy=False)).all(axis=1)
            if not finite.all():
                self._refuse_features(int(ids[finite.argmin()]))
        return torch.from_numpy(rows)

    def _refuse_features(self, product: int) -> NoReturn:
        name = self.store.product_column("name", [product])[0]
        found = next(value for value in self.photos[product].tolist() if not abs(value) <= LARGEST)
        raise DataError(
            f"{getattr(self.photos, 'filename', 'features')} row {product} (product {name!r}): "
            f"expected finite numbers, found {found}"
        )

    def _shown(self, turns: np.ndarray) -> np.ndarray:
        """int64 [turn, photo]: the first products each turn shows, NONE beyond; as wide as the widest turn."""
        start = self.store.turn_image_offsets[turns]
        count = np.minimum(self.store.turn_image_offsets[turns + 1] - start, self.photos_per_turn)
        place = np.arange(max(1, count.max(initial=0)))
        present = place < count[:, None]
        shown = np.full(present.shape, NONE, dtype=np.int64)
        shown[present] = self.store.turn_image_values[(start[:, None] + place)[present]]
        return shown

    def _visible(self, pieces: np.ndarray, kind: str) -> np.ndarray:
        """The word pieces of texts of a kind, none where it is hidden."""
        return np.full_like(pieces, NONE) if kind in self.hidden else pieces

    def _tokens(self, pieces: np.ndarray, *, trim: bool = True) -> tuple[Tensor, Tensor]:
        keep = pieces != NONE
        length = max(1, int(keep.any(tuple(range(keep.ndim - 1))).sum())) if trim else pieces.shape[-1]
        tokens = np.where(keep, pieces, self.pad)[..., :length]
        return torch.from_numpy(tokens.astype(np.int64)), torch.from_numpy(keep[..., :length].copy())


def _portable(array: np.ndarray) -> np.ndarray | Path:
    """The file of a memory map of a whole .npy file; other arrays as they are."""
    # A part of a map is a map too, and names the same file; only the whole has the map itself beneath it.
    if isinstance(array, np.memmap) and array.filename and isinstance(array.base, mmap):
        return Path(array.filename)
    return array


def _opened(array: np.ndarray | Path) -> np.ndarray:
    return np.load(array, mmap_mode="r", allow_pickle=False) if isinstance(array, Path) else array
