"""What a model says of dialogues and candidates; losses and metrics see nothing else of it."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


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
