"""How a query is compared with products: cosines of vectors that the dialogue state has changed. Sections 3.2 and 3.3.

    f = tanh(cos(x_CT, x_PT) + w cos(x_CV, x_PV) + r(p)),      w = 1 and r = 0 in the paper

x_C and x_P are the base vectors of context and product after the K hops of the Dialogue State Interaction, text and image
each in its own state space; r is what the products already shown add (`pointing.ShownProducts`). A ranking may add m(p), what
training recommended in like dialogues (`neighbours.Neighbours`).
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from semantic.dst.interaction import DialogueStateInteraction, Enhanced, StateSpace, cosine, cross_cosine
from semantic.models.interface import ProductRows
from semantic.models.semantic.neighbours import Neighbours, Recalled
from semantic.models.semantic.pointing import Shown, ShownProducts


@dataclass(frozen=True)
class Side:
    """One modality of a query: its state space, and x_K of the context, its norm and its attention a_K."""

    space: StateSpace
    vector: Float[Tensor, "batch 1 dim"]
    norm: Float[Tensor, "batch 1"]
    attention: Float[Tensor, "batch slot"]

    @classmethod
    def of(
        cls,
        interaction: DialogueStateInteraction,
        state: Float[Tensor, "batch slot dim"],
        context: Float[Tensor, "batch 1 dim"],
    ) -> "Side":
        """A context's vector after its hops through the state."""
        space = interaction.expand(state)
        enhanced = interaction(context, space)
        return cls(space, enhanced.formed(space), enhanced.norm, enhanced.attention.squeeze(1))


@dataclass(frozen=True)
class Query:
    """What products are compared with: both modalities, the weight w of the photo cosine (None: one), the products shown
    (None: they count no further), and those recalled (None: nothing is).
    """

    text: Side
    image: Side
    photo_weight: Float[Tensor, "batch"] | None
    shown: Shown | None = None
    recalled: Recalled | None = None


@runtime_checkable
class Matched(Protocol):
    """What the loss reads of queries beside candidates; a_K is the attention over the slots after the last hop.

    `gated`: an attention is a gate for each slot, and not a distribution over them.
    """

    @property
    def gated(self) -> bool: ...

    @property
    def relevance(self) -> Float[Tensor, "batch candidate"]:
        """f, in (-1, 1)."""

    @property
    def logits(self) -> Float[Tensor, "batch candidate"] | None:
        """The sum of cosines times the learned scale, None where the model has none."""

    @property
    def context_text(self) -> Float[Tensor, "batch slot"]:
        """a_K of the context's text vector."""

    @property
    def context_image(self) -> Float[Tensor, "batch slot"]:
        """a_K of the context's image vector."""

    @property
    def product_text(self) -> Float[Tensor, "batch candidate slot"]:
        """a_K of each candidate's text vector."""

    @property
    def product_image(self) -> Float[Tensor, "batch candidate slot"]:
        """a_K of each candidate's image vector."""

    @property
    def text_image_cosine(self) -> Float[Tensor, "batch candidate"]:
        """cos(x_PT, x_PV)."""

    @property
    def text_vectors(self) -> Float[Tensor, "#batch candidate dim"]:
        """p_T, before the interaction."""

    @property
    def image_vectors(self) -> Float[Tensor, "#batch candidate dim"]:
        """p_V, before the interaction."""


@dataclass(frozen=True)
class Match:
    """A `Matched` from the weighted sum of cosines and the enhanced vectors that gave it.

    Entries of padded candidates are finite and mean nothing; mask them with the batch's `keep`. `log_scale` is the learned
    scale of the logits, None where the model has none.
    """

    query: Query
    text: Enhanced
    image: Enhanced
    cosines: Float[Tensor, "batch candidate"]
    log_scale: Float[Tensor, ""] | None = None

    @property
    def gated(self) -> bool:
        return self.text.gate is not None

    @property
    def relevance(self) -> Float[Tensor, "batch candidate"]:
        return torch.tanh(self.cosines)

    @property
    def logits(self) -> Float[Tensor, "batch candidate"] | None:
        return None if self.log_scale is None else self.log_scale.exp() * self.cosines

    @property
    def context_text(self) -> Float[Tensor, "batch slot"]:
        return self.query.text.attention

    @property
    def context_image(self) -> Float[Tensor, "batch slot"]:
        return self.query.image.attention

    @property
    def product_text(self) -> Float[Tensor, "batch candidate slot"]:
        return self.text.attention

    @property
    def product_image(self) -> Float[Tensor, "batch candidate slot"]:
        return self.image.attention

    @property
    def text_image_cosine(self) -> Float[Tensor, "batch candidate"]:
        return cross_cosine(self.text, self.image, self.query.text.space, self.query.image.space)

    @property
    def text_vectors(self) -> Float[Tensor, "#batch candidate dim"]:
        return self.text.start

    @property
    def image_vectors(self) -> Float[Tensor, "#batch candidate dim"]:
        return self.image.start


def match(
    query: Query,
    products: ProductRows,
    text_interaction: DialogueStateInteraction,
    image_interaction: DialogueStateInteraction,
    log_scale: Float[Tensor, ""] | None = None,
    pointer: ShownProducts | None = None,
    neighbours: Neighbours | None = None,
) -> Match:
    """Compare queries with products whose rows are [p_T, p_V]."""
    known = (None, None) if products.squared_norms is None else products.squared_norms.unbind(2)
    (p_text, p_image), (text_norms, image_norms) = products.rows.unbind(2), known
    text = text_interaction(p_text, query.text.space, query.text.vector, text_norms)
    image = image_interaction(p_image, query.image.space, query.image.vector, image_norms)
    photo = cosine(query.image.norm, image)
    if query.photo_weight is not None:
        photo = photo * query.photo_weight.unsqueeze(1)
    cosines = cosine(query.text.norm, text) + photo
    if pointer is not None and query.shown is not None:
        cosines = cosines + pointer(query.shown, products)
    if neighbours is not None and query.recalled is not None:
        cosines = cosines + neighbours(query.recalled, products)
    return Match(query, text, image, cosines, log_scale)
