"""What is known of products: the attributes in their texts, and style tips and celebrities' tastes where a user has them.

An entry is a key and a value, both words: (colour, red), (jeans, t-shirt), (dress, a celebrity's name).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from tokenizers import Tokenizer
from torch import Tensor, nn

from semantic.batching.inputs import InputSpec
from semantic.config.schema import PositiveInt, Section
from semantic.encoders.layers.masking import masked_mean
from semantic.models.compared.facts import Fact, read_celebrities, read_style_tips
from semantic.models.compared.reading import ComparedConfig, ComparedModel
from semantic.models.held import Held
from semantic.runtime.errors import DataError

WORDS = 4
"""Word pieces of a key or value of a table."""


class KnowledgeConfig(Section):
    """Which entries of a product are read."""

    attributes: bool = Field(
        True, description="`key value key value ...` in a product's text, the keys being the slots' words"
    )
    style_tips: str | None = Field(None, description="file with a line `a , b , score` for what goes with what")
    celebrities: str | None = Field(None, description="JSON file {celebrity: {what they wear: probability}}")
    entries: PositiveInt = Field(8, description="entries of the tables a product reads at most, those of highest score")


class KnowledgeComparedConfig(ComparedConfig):
    """The configuration of a compared method that reads knowledge."""

    knowledge: KnowledgeConfig = KnowledgeConfig()


@dataclass(frozen=True)
class Entries:
    """The entries of products: the means of their keys' and values' word vectors."""

    keys: Float[Tensor, "product entry dim"]
    values: Float[Tensor, "product entry dim"]
    keep: Bool[Tensor, "product entry"]


class Facts(Held):
    """The tables' entries as word pieces, the highest score first; saved with the weights, as the files may be gone."""

    about: Tensor  # int64 [fact, piece], -1 beyond the end; None where nothing is held, as the others
    key: Tensor
    value: Tensor
    held = ("about", "key", "value")

    def __init__(self) -> None:
        super().__init__()
        self.hold_nothing()

    def take(self, facts: Sequence[Fact], tokenizer: Tokenizer) -> None:
        """Hold these in place of what was held."""
        facts = [fact for fact in facts if tokenizer.encode(fact.about, add_special_tokens=False).ids]
        ordered = sorted(facts, key=lambda fact: (-fact.score, fact.about, fact.key, fact.value))
        for name in self.held:
            rows = np.full((len(ordered), WORDS), -1, dtype=np.int64)
            for row, fact in enumerate(ordered):
                pieces = tokenizer.encode(getattr(fact, name), add_special_tokens=False).ids[:WORDS]
                rows[row, : len(pieces)] = pieces
            setattr(self, name, torch.from_numpy(rows))

    def of(
        self, tokens: Int[Tensor, "product token"], keep: Bool[Tensor, "product token"], most: int, vocabulary: int
    ) -> tuple[Int[Tensor, "product fact"], Bool[Tensor, "product fact"]]:
        """The first `most` facts whose `about` is in each product's text, and which places hold one."""
        said = torch.zeros(len(tokens), vocabulary, dtype=torch.bool, device=tokens.device)
        said[torch.arange(len(tokens), device=tokens.device).unsqueeze(1).expand_as(tokens)[keep], tokens[keep]] = True
        holds = torch.ones(len(tokens), len(self.about), dtype=torch.bool, device=tokens.device)
        for piece in self.about.T:
            holds &= said[:, piece.clamp(min=0)] | (piece < 0)
        found = holds.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :most]
        return found, holds.gather(1, found)


class KnowledgeModel(ComparedModel):
    """A compared method that reads entries of products."""

    config: KnowledgeComparedConfig

    def __init__(self, config: KnowledgeComparedConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        self.facts = Facts()

    @property
    def reads_knowledge(self) -> bool:
        known = self.config.knowledge
        return known.attributes or known.style_tips is not None or known.celebrities is not None

    @property
    def most_entries(self) -> int:
        """Entries of a product at most: an attribute a key and one before the first key, and those of the tables."""
        known = self.config.knowledge
        tables = known.entries * (known.style_tips is not None or known.celebrities is not None)
        return known.attributes * (len(self.spec.key_tokens) + 1) + tables

    def initialise(self, text_encoder: nn.Module | None) -> None:
        super().initialise(text_encoder)
        known = self.config.knowledge
        facts = [
            *(read_style_tips(known.style_tips) if known.style_tips is not None else ()),
            *(read_celebrities(known.celebrities) if known.celebrities is not None else ()),
        ]
        if known.style_tips is not None or known.celebrities is not None:
            assert self.tokenizer is not None
            self.facts.take(facts, self.tokenizer)
            if not len(self.facts.about):
                files = " and ".join(file for file in (known.style_tips, known.celebrities) if file is not None)
                raise DataError(f"model.knowledge {files}: expected facts, found none")

    def entries(self, tokens: Int[Tensor, "product token"], keep: Bool[Tensor, "product token"]) -> Entries:
        """The entries of products with these texts, `most_entries` places each."""
        parts = []
        if self.config.knowledge.attributes:
            parts.append(attributes(self.words(tokens), tokens, keep, self.spec.key_tokens))
        if self.facts.about is not None:
            found, held = self.facts.of(tokens, keep, self.config.knowledge.entries, self.spec.vocabulary)
            keys, values = (self._mean_words(pieces[found]) for pieces in (self.facts.key, self.facts.value))
            parts.append(Entries(keys, values, held))
        together = Entries(
            torch.cat([part.keys for part in parts], dim=1),
            torch.cat([part.values for part in parts], dim=1),
            torch.cat([part.keep for part in parts], dim=1),
        )
        missing = self.most_entries - together.keep.shape[1]
        return Entries(
            nn.functional.pad(together.keys, (0, 0, 0, missing)),
            nn.functional.pad(together.values, (0, 0, 0, missing)),
            nn.functional.pad(together.keep, (0, missing)),
        )

    def _mean_words(self, pieces: Int[Tensor, "product fact piece"]) -> Float[Tensor, "product fact dim"]:
        return masked_mean(self.words(pieces.clamp(min=0)), pieces >= 0)


def attributes(
    words: Float[Tensor, "product token dim"],
    tokens: Int[Tensor, "product token"],
    keep: Bool[Tensor, "product token"],
    keys: Sequence[Sequence[int]],
) -> Entries:
    """The text `key value key value ...` cut before each key, `len(keys) + 1` entries a product.

    The first entry is what stands before the first key; it has no key. The last takes all keys beyond. An entry without a
    value word is none.
    """
    starts, is_key = (torch.zeros_like(keep) for _ in range(2))
    for key in sorted(keys, key=len, reverse=True):  # "sleeve length" before "length"
        length = tokens.shape[1] - len(key) + 1
        if length < 1 or not len(key):
            continue
        here = torch.stack(
            [(tokens[:, i : i + length] == piece) & keep[:, i : i + length] for i, piece in enumerate(key)]
        )
        here = here.all(0) & ~torch.stack([is_key[:, i : i + length] for i in range(len(key))]).any(0)
        starts[:, :length] |= here
        for i in range(len(key)):
            is_key[:, i : i + length] |= here
    entry = starts.cumsum(1).clamp(max=len(keys))
    member = (entry.unsqueeze(1) == torch.arange(len(keys) + 1, device=tokens.device).unsqueeze(1)) & keep.unsqueeze(1)
    of_key, of_value = member & is_key.unsqueeze(1), member & ~is_key.unsqueeze(1)

    def means(part: Tensor) -> Tensor:
        return part.to(words.dtype) @ words / part.sum(-1, keepdim=True).clamp(min=1)

    held = of_value.any(-1)
    return Entries(means(of_key) * held.unsqueeze(-1), means(of_value), held)
