"""Text checkpoints of the BERT family: read from a folder or the hub, and taken over by a model."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn

from semantic.encoders.text import ContextualWords
from semantic.encoders.words import WordTables
from semantic.runtime.errors import UserError


class CheckpointError(UserError):
    """A text checkpoint that cannot be had or does not fit. The message says where, what was expected and what was found."""


def load_tokenizer(checkpoint: str) -> Tokenizer:
    """The checkpoint's tokenizer, neither truncating nor padding."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint).backend_tokenizer
    except (OSError, ValueError) as error:
        raise _unreadable(checkpoint, error) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def load_encoder(checkpoint: str) -> Any:
    """The encoder of a checkpoint, a hub name or a folder."""
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # its bar would break into this program's own
    try:
        return AutoModel.from_pretrained(checkpoint)
    except (OSError, ValueError) as error:
        raise _unreadable(checkpoint, error) from None


def _unreadable(checkpoint: str, error: Exception) -> CheckpointError:
    kind = "folder" if Path(checkpoint).is_dir() else "hub name or folder"
    first = str(error).strip().splitlines()[0]
    return CheckpointError(
        f"text checkpoint {checkpoint}: expected a {kind} with a BERT-family checkpoint, got: {first}"
    )


def load_tables(words: WordTables, encoder: Any, dim: int) -> None:
    """Copy an encoder's word and position tables.

    Raises:
        CheckpointError: the encoder is not `dim` wide.
    """
    _check_width(encoder, dim)
    with torch.no_grad():
        words.words.weight.copy_(encoder.get_input_embeddings().weight)
        words.positions.weight.copy_(encoder.embeddings.position_embeddings.weight)


def load_contextual(words: ContextualWords, encoder: Any, dim: int) -> None:
    """Copy a whole encoder; CheckpointError as `load_tables`."""
    _check_width(encoder, dim)
    words.encoder.load_state_dict(encoder.state_dict())


def to_unit_deviation(table: nn.Embedding) -> None:
    """Scale a word table to deviation 1 over all its numbers."""
    with torch.no_grad():
        table.weight.div_(table.weight.std())


def _check_width(encoder: Any, dim: int) -> None:
    width = encoder.get_input_embeddings().embedding_dim
    if width != dim:
        name = encoder.config.name_or_path or "given"
        raise CheckpointError(
            f"text checkpoint {name}: expected width {dim} (model.dim), got {width}; set model.dim={width}"
        )
