"""Rankings that learn nothing from dialogues, to stand beneath every table: a method must beat them to show anything.

    random                  scores drawn uniformly; the mean over `DRAWS` drawings
    popularity              how often a product was a positive of the training examples
    tfidf last utterance    cosine of TF-IDF vectors: product text against the last turn before the recommendation
    tfidf context           the same against the texts of the whole context window, joined

The TF-IDF weights are scikit-learn's defaults (words of two letters or more, smoothed idf, no stop words) fitted on
the texts of the store's products alone: no dialogue and no split enters them. Popularity and TF-IDF give many
candidates one score; `standard` takes the expectation over such ties, `released` favours the positives in them.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from semantic.datasets.store.store import Store
from semantic.metrics.ranking import CUTOFFS, PROTOCOLS, Ranks, average, concatenate, count_ranks
from semantic.runtime.errors import DataError

DRAWS = 10
CONTEXT_TURNS = 5
QUERIES_AT_ONCE = 256  # bounds the padded score matrix: 256 queries of 1,005 candidates are 2 MB

Scorer = Callable[[int, np.ndarray], np.ndarray]
"""From a query's position among the queries and its candidates' product ids, float64 scores of the candidates."""


def floors(
    store: Store,
    queries: Sequence[int],
    training: Sequence[int],
    seed: int = 0,
    *,
    context_turns: int = CONTEXT_TURNS,
    ks: Sequence[int] = CUTOFFS,
) -> dict[str, dict[str, dict[str, float]]]:
    """Metrics of the four floors on the example rows `queries`: floor -> protocol -> metric -> fraction.

    `training` are the example rows popularity is counted over, and without any there is no such floor; `seed` fixes the random rankings.

    Raises:
        DataError: there are no queries, or no product of the store has a text.
    """
    if len(queries) == 0:
        raise DataError(f"{store.path}: expected at least one query to rank floors for, found none")
    generator = np.random.default_rng(seed)
    draws = [_metrics(_ranks(store, queries, _random(generator)), ks) for _ in range(DRAWS)]
    scorers = {
        **({"popularity": _popularity(store, training)} if len(training) else {}),
        "tfidf last utterance": _tfidf(store, queries, 1),
        "tfidf context": _tfidf(store, queries, context_turns),
    }
    return {
        "random": {
            protocol: {metric: sum(draw[protocol][metric] for draw in draws) / DRAWS for metric in values}
            for protocol, values in draws[0].items()
        }
    } | {name: _metrics(_ranks(store, queries, scorer), ks) for name, scorer in scorers.items()}


def _random(generator: np.random.Generator) -> Scorer:
    return lambda _, candidates: generator.random(len(candidates))


def _popularity(store: Store, training: Sequence[int]) -> Scorer:
    counts = np.zeros(store.num_products)
    for example in training:
        counts[store.positives(example)] += 1
    return lambda _, candidates: counts[candidates]


def _tfidf(store: Store, queries: Sequence[int], turns: int) -> Scorer:
    vectorizer = TfidfVectorizer()
    try:
        products = vectorizer.fit_transform(store.product_texts)
    except ValueError as error:  # scikit-learn's "empty vocabulary"
        raise DataError(
            f"{store.path}: expected products with texts to rank by TF-IDF, found no word in any"
        ) from error
    texts = vectorizer.transform([context_text(store, example, turns) for example in queries])
    # Rows are unit vectors, so the product of two is their cosine.
    return lambda position, candidates: (products[candidates] @ texts[position].T).toarray().ravel()


def context_text(store: Store, example: int, turns: int) -> str:
    """The texts of the last `turns` merged turns before the recommendation, oldest first, joined by spaces."""
    dialogue, target = (int(value) for value in store.example_turns[example])
    first = max(int(store.dialogue_first_turn[dialogue]), target - turns)
    return " ".join(store.turn_texts[first:target])


def _metrics(ranks: Ranks, ks: Sequence[int]) -> dict[str, dict[str, float]]:
    return {name: average(protocol(ranks, ks)) for name, protocol in PROTOCOLS.items()}


def _ranks(store: Store, queries: Sequence[int], score: Scorer) -> Ranks:
    return concatenate(list(_ranks_of_chunks(store, queries, score)))


def _ranks_of_chunks(store: Store, queries: Sequence[int], score: Scorer) -> Iterator[Ranks]:
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        chunk = queries[start : start + QUERIES_AT_ONCE]
        positives = [store.positives(example) for example in chunk]
        negatives = [store.negatives(example) for example in chunk]
        widths = [len(p) + len(n) for p, n in zip(positives, negatives, strict=True)]
        scores = np.zeros((len(chunk), max(widths)))
        positive = np.zeros(scores.shape, dtype=bool)
        for row, width in enumerate(widths):
            scores[row, :width] = score(start + row, np.concatenate([positives[row], negatives[row]]))
            positive[row, : len(positives[row])] = True
        keep = np.arange(max(widths)) < np.array(widths)[:, None]
        yield count_ranks(torch.from_numpy(scores), torch.from_numpy(positive), torch.from_numpy(keep))
