"""What every model offers, and all that the rest of the package asks of one.

A model encodes products and queries apart and scores the one against the other:

    rows = encode_products(products)     one row a product, of a declared shape and dtype; kept on disk as they are
    query = encode_query(contexts)       one query a context: a tensor, or a dataclass of tensors
    score(query, ProductRows)            a number for each query and candidate, higher is better

Training and ranking score by the same `score`. A model whose products depend on the query (a cross-encoder) lets its rows
hold what it reads of a product, and does the rest in `score`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from tokenizers import Tokenizer
from torch import Tensor, nn

from semantic.batching.inputs import Inputs, InputSpec
from semantic.batching.opening import open_batches
from semantic.batching.shards import Counts, Shard
from semantic.config.errors import ConfigError
from semantic.config.schema import ModelConfig
from semantic.datasets.batches.builder import BatchBuilder
from semantic.datasets.batches.tensors import Batch, Contexts, Products, map_tensors
from semantic.datasets.store.store import Store
from semantic.dst.interaction import EPSILON, inner_products
from semantic.encoders.image import Backbone
from semantic.encoders.layers.attention import AttentionLayer
from semantic.models.losses import Hinge, ranking_loss
from semantic.models.saving import SavedModel
from semantic.models.text_checkpoints import load_encoder
from semantic.runtime.progress import Progress

Q = TypeVar("Q")


@dataclass(frozen=True)
class ProductRows:
    """The rows of candidates, a leading size of 1 standing for candidates that all queries share.

    `squared_norms` are those of each row over its last axis, where they are known: cosines need them, so those of a
    catalogue are computed once.
    """

    rows: Shaped[Tensor, "#query candidate *row"]
    squared_norms: Float[Tensor, "#query candidate *rest"] | None = None

    @classmethod
    def of(
        cls, rows: Shaped[Tensor, "product *row"], candidates: Int[Tensor, "query candidate"] | None
    ) -> "ProductRows":
        """The rows that `candidates` point at (padding reads row 0), or all rows for every query."""
        return cls(rows.unsqueeze(0) if candidates is None else rows[candidates.clamp(min=0)])

    def part(self, place: int) -> "ProductRows":
        """One vector of each row of several."""
        norms = self.squared_norms
        return ProductRows(self.rows[:, :, place], None if norms is None else norms[:, :, place])

    def cosines(self, query: Float[Tensor, "query dim"]) -> Float[Tensor, "query candidate"]:
        """The cosine of each query and each candidate's row, a vector; zero where either is zeros."""
        norms = torch.linalg.vector_norm(self.rows, dim=-1) if self.squared_norms is None else self.squared_norms.sqrt()
        own = torch.linalg.vector_norm(query, dim=-1, keepdim=True).clamp(min=EPSILON)
        return inner_products((query / own).unsqueeze(1), self.rows).squeeze(1) / norms.clamp(min=EPSILON)


@dataclass(frozen=True)
class Loss:
    """What is minimised, and for the record the named terms it is made of (they need not add up to it) and `diagnostics`,
    figures that show whether the model learns.

    Total and terms are a shard's part of the whole batch's, and so are diagnostics as far as they are means over examples: what
    is recorded are their sums over the processes.
    """

    total: Float[Tensor, ""]
    terms: Mapping[str, Float[Tensor, ""]]
    diagnostics: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)

    @classmethod
    def sum(cls, **terms: Float[Tensor, ""]) -> "Loss":
        """The loss that is the sum of its terms."""
        return cls(torch.stack(list(terms.values())).sum(), terms)


@dataclass(frozen=True)
class Explanation:
    """Weights over named things, which say why: a table on the pages, one line a label, one column a source.

    `query` holds what a query says of itself, `products` what each of its candidates adds.
    """

    title: str
    labels: tuple[str, ...]
    query: Mapping[str, Float[Tensor, "query label"]] = field(default_factory=dict)
    products: Mapping[str, Float[Tensor, "query candidate label"]] = field(default_factory=dict)


class Model(SavedModel, ABC):
    """A ranking of products for contexts.

    A subclass names its `Config`, calls `super().__init__`, and implements what is abstract here. `encode_products`,
    `encode_query` and `loss` run under the run's autocast; `score` runs without, in float32 at least.
    """

    Config: ClassVar[type[ModelConfig]] = ModelConfig

    def __init__(self, config: ModelConfig, spec: InputSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.tokenizer: Tokenizer | None = None

    @property
    def inputs(self) -> Inputs:
        """What batches must hold for this model; word pieces they hold always."""
        return Inputs()

    @property
    @abstractmethod
    def product_shape(self) -> tuple[int, ...]:
        """The shape of one product's row: one axis at least."""

    product_dtype: torch.dtype = torch.float32
    """What rows are stored in: any type that numpy has too, hence not bfloat16."""

    @abstractmethod
    def encode_products(self, products: Products) -> Shaped[Tensor, "product *row"]:
        """A row a product; it depends on no query."""

    @abstractmethod
    def encode_query(self, contexts: Contexts) -> Any:
        """The queries of contexts: a tensor, or a dataclass of tensors, with the query as first axis."""

    @abstractmethod
    def score(self, query: Any, products: ProductRows) -> Float[Tensor, "query candidate"]:
        """How well each candidate answers each query; the score of padding means nothing."""

    @abstractmethod
    def loss(self, shard: Shard) -> Loss:
        """The loss of a process's shard of a training step: its share of the whole batch's mean."""

    def signs_of_collapse(self, means: Mapping[str, float]) -> Sequence[str]:
        """What an epoch's mean terms and diagnostics show to be degenerate, a phrase each; nothing by default."""
        del means
        return ()

    def ranking_loss(
        self,
        scores: Float[Tensor, "query candidate"],
        positive: Bool[Tensor, "query candidate"],
        keep: Bool[Tensor, "query candidate"],
        counts: Counts,
    ) -> Float[Tensor, ""]:
        """The ranking loss of `score`'s scores of all candidates: what an evaluation reports as its loss.

        By default the one that the configuration's `ranking` names, and without such a field the hinge with margin 1. A softmax
        is over scores times exp(`log_scale`), a parameter that the model then has. A model that trains on another loss says
        so here. Where a mean is taken, divide by `counts`, which are the whole split's.
        """
        log_scale = getattr(self, "log_scale", None)
        logits = None if log_scale is None else log_scale.exp() * scores
        return ranking_loss(getattr(self.config, "ranking", Hinge()), scores, logits, positive, keep, counts)

    def loss_of_ranking(self, shard: Shard) -> Loss:
        """`ranking_loss` of a shard's candidates: the `loss` of a model that has no other term."""
        batch = shard.batch
        rows, query = self.encode_products(batch.products), self.encode_query(batch.contexts)
        scores = self.scores(query, rows, batch.candidates)
        return Loss.sum(ranking=self.ranking_loss(scores, batch.positive, batch.keep, shard.counts))

    has_states: bool = False
    """Whether the model infers dialogue states, that is whether it has the two methods below."""

    def encode_states(self, contexts: Contexts) -> Float[Tensor, "query slot dim"]:
        """An embedding of each slot's gold value."""
        raise NotImplementedError(f"{type(self).__name__} has no dialogue states")

    def infer_states(self, contexts: Contexts) -> Float[Tensor, "query slot dim"]:
        """The embedding of each slot that the model infers, to be compared with those of gold values."""
        raise NotImplementedError(f"{type(self).__name__} has no dialogue states")

    def explain(self, query: Any, products: ProductRows) -> Sequence[Explanation]:
        """Why candidates are scored as they are; nothing by default."""
        del query, products
        return ()

    @classmethod
    def load_text_encoder(cls, checkpoint: str) -> Any:
        """The encoder that `text.checkpoint` names, of transformers: of the BERT family, unless a model says otherwise."""
        return load_encoder(checkpoint)

    def initialise(self, text_encoder: nn.Module | None) -> None:
        """Take over weights from checkpoints, once, after the model was made; `text_encoder` is `text.checkpoint`'s.

        Raises:
            ConfigError: there is a text checkpoint, and the model has no use for its weights.
        """
        if text_encoder is not None:
            raise ConfigError(
                f"model.text.checkpoint: expected null, as {self.config.name} reads no checkpoint, got one"
            )

    def fit_catalogue(self, builder: BatchBuilder, seed: int, advance: Callable[[int, int], None]) -> None:
        """Learn what the products alone teach, before the first epoch; nothing by default.

        Every product may be read, those of test dialogues too: a catalogue is known when it is searched. No dialogue,
        positive or state may be.
        """
        del builder, seed, advance

    def remember(self, builder: BatchBuilder, rows: np.ndarray) -> None:
        """Note of the training examples in `rows` what rankings will look up; nothing by default.

        Called in evaluation mode before each validation; what is noted is saved with the weights.
        """
        del builder, rows

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The optimiser's groups, in torch's form; a group without "lr" takes the run's learning rate."""
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad]}]

    def compilable(self) -> Iterable[nn.Module]:
        """The modules that torch.compile may compile: those whose work does not depend on the data."""
        for module in self.modules():
            if isinstance(module, AttentionLayer):
                yield module
            elif isinstance(module, Backbone):
                yield module.network

    def direct_form(self) -> "DirectForm | None":
        """The same function in its plainest order of computation, which the bench sets this one beside; None: there is none."""
        return None

    @property
    def device(self) -> torch.device:
        """Where the weights are; the CPU for a model without any."""
        return next(chain(self.parameters(), self.buffers()), torch.empty(0)).device

    def open_batches(self, store: Store, progress: Progress | None = None, *, dialogues: bool = True) -> BatchBuilder:
        """A builder of this model's batches over a store; see `semantic.batching.opening`."""
        return open_batches(
            store, self.spec, self.inputs, self.tokenizer, self.device, progress or Progress(), dialogues=dialogues
        )

    def scores(self, query: Any, rows: Shaped[Tensor, "product *row"], candidates: Tensor | None) -> Tensor:
        """`score` of the rows that `candidates` [query, candidate] point at (None: all), outside of autocast."""
        with full_precision(rows.device):
            return self.score(precise(query), ProductRows.of(precise(rows), candidates))


class DirectForm(ABC):
    """A model's function computed the plain way, on the same weights: what its speed is measured against."""

    @abstractmethod
    def lay_out(self, batch: Batch) -> Any:
        """The batch as the direct form takes it."""

    @abstractmethod
    def loss(self, laid_out: Any, shard: Shard) -> Loss:
        """The model's `loss` of a shard whose batch was laid out."""

    @abstractmethod
    def score(self, laid_out: Any) -> Float[Tensor, "query candidate"]:
        """The score of every context and candidate of a batch that was laid out."""


def full_precision(device: torch.device) -> torch.autocast:
    """A block in which autocast is off."""
    return torch.autocast(device.type, enabled=False)


def precise(value: Q) -> Q:
    """A tensor, or a dataclass of tensors, with float32 in place of half precision, which is for the encoders."""
    half = (torch.bfloat16, torch.float16)
    return map_tensors(value, lambda tensor: tensor.float() if tensor.dtype in half else tensor)


def some_queries(query: Q, part: slice) -> Q:
    """The queries in `part`."""
    return map_tensors(query, lambda tensor: tensor[part])


def query_tensor(query: Any) -> Tensor:
    """The first tensor of queries: its length is their number, its device theirs."""
    found: list[Tensor] = []
    map_tensors(query, lambda tensor: found.append(tensor) or tensor)  # type: ignore[func-returns-value]
    return found[0]
