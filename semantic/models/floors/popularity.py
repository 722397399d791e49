"""Chance and popularity."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from semantic.batching.inputs import Inputs, InputSpec
from semantic.config.schema import Seed
from semantic.datasets.batches.builder import BatchBuilder
from semantic.datasets.batches.tensors import Contexts, Products
from semantic.models.floors.untrained import Untrained, UntrainedConfig
from semantic.models.held import Held
from semantic.models.interface import ProductRows

MULTIPLIER, MODULUS = 1_000_003, 2**31 - 1
BLOCK = 1024
"""Products read at once."""


class RandomConfig(UntrainedConfig):
    """Chance."""

    name: str = Field("random", description="this model, by its short name")
    draw: Seed = Field(0, description="seed of the numbers drawn; the run's own seed changes none")


class PopularityConfig(UntrainedConfig):
    """Popularity."""

    name: str = Field("popularity", description="this model, by its short name")


def text_numbers(tokens: Int[Tensor, "text token"], keep: Bool[Tensor, "text token"]) -> Int[Tensor, "text"]:
    """A number below 2^31 - 1 a text, the same for the same word pieces: a polynomial of them."""
    found = torch.ones(len(tokens), dtype=torch.int64, device=tokens.device)
    for token, kept in zip(tokens.T, keep.T, strict=True):
        found = torch.where(kept, (found * MULTIPLIER + token + 1) % MODULUS, found)
    return found


def product_numbers(products: Products) -> Int[Tensor, "product"]:
    """A number a product, the same for the same text and photo."""
    content = products.photos.flatten(1).contiguous().view(torch.uint8).long()
    place = torch.arange(content.shape[1], device=content.device)
    pictures = (content * ((place * MULTIPLIER + 1) % MODULUS)).sum(1) % MODULUS
    texts = text_numbers(products.tokens, products.keep)
    return (texts * MULTIPLIER + pictures.masked_fill(~products.has_photo, 0)) % MODULUS


class Random(Untrained):
    """Scores drawn from [0, 1), by what a context says and the product's text: products of one text tie.

    Float32 rows hold the number of a text in two halves.
    """

    Config = RandomConfig
    config: RandomConfig

    @property
    def product_shape(self) -> tuple[int, ...]:
        return (2,)

    def encode_products(self, products: Products) -> Float[Tensor, "product 2"]:
        number = text_numbers(products.tokens, products.keep)
        return torch.stack([number >> 16, number & 0xFFFF], dim=1).float()

    def encode_query(self, contexts: Contexts) -> Int[Tensor, "query"]:
        numbers, keep = contexts.each_turn(text_numbers(contexts.turn_tokens, contexts.turn_keep))
        return text_numbers(numbers, keep)

    def score(self, query: Int[Tensor, "query"], products: ProductRows) -> Float[Tensor, "query candidate"]:
        number = (products.rows[..., 0].long() << 16) + products.rows[..., 1].long()
        mixed = (query.unsqueeze(1) * MULTIPLIER + number + self.config.draw) % MODULUS
        for _ in range(3):  # a product of numbers close to each other is spread over all of them
            mixed = (mixed ^ (mixed >> 15)) * 48271 % MODULUS
        return (mixed >> 7).double() / 2**24  # of 24 bits, which float32 holds


class Popularity(Held, Untrained):
    """How often a product was recommended in training; a product is known by its text and photo."""

    Config = PopularityConfig
    known: Tensor | None  # int64 [product], their numbers in order
    counts: Tensor | None  # [product]
    held = ("known", "counts")

    def __init__(self, config: PopularityConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        self.hold_nothing()

    @property
    def inputs(self) -> Inputs:
        return Inputs("pictures")

    @property
    def product_shape(self) -> tuple[int, ...]:
        return (1,)

    def remember(self, builder: BatchBuilder, rows: np.ndarray) -> None:
        shown = np.concatenate([builder.store.positives(row) for row in rows])
        ids, times = np.unique(shown, return_counts=True)
        blocks = [builder.products(ids[start : start + BLOCK]) for start in range(0, len(ids), BLOCK)]
        known, place = torch.unique(torch.cat([product_numbers(block) for block in blocks]), return_inverse=True)
        counts = torch.zeros(len(known)).index_add_(0, place, torch.from_numpy(times).float())
        self.known, self.counts = known, counts

    def encode_products(self, products: Products) -> Float[Tensor, "product 1"]:
        number = product_numbers(products)
        if self.known is None or self.counts is None:
            return torch.zeros(len(number), 1, device=number.device)
        known, counts = self.known.to(number.device), self.counts.to(number.device)
        place = torch.searchsorted(known, number).clamp(max=len(known) - 1)
        return torch.where(known[place] == number, counts[place], 0.0).unsqueeze(1)

    def encode_query(self, contexts: Contexts) -> Float[Tensor, "query"]:
        return torch.zeros(len(contexts.turns), device=contexts.turns.device)

    def score(self, query: Float[Tensor, "query"], products: ProductRows) -> Float[Tensor, "query candidate"]:
        return products.rows[..., 0].expand(len(query), -1)
