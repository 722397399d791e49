"""Texts matched by the words that they share: TF-IDF and BM25 over word pieces.

    tfidf   cos of the vectors tf(w) idf(w) of context and product,   idf(w) = 1 + log((1 + N) / (1 + df(w)))
    bm25    sum over the context's pieces w of idf(w) tf (k1 + 1) / (tf + k1 (1 - b + b |d| / mean |d|)),
            idf(w) = log(1 + (N - df(w) + 1/2) / (df(w) + 1/2))

N, df and mean |d| are those of the catalogue's texts, cut as every model reads them; scikit-learn's smoothing, and Robertson and Zaragoza,
"The Probabilistic Relevance Framework: BM25 and Beyond" (2009).
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from semantic.batching.inputs import InputSpec
from semantic.config.schema import NaturalFloat, PositiveInt, Share
from semantic.datasets.batches.builder import BatchBuilder
from semantic.datasets.batches.tensors import Contexts, Products
from semantic.models.floors.untrained import Untrained, UntrainedConfig
from semantic.models.interface import ProductRows

BLOCK = 512
"""Products read at once."""


class LexicalConfig(UntrainedConfig):
    """How words count."""

    turns: PositiveInt | None = Field(None, description="last turns of the context that are read; null: all of it")


class TfidfConfig(LexicalConfig):
    """TF-IDF."""

    name: str = Field("tfidf", description="this model, by its short name")


class Bm25Config(LexicalConfig):
    """BM25."""

    name: str = Field("bm25", description="this model, by its short name")
    k1: NaturalFloat = Field(1.2, description="how soon more of a word counts no more")
    b: Share = Field(0.75, description="how much a long text counts less")


class Lexical(Untrained):
    """A row of a product is [its word pieces, the weight of each], a piece that stands twice once."""

    config: LexicalConfig
    frequency: Tensor
    products: Tensor
    pieces: Tensor

    def __init__(self, config: LexicalConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        self.register_buffer("frequency", torch.zeros(spec.vocabulary))  # texts of the catalogue with each piece
        self.register_buffer("products", torch.zeros(()))
        self.register_buffer("pieces", torch.zeros(()))  # of a text, on average

    @property
    def product_shape(self) -> tuple[int, ...]:
        return (2, self.spec.product_tokens)

    def fit_catalogue(self, builder: BatchBuilder, seed: int, advance: Callable[[int, int], None]) -> None:
        """Count the catalogue's words."""
        del seed
        total = builder.store.num_products
        self.frequency.zero_()
        length = 0
        for start in range(0, total, BLOCK):
            products = builder.products(np.arange(start, min(total, start + BLOCK)))
            self.frequency += self._counts(products.tokens, products.keep).clamp(max=1).sum(0).to(self.frequency)
            length += int(products.keep.sum())
            advance(min(total, start + BLOCK), total)
        self.products.fill_(total)
        self.pieces.fill_(length / max(1, total))

    def _counts(
        self, tokens: Int[Tensor, "text token"], keep: Bool[Tensor, "text token"]
    ) -> Float[Tensor, "text vocabulary"]:
        """tf: how often each piece stands in each text."""
        found = torch.zeros(len(tokens), self.spec.vocabulary, dtype=self.frequency.dtype, device=tokens.device)
        return found.scatter_add_(1, tokens, keep.to(found.dtype))

    def encode_products(self, products: Products) -> Float[Tensor, "product 2 token"]:
        tokens, keep = products.tokens, products.keep
        counts = self._counts(tokens, keep)
        earlier = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=tokens.device).tril(-1)
        again = ((tokens.unsqueeze(2) == tokens.unsqueeze(1)) & keep.unsqueeze(1) & earlier).any(2)
        weights = self.product_weights(counts).gather(1, tokens).masked_fill(~keep | again, 0.0)
        found = torch.stack([tokens.to(weights.dtype).masked_fill(~keep, 0.0), weights], dim=1)
        return torch.nn.functional.pad(found, (0, self.spec.product_tokens - tokens.shape[1]))

    def encode_query(self, contexts: Contexts) -> Float[Tensor, "query vocabulary"]:
        counts, _ = contexts.each_turn(self._counts(contexts.turn_tokens, contexts.turn_keep))
        last = counts if self.config.turns is None else counts[:, -self.config.turns :]
        return self.query_weights(last.sum(1))

    def product_weights(self, counts: Float[Tensor, "product vocabulary"]) -> Float[Tensor, "product vocabulary"]:
        """What each piece of a product's text counts, from how often each stands in it."""
        raise NotImplementedError

    def query_weights(self, counts: Float[Tensor, "query vocabulary"]) -> Float[Tensor, "query vocabulary"]:
        """What each piece of a context counts."""
        raise NotImplementedError

    def score(
        self, query: Float[Tensor, "query vocabulary"], products: ProductRows
    ) -> Float[Tensor, "query candidate"]:
        pieces, weights = products.rows[:, :, 0].long(), products.rows[:, :, 1]
        if len(pieces) == 1:
            return torch.einsum("qct,ct->qc", query[:, pieces[0]], weights[0])
        at = query.unsqueeze(1).expand(-1, pieces.shape[1], -1).gather(2, pieces)
        return (at * weights).sum(-1)


class Tfidf(Lexical):
    """Cosines of TF-IDF vectors; see the head of this file."""

    Config = TfidfConfig
    config: TfidfConfig

    def product_weights(self, counts: Float[Tensor, "text vocabulary"]) -> Float[Tensor, "text vocabulary"]:
        idf = 1 + torch.log((1 + self.products) / (1 + self.frequency))
        return torch.nn.functional.normalize(counts * idf, dim=1)

    query_weights = product_weights


class Bm25(Lexical):
    """BM25; see the head of this file."""

    Config = Bm25Config
    config: Bm25Config

    def product_weights(self, counts: Float[Tensor, "product vocabulary"]) -> Float[Tensor, "product vocabulary"]:
        k1, b = self.config.k1, self.config.b
        idf = torch.log1p((self.products - self.frequency + 0.5) / (self.frequency + 0.5))
        length = 1 - b + b * counts.sum(1, keepdim=True) / self.pieces.clamp(min=1)
        return idf * counts * (k1 + 1) / (counts + k1 * length).clamp(min=1e-12)

    def query_weights(self, counts: Float[Tensor, "query vocabulary"]) -> Float[Tensor, "query vocabulary"]:
        return counts
