"""A text as a weighted bag of its words, without layers: the word table alone matches one text with another."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from semantic.encoders.layers.masking import masked_softmax
from semantic.encoders.words import BatchWords, WordTables

LEAST = 1e-6
"""Guessed words with a lower probability are left out."""


class BagEncoder(nn.Module):
    """u = sum_i a_i W_emb[w_i], a = softmax_i(q . W_emb[w_i] / sqrt(dim)).

    The query q starts at zero, so u starts as the mean. A word's score depends on the word alone: scores are computed
    for the vocabulary and looked up, and no [text, token, dim] tensor is made. `word_dropout` leaves out words in
    training, but never all of a text. An empty text gives zeros.
    """

    words: WordTables

    def __init__(self, words: WordTables, word_dropout: float, dropout: float) -> None:
        super().__init__()
        self.words = words
        self.query = nn.Parameter(torch.zeros(words.words.embedding_dim))
        self.word_dropout = word_dropout
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        vocabulary: BatchWords,
        tokens: Int[Tensor, "text token"],
        keep: Bool[Tensor, "text token"],
        guessed: Float[Tensor, "text word"] | None = None,
        guessed_words: Int[Tensor, "word"] | None = None,
    ) -> Float[Tensor, "text dim"]:
        """The vector of each text. `guessed` are probabilities of words that a text lacks, which weight these words."""
        keep = drop_words(keep, self.word_dropout if self.training else 0.0)
        tokens, table = vocabulary.at(tokens), vocabulary.table
        scores = word_scores(table, self.query)
        if guessed is None or guessed_words is None:
            return self.dropout(weighted_words(table, tokens, masked_softmax(scores[tokens], keep)))
        # One softmax over present and guessed words, the guessed ones weighted by their probability.
        places = vocabulary.at(guessed_words)
        all_scores = torch.cat([scores[tokens], scores[places] + guessed.clamp(min=LEAST).log()], dim=1)
        weights = masked_softmax(all_scores, torch.cat([keep, guessed >= LEAST], dim=1))
        present, absent = weights[:, : tokens.shape[1]], weights[:, tokens.shape[1] :]
        return self.dropout(weighted_words(table, tokens, present) + absent.to(table.dtype) @ table[places])


def word_scores(table: Float[Tensor, "*word dim"], queries: Float[Tensor, "*query dim"]) -> Float[Tensor, "..."]:
    """q . W_emb[w] / sqrt(dim) for every word of the table and every query: [*word, *query]."""
    return table @ (queries.mT if queries.dim() > 1 else queries) / math.sqrt(table.shape[-1])


def weighted_words(
    table: Float[Tensor, "word dim"], tokens: Int[Tensor, "*bag token"], weights: Float[Tensor, "*bag token"]
) -> Float[Tensor, "*bag dim"]:
    """sum_i weights_i W_emb[tokens_i] for each bag."""
    length = tokens.shape[-1]
    flat = F.embedding_bag(
        tokens.reshape(-1, length), table, per_sample_weights=weights.reshape(-1, length).to(table.dtype), mode="sum"
    )
    return flat.view(*tokens.shape[:-1], table.shape[-1])


def drop_words(keep: Bool[Tensor, "*text token"], share: float) -> Bool[Tensor, "*text token"]:
    """`keep` without words drawn with probability `share`; a text that would lose all its words keeps them all."""
    if not share:
        return keep
    left = keep & (torch.rand(keep.shape, device=keep.device) > share)
    return torch.where(left.any(-1, keepdim=True), left, keep)
