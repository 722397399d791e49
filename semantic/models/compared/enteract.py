"""Enteract: products told by how the views of their photo and text go together. An approximate re-implementation.

Du et al., MM 2023, reference [7] of the SeMANTIC paper. No code of it was at hand; what its text says:

    photo       global view g = W_g mean over places;   local views l_j = W_l m_j, the places of the last convolution's map
                gated image v = z * g + (1 - z) * mean of l,   z = sigmoid(W_z [g; mean of l])
    text        structure e_i = W_k k_i + W_u u_i, the attributes (k, u) of the text;   sequence h = BiLSTM(words)
    interaction global with structure   a = sum_i softmax_i(v . e_i / sqrt(d)) e_i
                local with sequence     b = mean over words of sum_j softmax_j(h_i . l_j / sqrt(d)) l_j
    product     parts [v + a; b; W_t mean of h], of which the latest request r reads: p = sum_k softmax_k(r . part_k / sqrt(d)) part_k
    context     c: the last turn after graph attention over turns u = W_c [words' mean of h; v];   r: the same before it
    relevance   cos(c, p);  hinge with margin 1

Verified (in the paper's text): a gated multi-view encoder of photos, the two interactions, a product that attends to the
latest request, a graph attention network over turns. Approximate: every size and the form of each attention.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from semantic.batching.inputs import InputSpec
from semantic.datasets.batches.tensors import Contexts, Products
from semantic.encoders.layers.fusion import GatedFusion
from semantic.encoders.layers.graph import GraphStack
from semantic.encoders.layers.masking import masked_mean, masked_softmax
from semantic.encoders.layers.recurrent import Recurrent
from semantic.models.compared.knowledge import attributes
from semantic.models.compared.reading import ComparedModel, PhotoMaps, TurnGraphConfig
from semantic.models.interface import ProductRows


class EnteractConfig(TurnGraphConfig):
    """The choices of Enteract."""

    name: str = Field("enteract", description="this model, by its short name")
    image: PhotoMaps = PhotoMaps()


@dataclass(frozen=True)
class Asked:
    """A context, and the latest request in it."""

    context: Float[Tensor, "query dim"]
    request: Float[Tensor, "query dim"]


class Enteract(ComparedModel):
    """The model; see the head of this file. A row of a product is its three parts."""

    Config = EnteractConfig
    config: EnteractConfig

    def __init__(self, config: EnteractConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        dim, words = config.dim, self.words.embedding_dim
        self.recurrent = Recurrent(words, config.hidden)
        self.sequence = nn.Linear(self.recurrent.width, dim)
        self.key, self.value = (nn.Linear(words, dim, bias=False) for _ in range(2))
        self.whole, self.place = (nn.Linear(self.features, dim) for _ in range(2))
        self.gate = GatedFusion(dim)
        self.turn = nn.Linear(2 * dim, dim)
        self.turns = GraphStack(dim, config.heads, config.layers, config.dropout)

    @property
    def product_shape(self) -> tuple[int, ...]:
        return (3, self.config.dim)

    def encode_products(self, products: Products) -> Float[Tensor, "product part dim"]:
        words, keep = self.words(products.tokens), products.keep
        sequence = self.sequence(self.recurrent(self.dropout(words), keep))
        photo, places = self.views(products.photos)
        photo, places = (
            x.masked_fill(~products.has_photo.view(-1, *[1] * (x.dim() - 1)), 0.0) for x in (photo, places)
        )
        entries = attributes(words, products.tokens, keep, self.spec.key_tokens)
        structure = self.key(entries.keys) + self.value(entries.values)
        by_photo = (structure @ photo.unsqueeze(-1)).squeeze(-1) / math.sqrt(photo.shape[1])
        told = (masked_softmax(by_photo, entries.keep).unsqueeze(1) @ structure).squeeze(1)
        by_word = torch.softmax(sequence @ places.transpose(1, 2) / math.sqrt(photo.shape[1]), dim=-1)
        seen = masked_mean(by_word @ places, keep)
        return self.dropout(torch.stack([photo + told, seen, masked_mean(sequence, keep)], dim=1))

    def encode_query(self, contexts: Contexts) -> Asked:
        keep = contexts.turn_keep
        text = masked_mean(self.sequence(self.recurrent(self.word_vectors(contexts.turn_tokens), keep)), keep)
        photo = masked_mean(*self.turn_photos(contexts, self.views(contexts.photos)[0]))
        turns, there = contexts.each_turn(self.turn(self.dropout(torch.cat([text, photo], dim=1))))
        edges, request = there.unsqueeze(1) & there.unsqueeze(2), turns[:, -1]
        turns = self.turns(turns, edges)
        return Asked(turns[:, -1], request)

    def views(self, photos: Tensor) -> tuple[Float[Tensor, "photo dim"], Float[Tensor, "photo place dim"]]:
        """The gated image of photos, and their places."""
        maps = self.maps(photos).flatten(2).transpose(1, 2)
        places = self.place(maps)
        return self.gate(self.whole(maps.mean(1)), places.mean(1)), places

    def score(self, query: Asked, products: ProductRows) -> Float[Tensor, "query candidate"]:
        """cos(c, p) from the inner products of c and r with the three parts, and theirs with one another."""
        parts = products.rows
        shared = len(parts) == 1
        form = "qd,cpd->qcp" if shared else "qd,qcpd->qcp"
        held = parts[0] if shared else parts
        weights = torch.softmax(torch.einsum(form, query.request, held) / math.sqrt(parts.shape[-1]), dim=-1)
        inner = (weights * torch.einsum(form, query.context, held)).sum(-1)
        gram = parts @ parts.transpose(-1, -2)  # [#query, candidate, part, part]
        norm = (weights.unsqueeze(-2) @ gram @ weights.unsqueeze(-1)).squeeze(-1).squeeze(-1)
        own = torch.linalg.vector_norm(query.context, dim=-1, keepdim=True)
        return inner / (own * norm.clamp(min=1e-16).sqrt()).clamp(min=1e-8)
