"""LARCH: a hierarchical graph of the dialogue, and products told by what of their knowledge the query asks for.

Nie, Jiao, Wang, Wang and Tian, "Conversational Image Search", IEEE Transactions on Image Processing 30, 2021.

    nodes       words and photos, a sentence and an utterance a turn, the session
    edges       word - sentence, photo - sentence, sentence - utterance, utterance - session; words and photos to utterance and session
                as well; both ways
    query       q: the session after graph attention layers, ELU and residuals, the last one with a single head
    knowledge   entries (k, u) of a product:   n_q = sum_i softmax_i(q . W_q k_i / sqrt(d)) W_u u_i,   n_v the same by the photo v and W_v
    product     h_1 = g_1 * n_v + (1 - g_1) * v,  g_1 = sigmoid(W_1 [n_v; v; q]);   h_2 alike with n_q;   p = W_p MLP([h_1; h_2])
    relevance   cos(q, p);  hinge with margin 1

Verified in the released code: layers (4 of 16 heads of 64, and a last one of 512), Adam with 1e-5 and batches of 100. Departures: a
turn's text is one sentence; sentences start as the mean of their words, utterances as that and the mean of their photos, the session
as the mean of its utterances; edges between words, by a parser there, are those of a window here (`word_window`, off); padded
knowledge, which the released code attends to, is masked; photo features are of the backbone's width, 2048 there. The attention is ours,
as PyTorch has none over edges. What of a product does not depend on the query (v, n_v, its entries) is encoded once.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from semantic.batching.inputs import InputSpec
from semantic.config.schema import Depth, NaturalInt, PositiveInt, Width
from semantic.datasets.batches.tensors import Contexts, Products
from semantic.encoders.layers.fusion import GatedFusion
from semantic.encoders.layers.graph import GraphAttention
from semantic.encoders.layers.masking import masked_mean, masked_softmax
from semantic.models.compared.knowledge import KnowledgeComparedConfig, KnowledgeModel
from semantic.models.interface import ProductRows


class LarchConfig(KnowledgeComparedConfig):
    """The choices of LARCH."""

    name: str = Field("larch", description="this model, by its short name")
    layers: Depth = Field(4, description="graph attention layers before the last one")
    heads: PositiveInt = Field(16, description="of a layer")
    head_dim: Width = Field(64, description="of a head; a node has heads x head_dim numbers")
    word_window: NaturalInt = Field(
        0, description="words read so many neighbours on each side; off, as no parser is asked"
    )

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "published": {"training": {"learning_rate": 1e-5, "batch_size": 100}}
    }

    @model_validator(mode="after")
    def _knows_something(self) -> "LarchConfig":
        known = self.knowledge
        if not known.attributes and known.style_tips is None and known.celebrities is None:
            raise ValueError(
                "expected model.knowledge.attributes, style_tips or celebrities, got none: products are told by them"
            )
        return self


class Larch(KnowledgeModel):
    """The model; see the head of this file. A row of a product is [v, n_v, keys, values], zeros for entries that it lacks."""

    Config = LarchConfig
    config: LarchConfig

    def __init__(self, config: LarchConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        dim, node = config.dim, config.heads * config.head_dim
        self.word = nn.Linear(self.words.embedding_dim, node)
        self.photo = nn.Linear(self.features, node)
        self.layers = nn.ModuleList(
            GraphAttention(node, config.head_dim, config.heads, config.dropout) for _ in range(config.layers)
        )
        self.last = GraphAttention(node, dim, 1, config.dropout, last=True, residual=False)
        self.product_photo = nn.Linear(self.features, dim)
        self.query_key, self.photo_key, self.value = (
            nn.Linear(self.words.embedding_dim, dim, bias=False) for _ in range(3)
        )
        self.photo_gate, self.query_gate = (GatedFusion(dim, others=1) for _ in range(2))
        self.product = nn.Sequential(nn.Linear(2 * dim, dim), nn.ReLU(), nn.Linear(dim, dim))

    @property
    def product_shape(self) -> tuple[int, ...]:
        return (2 + 2 * self.most_entries, self.config.dim)

    def encode_products(self, products: Products) -> Float[Tensor, "product part dim"]:
        photo = self.product_photo(self.image_features(products.photos))
        photo = photo.masked_fill(~products.has_photo.unsqueeze(1), 0.0)
        entries = self.entries(products.tokens, products.keep)
        values = self.value(entries.values).masked_fill(~entries.keep.unsqueeze(-1), 0.0)
        by_photo = (self.photo_key(entries.keys) @ photo.unsqueeze(-1)).squeeze(-1) / math.sqrt(photo.shape[1])
        read = (masked_softmax(by_photo, entries.keep).unsqueeze(1) @ values).squeeze(1)
        keys = self.query_key(entries.keys).masked_fill(~entries.keep.unsqueeze(-1), 0.0)
        return torch.cat([torch.stack([photo, read], dim=1), keys, values], dim=1)

    def encode_query(self, contexts: Contexts) -> Float[Tensor, "query dim"]:
        nodes, edges = self.graph(contexts)
        for layer in self.layers:
            nodes = layer(nodes, edges)
        return self.last(nodes, edges)[:, 0]

    def graph(self, contexts: Contexts) -> tuple[Float[Tensor, "query node dim"], Bool[Tensor, "query node node"]]:
        """The nodes of each context: the session, and of each turn its words, photos, sentence and utterance. Padding is left out
        but for what makes contexts equally long.
        """
        words, said = self.word(self.word_vectors(contexts.turn_tokens)), contexts.turn_keep
        photos, shown = self.turn_photos(contexts, self.photo(self.image_features(contexts.photos)))
        sentence = masked_mean(words, said)
        utterance = sentence + masked_mean(photos, shown)
        parts = torch.cat([words, photos, sentence.unsqueeze(1), utterance.unsqueeze(1)], dim=1)
        there = torch.cat([said, shown, torch.ones_like(said[:, :2].expand(-1, 2))], dim=1)
        nodes, turn = contexts.each_turn(parts)
        held = contexts.each_turn(there)[0] & turn.unsqueeze(-1)
        session = masked_mean(nodes[:, :, -1], turn).unsqueeze(1)
        count = parts.shape[1]
        inside = self._edges_of_a_turn(words.shape[1], photos.shape[1], parts.device)
        # Within a turn; then every node with the session, but sentences, which utterances stand between.
        within = torch.block_diag(*[inside] * turn.shape[1])
        to_session = torch.ones(count, dtype=torch.bool, device=parts.device)
        to_session[-2] = False
        edges = nn.functional.pad(within, (1, 0, 1, 0))
        edges[0, 1:] = edges[1:, 0] = to_session.repeat(turn.shape[1])
        held = nn.functional.pad(held.flatten(1), (1, 0), value=True)
        order = (~held).to(torch.uint8).argsort(dim=1, stable=True)[:, : int(held.sum(1).max())]
        nodes = torch.cat([session, nodes.flatten(1, 2)], dim=1).take_along_dim(order.unsqueeze(-1), 1)
        held = held.gather(1, order)
        edges = edges[order.unsqueeze(2), order.unsqueeze(1)]
        return nodes, edges & held.unsqueeze(1) & held.unsqueeze(2)

    def _edges_of_a_turn(self, words: int, photos: int, device: torch.device) -> Bool[Tensor, "node node"]:
        edges = torch.zeros(words + photos + 2, words + photos + 2, dtype=torch.bool, device=device)
        edges[-2:] = edges[:, -2:] = True  # the sentence and the utterance
        places = torch.arange(words, device=device)
        edges[:words, :words] = (places.unsqueeze(0) - places.unsqueeze(1)).abs() <= self.config.word_window
        return edges

    def score(self, query: Float[Tensor, "query dim"], products: ProductRows) -> Float[Tensor, "query candidate"]:
        rows, most = products.rows, self.most_entries
        photo, by_photo, keys, values = rows[:, :, 0], rows[:, :, 1], rows[:, :, 2 : 2 + most], rows[:, :, 2 + most :]
        held = (values != 0).any(-1)
        if len(rows) == 1:  # candidates that all queries share: no query needs a copy of them
            near = torch.einsum("qd,ced->qce", query, keys[0])
            read = torch.einsum("qce,ced->qcd", self._weights(near, held), values[0])
        else:
            near = torch.einsum("qd,qced->qce", query, keys)
            read = torch.einsum("qce,qced->qcd", self._weights(near, held), values)
        seen = self.photo_gate(by_photo, photo, query.unsqueeze(1))
        known = self.query_gate(read, photo, query.unsqueeze(1))
        return ProductRows(self.product(torch.cat([seen, known], dim=-1))).cosines(query)

    def _weights(
        self, near: Float[Tensor, "query candidate entry"], held: Bool[Tensor, "#query candidate entry"]
    ) -> Tensor:
        return masked_softmax(near / math.sqrt(self.config.dim), held.expand_as(near))
