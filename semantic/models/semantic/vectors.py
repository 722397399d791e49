"""What passes between a model and the rest: base vectors, and the match of dialogues with candidates."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from semantic.dst.interaction import StateSpace
from semantic.dst.state import SlotValues


@dataclass(frozen=True)
class Match:
    """Relevance of each candidate, and the attention a_K over the slots of every enhanced vector.

    Entries of padded candidates are finite and mean nothing; mask them with the batch's `keep`.
    `text_image_cosine` is cos(x_PT, x_PV), None where it was not asked for; `logits` are the learned scale times the sum of
    cosines that relevance is the tanh of, None where the model has no such scale.
    """

    relevance: Float[Tensor, "batch candidate"]
    context_text: Float[Tensor, "batch slot"]
    context_image: Float[Tensor, "batch slot"]
    product_text: Float[Tensor, "batch candidate slot"]
    product_image: Float[Tensor, "batch candidate slot"]
    text_image_cosine: Float[Tensor, "batch candidate"] | None = None
    logits: Float[Tensor, "batch candidate"] | None = None


@dataclass(frozen=True)
class ProductVectors:
    """p_T and p_V, the base vectors of products; they depend on no dialogue."""

    text: Float[Tensor, "*product dim"]
    image: Float[Tensor, "*product dim"]


@dataclass(frozen=True)
class ContextVectors:
    """C_T and C_V; the last turn of each is the context's vector."""

    text: Float[Tensor, "batch turn dim"]
    image: Float[Tensor, "batch turn dim"]
    keep: Bool[Tensor, "batch turn"]
    photo_share: Float[Tensor, "batch"] | None = None  # a pooled context's attention on its photos
    values: SlotValues | None = None  # the student's slot values where it reads them off the words


@dataclass(frozen=True)
class Side:
    """One modality of a query: its state space, and x_K of the context, its norm and its attention a_K."""

    space: StateSpace
    vector: Float[Tensor, "batch 1 dim"]
    norm: Float[Tensor, "batch 1"]
    attention: Float[Tensor, "batch slot"]

    def __getitem__(self, part: slice) -> "Side":
        space = StateSpace(self.space.basis[part], self.space.gram[part], self.space.slots)
        return Side(space, self.vector[part], self.norm[part], self.attention[part])


@dataclass(frozen=True)
class Query:
    """What products are compared with: both modalities, and the weight of the photo cosine (None: one)."""

    text: Side
    image: Side
    photo_weight: Float[Tensor, "batch"] | None

    def __len__(self) -> int:
        return len(self.text.vector)

    def __getitem__(self, part: slice) -> "Query":
        weight = None if self.photo_weight is None else self.photo_weight[part]
        return Query(self.text[part], self.image[part], weight)


@dataclass(frozen=True)
class Output:
    """The student's match and state, and the teacher's where it was asked for."""

    student: Match
    student_state: Float[Tensor, "batch slot dim"]
    teacher: Match | None = None
    teacher_state: Float[Tensor, "batch slot dim"] | None = None
    student_values: SlotValues | None = None
    teacher_values: SlotValues | None = None
