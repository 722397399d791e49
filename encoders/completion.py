"""Prediction of words that a product's text lacks, from its photo and its other words, trained on the catalogue alone."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

HIDDEN = 256
WORDS_HIDDEN, FEATURES_HIDDEN, PHOTOS_HIDDEN = 0.5, 0.3, 0.2
"""Shares hidden from the network in training: of words, which it must predict, of features, and of whole photos."""
PRIOR, LEAST = 3.0, 0.3
"""Incomplete texts make words look rarer than they are, so PRIOR is added to the logit. Below LEAST, p counts as zero."""


class TextCompletion(nn.Module):
    """p(word | photo, present words) for every word of the catalogue's texts, by a network with one hidden layer.

    Texts of a catalogue are incomplete, and photos show what they leave out. Training hides words of a text and predicts
    them, so it needs no dialogue.
    """

    words: Tensor
    column: Tensor

    def __init__(self, words: tuple[int, ...], vocabulary: int, features: int) -> None:
        super().__init__()
        column = torch.full((vocabulary,), -1)
        column[list(words)] = torch.arange(len(words))
        self.register_buffer("words", torch.tensor(words, dtype=torch.long), persistent=False)
        self.register_buffer("column", column, persistent=False)
        self.network = nn.Sequential(
            nn.Linear(features + len(words), HIDDEN), nn.GELU(), nn.Dropout(0.1), nn.Linear(HIDDEN, len(words))
        )

    def present(
        self, tokens: Int[Tensor, "product token"], keep: Bool[Tensor, "product token"]
    ) -> Float[Tensor, "product word"]:
        """1 for each word in the product's text, else 0."""
        column = self.column[tokens].masked_fill(~keep, -1)
        found = torch.zeros(len(tokens), len(self.words) + 1, device=tokens.device)
        return found.scatter_(1, column.masked_fill(column < 0, len(self.words)), 1.0)[:, :-1]

    def loss(
        self, present: Float[Tensor, "product word"], features: Float[Tensor, "product feature"]
    ) -> Float[Tensor, ""]:
        """Binary cross-entropy of the words not shown to the network, summed over words, mean over products."""
        shown = present * (torch.rand_like(present) > WORDS_HIDDEN)
        features = F.dropout(features, FEATURES_HIDDEN) * (torch.rand_like(features[:, :1]) > PHOTOS_HIDDEN)
        logits = self.network(torch.cat([features, shown], dim=1))
        terms = F.binary_cross_entropy_with_logits(logits, present, reduction="none")
        return (terms * (1 - shown)).sum() / len(terms)

    def forward(
        self, present: Float[Tensor, "product word"], features: Float[Tensor, "product feature"]
    ) -> Float[Tensor, "product word"]:
        """The probability of each word that the text lacks, zero for words it has; without gradient and dropout."""
        with torch.no_grad():
            hidden = self.network[1](self.network[0](torch.cat([features, present], dim=1)))
            guess = torch.sigmoid(self.network[3](hidden) + PRIOR)
            return torch.where(guess > LEAST, guess, 0.0) * (1 - present)
