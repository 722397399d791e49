"""Word tables without positions, from checkpoints and from files of word vectors."""

import math
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, model_validator
from tokenizers import Tokenizer
from torch import nn

from semantic.batching.inputs import InputSpec
from semantic.config.schema import TextSource, Width
from semantic.models.text_checkpoints import CheckpointError
from semantic.runtime.errors import UserError
from semantic.runtime.reading import ReadingError, check_readable

DIM = 300
"""Numbers of a word vector, as of GloVe's, where neither the configuration nor a checkpoint says."""


class WordSource(TextSource):
    """Where word vectors come from: a checkpoint's table, a file of vectors, or from scratch. They are trained with the rest."""

    dim: Width | None = Field(
        None, description="of a word vector, and so in a file of vectors; null: the checkpoint's, 300 without one"
    )
    vectors: str | None = Field(
        None,
        description="file of word vectors in GloVe's text format (`word number number ...` a line), for the pieces that are words in it",
    )

    @model_validator(mode="after")
    def _one_source(self) -> "WordSource":
        if self.checkpoint is not None and self.vectors is not None:
            raise ValueError("expected model.text.checkpoint or vectors, got both")
        return self


def word_table(source: WordSource, spec: InputSpec) -> nn.Embedding:
    """The table of a vocabulary's word vectors, as wide as the configuration, the checkpoint or else `DIM` says."""
    return nn.Embedding(spec.vocabulary, source.dim or spec.word_dim or DIM, padding_idx=spec.pad)


class WordVectorsError(UserError):
    """A file of word vectors that cannot be read or does not fit. The message says where, what was expected and what was found."""


def load_words(table: nn.Embedding, source: WordSource, encoder: Any, tokenizer: Tokenizer | None) -> None:
    """Fill a word table from the source that a configuration names, of which `encoder` is the checkpoint's; else leave it as it is.

    Raises:
        CheckpointError, WordVectorsError: as `load_checkpoint_words` and `load_vectors`.
    """
    if encoder is not None:
        load_checkpoint_words(table, encoder)
    elif source.vectors is not None:
        assert tokenizer is not None
        load_vectors(table, source.vectors, tokenizer)


def load_checkpoint_words(table: nn.Embedding, encoder: Any) -> None:
    """Copy the word table of a checkpoint's encoder.

    Raises:
        CheckpointError: it is not as wide as `table`.
    """
    words = encoder.get_input_embeddings().weight
    if words.shape != table.weight.shape:
        raise CheckpointError(
            f"text checkpoint {encoder.config.name_or_path or 'given'}: expected width {table.embedding_dim} "
            f"(model.text.dim), got {words.shape[1]}; set model.text.dim=null"
        )
    with torch.no_grad():
        table.weight.copy_(words)


def load_vectors(table: nn.Embedding, file: str, tokenizer: Tokenizer) -> int:
    """Take over the vectors of the words that the tokenizer has as one piece; how many they are.

    The file is GloVe's text format: a line a word, the word and its numbers apart by single spaces.

    Raises:
        WordVectorsError: no such file, a line of another form or width, or no word that the tokenizer has.
    """
    try:
        check_readable(Path(file))
    except ReadingError as error:
        raise WordVectorsError(f"model.text.vectors {file}: expected a file of word vectors, found {error}") from None
    places, width, found = tokenizer.get_vocab(), table.embedding_dim, 0
    with open(file, encoding="utf-8", errors="replace") as lines, torch.no_grad():
        for number, line in enumerate(lines, 1):
            word, *numbers = line.rstrip("\n").rsplit(" ", width)
            if len(numbers) != width or (number == 1 and " " in word):  # some words of large files have spaces
                raise WordVectorsError(
                    f"model.text.vectors {file}, line {number}: expected a word and {width} numbers (model.text.dim), "
                    f"found {len(line.split(' ')) - 1} after {line.split(' ')[0][:20]!r}"
                )
            if word not in places:
                continue
            try:
                vector = torch.tensor([float(value) for value in numbers])
                if not vector.isfinite().all():
                    raise ValueError(next(value for value in numbers if not math.isfinite(float(value))))
            except ValueError as error:
                raise WordVectorsError(
                    f"model.text.vectors {file}, line {number}: expected numbers after {word[:20]!r}, found {error}"
                ) from None
            table.weight[places[word]] = vector
            found += 1
    if not found:
        raise WordVectorsError(f"model.text.vectors {file}: expected words of the data's vocabulary, found none")
    return found
