"""Word pieces: a checkpoint's own tokenizer, or a WordPiece vocabulary trained on the data's text."""

from collections.abc import Iterable, Sequence

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

PAD = "[PAD]"


def train_wordpiece(texts: Iterable[str], size: int) -> Tokenizer:
    """A lower-cased WordPiece vocabulary of at most `size` pieces, in BERT's manner, trained on `texts`."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=[PAD, "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


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
