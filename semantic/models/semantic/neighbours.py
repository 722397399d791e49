"""What training recommended in dialogues like this one, looked up beside the weights."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from semantic.config.schema import NaturalFloat, PositiveFloat, Section
from semantic.datasets.batches.builder import BatchBuilder
from semantic.dst.interaction import EPSILON, inner_products
from semantic.models.held import Held
from semantic.models.interface import Model, ProductRows, full_precision, precise

MOST = 64
"""Products that are recalled for a query: those that its neighbours had most of."""
BLOCK = 256
"""Contexts or products encoded at once."""


class NeighboursConfig(Section):
    """How what training recommended in like dialogues counts when products are ranked; off in the paper."""

    weight: NaturalFloat = Field(0.0, description="how much it counts beside the cosines; 0: nothing is looked up")
    context_sharpness: PositiveFloat = Field(10.0, description="how much nearer dialogues count for more")
    product_sharpness: PositiveFloat = Field(20.0, description="how much like a remembered product one must be")


@dataclass(frozen=True)
class Recalled:
    """The products that queries recall, by their unit text vectors, and how much of each."""

    vectors: Float[Tensor, "query recalled dim"]
    amounts: Float[Tensor, "query recalled"]


class Neighbours(Held):
    """What it adds to a product's relevance that training recommended it, or one like it, in dialogues like the query's.

        m(p) = w log(1 + sum_q n_q exp(s (cos(p_T, q_T) - 1)))
        n_q  = N sum_e softmax_e(t cos(x_CT, x_e)),      e over those of the N training examples that have q as a positive

    x_e is x_CT of an example after the hops through its inferred state; products of one text are one q, with the mean of their
    vectors; the sum over q is over the `MOST` with the largest n_q. All is noted anew before each validation, and no loss
    reads it: a training example would find itself. After Khandelwal et al. ("Generalization through Memorization", ICLR
    2020), who so add nearest neighbours to a language model.
    """

    contexts: Tensor | None  # [example, dim], unit vectors x_e
    products: Tensor | None  # [product, dim], unit vectors q_T
    pairs: Tensor | None  # int64 [pair, 2]: an example and a product of it
    held = ("contexts", "products", "pairs")

    def __init__(self, config: NeighboursConfig) -> None:
        super().__init__()
        self.config = config
        self.hold_nothing()

    def hold(
        self,
        contexts: Float[Tensor, "example dim"],
        products: Float[Tensor, "product dim"],
        pairs: Int[Tensor, "pair 2"],
    ) -> None:
        """Replace what is remembered."""
        self.contexts, self.products, self.pairs = F.normalize(contexts, dim=-1), F.normalize(products, dim=-1), pairs

    def recall(self, vector: Float[Tensor, "query dim"]) -> Recalled | None:
        """What queries with these x_CT recall; None before anything is remembered."""
        if self.contexts is None or self.products is None or self.pairs is None:
            return None
        with full_precision(vector.device):
            near = F.normalize(precise(vector), dim=-1) @ self.contexts.T
            share = len(self.contexts) * torch.softmax(self.config.context_sharpness * near, dim=1)
            amounts = share.new_zeros(len(vector), len(self.products))
            amounts.index_add_(1, self.pairs[:, 1], share[:, self.pairs[:, 0]])
            most = amounts.topk(min(MOST, amounts.shape[1]), dim=1)
            return Recalled(self.products[most.indices], most.values)

    def forward(self, recalled: Recalled, products: ProductRows) -> Float[Tensor, "query candidate"]:
        """m of candidates; float32 whatever the autocast."""
        with full_precision(products.rows.device):
            texts = precise(products.rows)[:, :, 0]
            known = products.squared_norms
            norms = torch.linalg.vector_norm(texts, dim=-1) if known is None else known[:, :, 0].sqrt()
            near = inner_products(recalled.vectors, texts) / norms.clamp(min=EPSILON).unsqueeze(1)
            like = torch.exp(self.config.product_sharpness * (near - 1))  # [query, recalled, candidate]
            return self.config.weight * (recalled.amounts.unsqueeze(1) @ like).squeeze(1).log1p()


@torch.no_grad()
def read_examples(
    model: Model, builder: BatchBuilder, rows: np.ndarray
) -> tuple[Float[Tensor, "example dim"], Float[Tensor, "product dim"], Int[Tensor, "pair 2"]]:
    """What `Neighbours.hold` takes of example rows and their positives, as the weights see them now."""
    device = model.device
    positives = [builder.store.positives(row) for row in rows]
    ids, place = np.unique(np.concatenate(positives), return_inverse=True)
    contexts = [
        precise(model.encode_query(builder.contexts(rows[start : start + BLOCK]).to(device))).text.vector[:, 0]
        for start in range(0, len(rows), BLOCK)
    ]
    blocks = [builder.products(ids[start : start + BLOCK]).to(device) for start in range(0, len(ids), BLOCK)]
    texts = F.normalize(precise(torch.cat([model.encode_products(block)[:, 0] for block in blocks])), dim=-1)
    longest = max(block.tokens.shape[1] for block in blocks)
    read = [F.pad(block.tokens, (0, longest - block.tokens.shape[1]), value=model.spec.pad) for block in blocks]
    different, text = torch.unique(torch.cat(read), dim=0, return_inverse=True)
    products = texts.new_zeros(len(different), texts.shape[1]).index_add_(0, text, texts)
    example = torch.from_numpy(np.repeat(np.arange(len(rows)), [len(found) for found in positives])).to(device)
    pairs = torch.stack([example, text[torch.from_numpy(place).to(device)]], dim=1)
    return torch.cat(contexts), products, pairs
