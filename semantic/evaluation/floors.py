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
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from semantic.datasets.store.store import Store
from semantic.evaluation.kept_floors import KeptFloors, Metrics, rows_digest
from semantic.metrics.ranking import CUTOFFS, PROTOCOLS, Ranks, average, concatenate, count_ranks
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Progress

VERSION = 1
"""Of the numbers: one more whenever a change of the code, here or in the metrics, changes any."""

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
    progress: Progress | None = None,
) -> dict[str, Metrics]:
    """Metrics of the four floors on the example rows `queries`: floor -> protocol -> metric -> fraction.

    `training` are the example rows popularity is counted over, and without any there is no such floor, as there is none by
    TF-IDF where no product's text has a word; `seed` fixes the random rankings. Each floor is computed once for all it
    depends on, and kept beside the store.

    Raises:
        DataError: there are no queries.
    """
    if len(queries) == 0:
        raise DataError(f"{store.path}: expected at least one query to rank floors for, found none")
    progress = progress or Progress()
    kept, tfidf = KeptFloors(store, progress), _Tfidf(store, queries, progress)
    generator = np.random.default_rng(seed)
    facts = {"version": VERSION, "queries": rows_digest(np.asarray(queries)), "ks": list(ks)}
    words = facts | {"scikit-learn": version("scikit-learn")}
    known: dict[str, dict[str, Any]] = {
        "random": facts | {"seed": seed, "draws": DRAWS, "numpy": np.__version__},
        "popularity": facts | {"training": rows_digest(np.sort(training))},
        "tfidf last utterance": words | {"turns": 1},
        "tfidf context": words | {"turns": context_turns},
    }
    scorers: dict[str, Callable[[], Scorer | None]] = {
        "random": lambda: _random(generator),
        "popularity": lambda: _popularity(store, training),
        "tfidf last utterance": lambda: tfidf.scorer(1),
        "tfidf context": lambda: tfidf.scorer(context_turns),
    }
    if not len(training):
        del known["popularity"]
    found = {name: kept.read(name, of) for name, of in known.items()}
    draws = {name: DRAWS if name == "random" else 1 for name, metrics in found.items() if metrics is None}
    if draws:
        done, total = 0, len(queries) * sum(draws.values())
        with progress.bar("floors", total) as advance:

            def ranked(count: int) -> None:
                nonlocal done
                done += count
                advance(done, total)

            for name, times in draws.items():
                score = scorers[name]()
                if score is None:
                    ranked(times * len(queries))
                    continue
                metrics = _mean([_metrics(_ranks(store, queries, score, ranked), ks) for _ in range(times)])
                kept.write(name, known[name], metrics)
                found[name] = metrics
    return {name: metrics for name, metrics in found.items() if metrics is not None}


def _mean(draws: list[Metrics]) -> Metrics:
    return {
        protocol: {metric: sum(draw[protocol][metric] for draw in draws) / len(draws) for metric in values}
        for protocol, values in draws[0].items()
    }


def _random(generator: np.random.Generator) -> Scorer:
    return lambda _, candidates: generator.random(len(candidates))


def _popularity(store: Store, training: Sequence[int]) -> Scorer:
    counts = np.zeros(store.num_products)
    for example in training:
        counts[store.positives(example)] += 1
    return lambda _, candidates: counts[candidates]


class _Tfidf:
    """Scores by TF-IDF; the products' vectors are computed when they are first asked for, and once."""

    def __init__(self, store: Store, queries: Sequence[int], progress: Progress) -> None:
        self.store = store
        self.queries = queries
        self.progress = progress

    @cached_property
    def products(self) -> tuple[Any, Any] | None:
        """The fitted TfidfVectorizer, and a sparse unit vector a product; None where no text has a word."""
        from sklearn.feature_extraction.text import TfidfVectorizer  # a second to import, and kept floors need none

        vectorizer = TfidfVectorizer()
        try:
            return vectorizer, vectorizer.fit_transform(self.store.product_texts)
        except ValueError:  # scikit-learn's "empty vocabulary"
            self.progress.say(
                f"{self.store.path}: expected a word in the products' texts, found none; there is no floor by TF-IDF"
            )
            return None

    def scorer(self, turns: int) -> Scorer | None:
        """Against the texts of the last `turns` turns of each query."""
        if self.products is None:
            return None
        vectorizer, products = self.products
        texts = vectorizer.transform([context_text(self.store, example, turns) for example in self.queries])
        # Rows are unit vectors, so the product of two is their cosine.
        return lambda position, candidates: (products[candidates] @ texts[position].T).toarray().ravel()


def context_text(store: Store, example: int, turns: int) -> str:
    """The texts of the last `turns` merged turns before the recommendation, oldest first, joined by spaces."""
    dialogue, target = (int(value) for value in store.example_turns[example])
    first = max(int(store.dialogue_first_turn[dialogue]), target - turns)
    return " ".join(store.turn_texts[first:target])


def _metrics(ranks: Ranks, ks: Sequence[int]) -> Metrics:
    return {name: average(protocol(ranks, ks)) for name, protocol in PROTOCOLS.items()}


def _ranks(store: Store, queries: Sequence[int], score: Scorer, ranked: Callable[[int], None]) -> Ranks:
    return concatenate(list(_ranks_of_chunks(store, queries, score, ranked)))


def _ranks_of_chunks(
    store: Store, queries: Sequence[int], score: Scorer, ranked: Callable[[int], None]
) -> Iterator[Ranks]:
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
        ranked(len(chunk))
