"""Tokenizers: a WordPiece vocabulary trained on the data's texts, and texts as rows of token ids."""

import string
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

PAD = "[PAD]"
UNKNOWN = "[UNK]"
SPECIAL = (PAD, UNKNOWN, "[CLS]", "[SEP]", "[MASK]")


def train_wordpiece(texts: Iterable[str], size: int) -> Tokenizer:
    """A lower-casing WordPiece tokenizer in BERT's manner, trained on `texts`; the same texts give the same ids.

    It has at most `size` tokens, unless the letters alone are more.
    """
    texts = list(texts)
    # The trainer numbers the letters inside words in the order of a randomly seeded hash map, and breaks ties between
    # merges by these numbers. Letters passed as special tokens have a fixed order.
    normalise = normalizers.BertNormalizer(lowercase=True).normalize_str
    letters = sorted({letter for text in texts for letter in normalise(text) if _inside_words(letter)})
    trained = _bert_tokenizer(None)
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=[*SPECIAL, *(f"##{letter}" for letter in letters)], show_progress=False
    )
    trained.train_from_iterator(texts, trainer)
    tokenizer = _bert_tokenizer(trained.get_vocab())
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


def _bert_tokenizer(vocabulary: dict[str, int] | None) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _inside_words(letter: str) -> bool:
    """Whether a letter can be inside a word: BERT splits words at spaces and punctuation."""
    return not (letter.isspace() or letter in string.punctuation or unicodedata.category(letter).startswith("P"))


def pad_id(tokenizer: Tokenizer) -> int:
    """The id of the padding token, [PAD] or <pad>, else 0."""
    for name in (PAD, "<pad>"):
        found = tokenizer.token_to_id(name)
        if found is not None:
            return found
    return 0


def tokenise(tokenizer: Tokenizer, texts: Sequence[str], length: int) -> np.ndarray:
    """The first `length` token ids of each text, int32 [text, length], without special tokens; -1 is padding."""
    rows = np.full((len(texts), length), -1, dtype=np.int32)
    for start in range(0, len(texts), 8192):
        block = list(texts[start : start + 8192])
        for offset, encoding in enumerate(tokenizer.encode_batch(block, add_special_tokens=False)):
            ids = encoding.ids[:length]
            rows[start + offset, : len(ids)] = ids
    return rows
