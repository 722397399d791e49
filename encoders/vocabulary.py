"""Word pieces: a checkpoint's own tokenizer, or a WordPiece vocabulary trained on the data's text."""

import string
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

PAD = "[PAD]"
UNKNOWN = "[UNK]"
SPECIAL = (PAD, UNKNOWN, "[CLS]", "[SEP]", "[MASK]")


def train_wordpiece(texts: Iterable[str], size: int) -> Tokenizer:
    """A lower-cased WordPiece vocabulary in BERT's manner, trained on `texts`: the same texts give the same ids.

    It has at most `size` pieces, unless the letters alone are more.
    """
    texts = list(texts)
    # The trainer numbers the letters inside words in the order of a randomly seeded hash map, and ties between merges go
    # by number. Naming these letters beforehand fixes both; special is what the trainer calls a piece so named.
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
    """Whether it may stand inside a word: BERT's words end at spaces and punctuation."""
    return not (letter.isspace() or letter in string.punctuation or unicodedata.category(letter).startswith("P"))


def pad_id(tokenizer: Tokenizer) -> int:
    """The id that fills short rows: the tokenizer's [PAD] or <pad>, else 0."""
    for name in (PAD, "<pad>"):
        found = tokenizer.token_to_id(name)
        if found is not None:
            return found
    return 0


def tokenise(tokenizer: Tokenizer, texts: Sequence[str], length: int) -> np.ndarray:
    """int32 [text, length]: the first `length` pieces of each text without special tokens, -1 beyond its end."""
    rows = np.full((len(texts), length), -1, dtype=np.int32)
    for start in range(0, len(texts), 8192):
        block = list(texts[start : start + 8192])
        for offset, encoding in enumerate(tokenizer.encode_batch(block, add_special_tokens=False)):
            ids = encoding.ids[:length]
            rows[start + offset, : len(ids)] = ids
    return rows
