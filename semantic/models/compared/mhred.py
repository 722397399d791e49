"""MHRED: a multimodal hierarchical recurrent encoder, the baseline that came with the MMD data.

Saha, Khapra and Sankaranarayanan, "Towards Building Large Scale Multimodal Domain-Aware Conversation Systems", AAAI 2018. Every
utterance and every photo is a step of the context, in the order in which they came:

    step        s = [GRU(words); W_v v],  v the features of a photo; the part that a step lacks is zeros
    context     c = W_c GRU(s_1 .. s_n)_n
    product     p = W_p [GRU(words of its text); v]
    relevance   cos(c, p);  hinge with margin 1

Verified in the released code: the sizes (512 each), a map of its own for the product, Adam with 4e-4 and gradients clipped at
0.1, five negatives. Departures: the product's text is read too (MMD's product was its photo alone), by the words' GRU; the released
context was bidirectional, of which the forward state alone was used, so it goes forwards here; a missing negative is no random photo.
`cell: lstm` with `both_ways` and `pool: attentive` is the reading of later comparisons.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from semantic.batching.inputs import InputSpec
from semantic.config.schema import Width
from semantic.datasets.batches.tensors import Contexts, Products
from semantic.encoders.layers.recurrent import Cell, Recurrent, RecurrentText
from semantic.models.compared.reading import ComparedConfig, ComparedModel


class MhredConfig(ComparedConfig):
    """The choices of MHRED."""

    name: str = Field("mhred", description="this model, by its short name")
    hidden: Width = Field(512, description="of the recurrent networks, in each direction")
    cell: Cell = Field("gru", description="of the recurrent networks")
    both_ways: bool = Field(False, description="whether words and steps are read backwards as well")
    pool: Literal["ends", "attentive"] = Field(
        "ends", description="words into one vector: the last state, or attention"
    )

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "published": {"training": {"learning_rate": 4e-4, "max_grad_norm": 0.1, "negatives": 5}}
    }


class Mhred(ComparedModel):
    """The model; see the head of this file."""

    Config = MhredConfig
    config: MhredConfig

    def __init__(self, config: MhredConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        self.text = RecurrentText(
            self.words.embedding_dim, config.hidden, config.cell, both_ways=config.both_ways, pool=config.pool
        )
        self.photo = nn.Linear(self.features, config.hidden)
        self.context = Recurrent(
            self.text.width + config.hidden, config.hidden, config.cell, both_ways=config.both_ways
        )
        self.query = nn.Linear(self.context.width, config.dim)
        self.product = nn.Linear(self.text.width + self.features, config.dim)

    def encode_products(self, products: Products) -> Float[Tensor, "product dim"]:
        text = self.text(self.word_vectors(products.tokens), products.keep)
        photo = self.image_features(products.photos).masked_fill(~products.has_photo.unsqueeze(1), 0.0)
        return self.product(self.dropout(torch.cat([text, photo], dim=1)))

    def encode_query(self, contexts: Contexts) -> Float[Tensor, "query dim"]:
        said = self.text(self.word_vectors(contexts.turn_tokens), contexts.turn_keep).unsqueeze(1)
        seen, shown = self.turn_photos(contexts, self.photo(self.image_features(contexts.photos)))
        text = torch.cat([said, said.new_zeros(*seen.shape[:2], said.shape[-1])], dim=1)
        photo = torch.cat([seen.new_zeros(len(said), 1, seen.shape[-1]), seen], dim=1)
        steps, turn = contexts.each_turn(self.dropout(torch.cat([text, photo], dim=-1)))
        there, _ = contexts.each_turn(torch.cat([torch.ones_like(shown[:, :1]), shown], dim=1))
        steps, keep = steps.flatten(1, 2), (there & turn.unsqueeze(-1)).flatten(1)
        return self.query(self.context.ends(self.context(steps, keep), keep))
