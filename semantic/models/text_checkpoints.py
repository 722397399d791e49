"""Text checkpoints of the BERT family: read from a folder or the hub, and taken over by a model."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn

from semantic.encoders.text import ContextualWords
from semantic.encoders.words import WordTables
from semantic.models.hub import check_place
from semantic.runtime.errors import UserError

UNKNOWN = ("[UNK]", "<unk>")
"""What tokenizers of the BERT family call a word that they do not know."""


class CheckpointError(UserError):
    """A text checkpoint that cannot be had or does not fit. The message says where, what was expected and what was found."""


def load_tokenizer(checkpoint: str, vocabulary: int, texts: Sequence[str]) -> Tokenizer:
    """The checkpoint's tokenizer, neither truncating nor padding, for a word table of `vocabulary` pieces.

    Raises:
        CheckpointError: it cannot be had, has pieces beyond the table, or knows less than half of the words of `texts`, as
            one that was made without its files does.
    """
    from transformers import AutoTokenizer

    with _reading(checkpoint):
        tokenizer = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=False).backend_tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    largest = max(tokenizer.get_vocab().values(), default=0)
    if largest >= vocabulary:
        raise CheckpointError(
            f"text checkpoint {checkpoint}: expected a tokenizer of the encoder's {vocabulary} word pieces, found piece {largest}"
        )
    unknown = {tokenizer.token_to_id(name) for name in UNKNOWN} - {None}
    pieces = [piece for text in tokenizer.encode_batch(list(texts), add_special_tokens=False) for piece in text.ids]
    known = sum(piece not in unknown for piece in pieces)
    if 2 * known <= len(pieces):
        raise CheckpointError(
            f"text checkpoint {checkpoint}: expected a tokenizer that knows the data's words, found {known} of {len(pieces)} "
            "word pieces known; are tokenizer.json and vocab.txt missing?"
        )
    return tokenizer


def load_encoder(checkpoint: str) -> Any:
    """The encoder of a checkpoint, a hub name or a folder.

    Raises:
        CheckpointError: it cannot be had, is not of the BERT family, or lacks some of its weights.
    """
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # its bar would break into this program's own
    logging.set_verbosity_error()  # and so would its report, of which the fault is told below
    with _reading(checkpoint):
        encoder, report = AutoModel.from_pretrained(checkpoint, trust_remote_code=False, output_loading_info=True)
    absent = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
    if absent:
        raise CheckpointError(
            f"text checkpoint {checkpoint}: expected all weights of its encoder, found {len(absent)} missing "
            f"(first {absent[0]})"
        )
    table = getattr(getattr(encoder, "embeddings", None), "position_embeddings", None)
    if not isinstance(table, nn.Embedding) or not hasattr(encoder.config, "max_position_embeddings"):
        raise CheckpointError(
            f"text checkpoint {checkpoint}: expected a BERT-family encoder, with word and position tables, "
            f"found a {type(encoder).__name__}"
        )
    return encoder


def load_clip(checkpoint: str) -> Any:
    """The CLIP model of a checkpoint, a hub name or a folder; CheckpointError as `load_encoder`."""
    from transformers import CLIPModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    with _reading(checkpoint, "CLIP"):
        model, report = CLIPModel.from_pretrained(checkpoint, trust_remote_code=False, output_loading_info=True)
    absent = sorted(report["missing_keys"])
    if absent:
        raise CheckpointError(
            f"text checkpoint {checkpoint}: expected all weights of a CLIP model, found {len(absent)} missing "
            f"(first {absent[0]})"
        )
    model.get_input_embeddings = model.text_model.get_input_embeddings  # transformers gives the whole none of its own
    return model


@contextmanager
def _reading(checkpoint: str, family: str = "BERT-family") -> Iterator[None]:
    """A block in which transformers reads a checkpoint; whatever it raises is a fault of that."""
    check_place(checkpoint, "text checkpoint", CheckpointError)
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        first = [*str(error).strip().splitlines(), type(error).__name__][0]
        if "custom code" in str(error) or "trust_remote_code" in str(error):
            first = "one with code of its own (auto_map in its config.json), which is never run"
        kind = "folder" if Path(checkpoint).is_dir() else "hub name or folder"
        raise CheckpointError(
            f"text checkpoint {checkpoint}: expected a {kind} with a {family} checkpoint, got: {first}"
        ) from error


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
