"""TREASURE: words weighed by the attributes they are near, turns read over a sparse graph. An approximate re-implementation.

Zhang et al., MM 2021, reference [39] of the SeMANTIC paper. No code of it was at hand; what its text says:

    words       h = BiLSTM(words)
    attention   b = softmax_i(max_a cos(W h_i, A_a) / temperature),   A the attributes' prototypes, learned from the words of their names
    sentence    s = W_s [mean of h; sum_i b_i h_i]
    turn        u = W_u [s; v],  v the mean over the turn's photos of W_v features
    context     c: the last turn after graph attention over the turns, with sparse weights (sparsemax)
    product     p = W_p [s; v] of its text and photo
    relevance   cos(c, p);  hinge with margin 1

Verified (in the paper's text): attribute matrices that guide attention to words about the product, a sparse graph attention network over
turns. Approximate: the sizes, the temperature, sparsemax as the form of sparsity, a graph in which every turn reads every other, the
slots' names as attributes.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn

from semantic.batching.inputs import InputSpec
from semantic.config.schema import PositiveFloat
from semantic.datasets.batches.tensors import Contexts, Products
from semantic.encoders.layers.graph import GraphStack
from semantic.encoders.layers.masking import masked_mean, masked_softmax, masked_sum
from semantic.encoders.layers.recurrent import Recurrent
from semantic.models.compared.reading import ComparedModel, TurnGraphConfig


class TreasureConfig(TurnGraphConfig):
    """The choices of TREASURE."""

    name: str = Field("treasure", description="this model, by its short name")
    temperature: PositiveFloat = Field(0.1, description="the attention over words is of cosine / temperature")


class AttributeText(nn.Module):
    """s = W_s [mean of h; sum_i b_i h_i],   b = softmax_i(max_a cos(W h_i, A_a) / temperature)."""

    def __init__(self, words: int, hidden: int, attributes: int, dim: int, temperature: float) -> None:
        super().__init__()
        self.recurrent = Recurrent(words, hidden)
        self.prototypes = nn.Parameter(torch.empty(attributes, words))
        nn.init.normal_(self.prototypes)
        self.near = nn.Linear(self.recurrent.width, words)
        self.sentence = nn.Linear(2 * self.recurrent.width, dim)
        self.temperature = temperature

    def forward(
        self, words: Float[Tensor, "text word words"], keep: Bool[Tensor, "text word"]
    ) -> Float[Tensor, "text dim"]:
        states = self.recurrent(words, keep)
        cosines = F.normalize(self.near(states), dim=-1) @ F.normalize(self.prototypes, dim=-1).T
        weights = masked_softmax(cosines.amax(-1) / self.temperature, keep)
        guided = masked_sum(weights.unsqueeze(-1) * states, keep)
        return self.sentence(torch.cat([masked_mean(states, keep), guided], dim=1))


class Treasure(ComparedModel):
    """The model; see the head of this file."""

    Config = TreasureConfig
    config: TreasureConfig

    def __init__(self, config: TreasureConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        dim = config.dim
        self.text = AttributeText(
            self.words.embedding_dim, config.hidden, len(spec.key_tokens), dim, config.temperature
        )
        self.photo = nn.Linear(self.features, dim)
        self.turn, self.product = (nn.Linear(2 * dim, dim) for _ in range(2))
        self.turns = GraphStack(dim, config.heads, config.layers, config.dropout, "sparsemax")

    def initialise(self, text_encoder: nn.Module | None) -> None:
        """As the base; the prototypes start as the mean word vectors of the attributes' names."""
        super().initialise(text_encoder)
        with torch.no_grad():
            for prototype, pieces in zip(self.text.prototypes, self.spec.key_tokens, strict=True):
                if pieces:
                    prototype.copy_(self.words.weight[list(pieces)].mean(0))

    def encode_products(self, products: Products) -> Float[Tensor, "product dim"]:
        text = self.text(self.word_vectors(products.tokens), products.keep)
        photo = self.photo(self.image_features(products.photos)).masked_fill(~products.has_photo.unsqueeze(1), 0.0)
        return self.product(self.dropout(torch.cat([text, photo], dim=1)))

    def encode_query(self, contexts: Contexts) -> Float[Tensor, "query dim"]:
        text = self.text(self.word_vectors(contexts.turn_tokens), contexts.turn_keep)
        photo = masked_mean(*self.turn_photos(contexts, self.photo(self.image_features(contexts.photos))))
        turns, keep = contexts.each_turn(self.turn(self.dropout(torch.cat([text, photo], dim=1))))
        edges = keep.unsqueeze(1) & keep.unsqueeze(2)
        turns = self.turns(turns, edges)
        return turns[:, -1]
