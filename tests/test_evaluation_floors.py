"""The four floors on a catalogue small enough to rank by hand."""

import math
import shutil
from contextlib import contextmanager

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from semantic.datasets.store.store import Store
from semantic.evaluation import floors as module
from semantic.evaluation.floors import context_text, floors
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Progress
from tests.worlds import Listener

RED_DRESS, BLUE_DRESS, GREEN_BOOT, BLUE_BOOT, NOTHING = range(5)


TEXTS = ("red silk dress", "blue silk dress", "green leather boot", "blue leather boot", "")


class FakeStore(Store):
    """What `floors` reads of a store. An example: its dialogue (the last turn recommends), positives, negatives."""

    def __init__(self, examples, product_texts=TEXTS):
        turns = [len(texts) for texts, _, _ in examples]
        self.manifest = {"identity": repr((examples, product_texts))}
        self.examples = examples
        self.product_texts = list(product_texts)
        self.has_photo = np.ones(len(product_texts), dtype=bool)
        self.turn_texts = [text for texts, _, _ in examples for text in texts]
        self.dialogue_first_turn = np.cumsum([0, *turns])[:-1]
        self.example_turns = np.stack([np.arange(len(turns)), np.cumsum(turns) - 1], axis=1)

    def positives(self, example):
        return np.array(self.examples[example][1])

    def negatives(self, example):
        return np.array(self.examples[example][2])


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """Where floors are kept: none from another test."""
    monkeypatch.setattr(FakeStore, "path", tmp_path / "fake", raising=False)


def computed(store, *arguments, **options):
    """Floors that are not read from where they were kept."""
    shutil.rmtree(store.path, ignore_errors=True)
    return floors(store, *arguments, **options)


def ndcg(result, floor, protocol="standard", k=5):
    return result[floor][protocol][f"ndcg@{k}"]


def test_tfidf_reads_the_last_utterance_or_the_whole_window_and_never_the_target():
    store = FakeStore(
        [
            (
                ["a red dress please", "this one?", "no, a blue boot", "blue boot it is: red dress"],
                [RED_DRESS],
                [BLUE_BOOT, GREEN_BOOT],
            )
        ]
    )
    result = floors(store, [0], [], ks=[1, 5])

    # "blue boot": blue boot first, green boot second, red dress third.
    assert ndcg(result, "tfidf last utterance") == pytest.approx(1 / math.log2(3 + 1))
    # The window adds "red" (idf higher than blue's) and "dress": the red dress leads.
    assert ndcg(result, "tfidf context", k=1) == pytest.approx(1.0)


def test_the_window_is_cut_at_the_dialogue_and_at_its_length():
    store = FakeStore([(["other dialogue", "x"], [0], [1]), (["one", "two", "three", "four", "target"], [0], [1])])

    assert context_text(store, 1, 1) == "four"
    assert context_text(store, 1, 3) == "two three four"
    assert context_text(store, 1, 5) == "one two three four"


def test_popularity_counts_the_training_positives_only():
    store = FakeStore(
        [
            (["a", "b"], [BLUE_BOOT], [GREEN_BOOT]),
            (["a", "b"], [BLUE_BOOT], [RED_DRESS]),
            (["a", "b"], [RED_DRESS], [BLUE_BOOT, GREEN_BOOT]),
            (["a", "b"], [GREEN_BOOT], [BLUE_DRESS]),
        ]
    )

    assert ndcg(floors(store, [2], [0, 1]), "popularity") == pytest.approx(
        (1 / math.log2(3) + 1 / math.log2(4)) / 2  # behind the blue boot, tied with the green one
    )
    assert ndcg(floors(store, [2], [0, 1, 3]), "popularity") == pytest.approx(1 / math.log2(4))


def test_random_approaches_its_expectation_in_both_protocols():
    many = 300
    store = FakeStore([(["a", "b"], [0], [1, 2, 3])] * many)

    result = floors(store, range(many), [], seed=3, ks=[1])

    # One positive among four, at each rank equally often; one positive makes the protocols agree.
    deviation = math.sqrt(1 / 4 * 3 / 4 / (many * module.DRAWS))
    assert ndcg(result, "random", k=1) == pytest.approx(1 / 4, abs=4 * deviation)
    assert result["random"]["released"] == pytest.approx(result["random"]["standard"])


def test_the_seed_fixes_the_random_ranking_and_nothing_else():
    store = FakeStore([(["red", "b"], [0], [1, 2, 3])] * 7)
    first, again, other = (computed(store, range(7), [0], seed) for seed in (0, 0, 1))

    assert first == again
    assert first["random"] != other["random"]
    assert first["tfidf context"] == other["tfidf context"]


def test_chunks_of_queries_change_nothing(monkeypatch):
    words = ["red dress", "blue boot", "green", "leather", "silk", "blue dress", "boot"]
    store = FakeStore([([word, "b"], [i % 4], [(i + 1) % 4, (i + 2) % 4][: 1 + i % 2]) for i, word in enumerate(words)])
    whole = computed(store, range(7), [0, 3])
    monkeypatch.setattr(module, "QUERIES_AT_ONCE", 2)
    assert computed(store, range(7), [0, 3]) == whole


def test_the_weights_are_fitted_once_and_a_bar_counts_the_queries(monkeypatch):
    fitted, moved = [], []

    class Bars(Progress):
        @contextmanager
        def bar(self, what, total):
            yield lambda done, of: moved.append((what, done, of, total))

    class Vectorizer(TfidfVectorizer):
        def fit_transform(self, texts):
            fitted.append(len(texts))
            return super().fit_transform(texts)

    monkeypatch.setattr("sklearn.feature_extraction.text.TfidfVectorizer", Vectorizer)
    monkeypatch.setattr(module, "QUERIES_AT_ONCE", 5)
    floors(FakeStore([(["red", "b"], [0], [1, 2, 3])] * 7), range(7), [0], progress=Bars())

    assert fitted == [len(TEXTS)]
    total = 7 * (module.DRAWS + 3)
    assert moved == [("floors", done, total, total) for at in range(0, total, 7) for done in (at + 5, at + 7)]


def test_a_catalogue_without_words_has_no_floor_by_words_and_says_so():
    said = Listener()

    found = floors(FakeStore([(["a", "b"], [0], [1])], product_texts=["", "a ?"]), [0], [0], progress=said)

    assert list(found) == ["random", "popularity"]
    assert len(said.said) == 1
    assert said.said[0].endswith(
        "fake: expected a word in the products' texts, found none; there is no floor by TF-IDF"
    )


def test_an_empty_split_is_refused():
    with pytest.raises(DataError, match=r"fake: expected at least one query to rank floors for, found none"):
        floors(FakeStore([(["a", "b"], [0], [1])]), [], [])
