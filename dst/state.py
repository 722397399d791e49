"""The state encoder's two ways to the state embeddings S [slot, dim]: from gold values, or inferred from the context."""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from semantic.encoders.attention import Attention
from semantic.encoders.masking import masked_mean

VALUE_MEANS = ("pieces", "padded_sum")


def embed_keys(
    words: nn.Embedding, tokens: Int[Tensor, "slot piece"], keep: Bool[Tensor, "slot piece"]
) -> Float[Tensor, "slot dim"]:
    """K: the mean of each slot key's word embeddings."""
    return masked_mean(words(tokens), keep)


class TeacherEncoder(nn.Module):
    """S = Attn(K + V), where V_i is the mean of the word embeddings of slot i's gold value.

    value_mean="padded_sum" is the released code's mean: the sum runs over pad rows too and is divided by the number of
    real pieces.
    """

    def __init__(self, attention: Attention, value_mean: str = "pieces") -> None:
        super().__init__()
        if value_mean not in VALUE_MEANS:
            raise ValueError(f"value mean: expected one of {', '.join(VALUE_MEANS)}, got {value_mean!r}")
        self.attention = attention
        self.value_mean = value_mean

    def forward(
        self,
        keys: Float[Tensor, "slot dim"],
        values: Float[Tensor, "batch slot piece dim"],
        keep: Bool[Tensor, "batch slot piece"],
    ) -> Float[Tensor, "batch slot dim"]:
        mean = masked_mean(values, keep) if self.value_mean == "pieces" else values.sum(-2) / keep.sum(-1, keepdim=True).clamp(min=1)
        return self.attention(keys + mean)


class StudentLearner(nn.Module):
    """S' = Attn(K + Z) with the predicted values Z = CrossAttn(query K, keys and values C_T + C_V)."""

    def __init__(self, predictor: Attention, attention: Attention) -> None:
        super().__init__()
        self.predictor = predictor
        self.attention = attention

    def forward(
        self,
        keys: Float[Tensor, "slot dim"],
        context: Float[Tensor, "batch turn dim"],
        keep: Bool[Tensor, "batch turn"],
    ) -> Float[Tensor, "batch slot dim"]:
        keys = keys.expand(len(context), -1, -1)
        return self.attention(keys + self.predictor(keys, context, keep))
