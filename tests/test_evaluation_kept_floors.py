"""Floors are computed once for all they depend on; what was kept is read bit for bit, or not at all."""

import json
import shutil

import pytest

from semantic.datasets.store.store import Store, open_store
from semantic.evaluation import floors as module
from semantic.evaluation.floors import floors
from tests.worlds import Listener, changed_copy

NAMES = ["random", "popularity", "tfidf last utterance", "tfidf context"]


@pytest.fixture
def store(shop: Store, tmp_path) -> Store:
    return open_store(changed_copy(shop.path, tmp_path / "store"))


def of(store: Store, **changes):
    arguments = {"queries": store.split("test").examples, "training": store.split("train").examples, "seed": 3}
    return floors(store, **arguments | changes)


def files(store: Store) -> list[str]:
    return sorted(file.name for file in (store.path / "floors").iterdir())


@pytest.fixture
def ranked(monkeypatch) -> list[int]:
    """The numbers of queries that were ranked, a number a drawing."""
    counted, original = [], module._ranks

    def counting(store, queries, score, advance):
        counted.append(len(queries))
        return original(store, queries, score, advance)

    monkeypatch.setattr(module, "_ranks", counting)
    return counted


def test_what_is_kept_is_what_was_computed_to_the_bit(store, ranked):
    first = of(store)
    assert len(ranked) == module.DRAWS + 3
    assert list(first) == NAMES

    again = of(open_store(store.path))

    assert len(ranked) == module.DRAWS + 3
    assert json.dumps(again) == json.dumps(first)  # the order of names too
    assert all(value.hex() == again[f][p][m].hex() for f in first for p in first[f] for m, value in first[f][p].items())


@pytest.mark.parametrize(
    ("change", "drawings"),
    [
        ({"seed": 4}, {"random"}),
        ({"training": range(3)}, {"popularity"}),
        ({"context_turns": 3}, {"tfidf context"}),
        ({"ks": (5, 10)}, set(NAMES)),
        ({"queries": range(5)}, set(NAMES)),
        ({"training": []}, set()),
    ],
)
def test_what_depends_on_a_change_is_computed_anew_and_nothing_else(store, ranked, change, drawings):
    of(store)
    ranked.clear()

    found = of(store, **change)

    assert len(ranked) == sum(module.DRAWS if name == "random" else 1 for name in drawings)
    shutil.rmtree(store.path / "floors")
    assert of(store, **change) == found


def test_the_order_of_training_examples_does_not_matter_and_that_of_queries_does(store, ranked):
    of(store)
    ranked.clear()

    of(store, training=[*store.split("train").examples][::-1])
    assert not ranked
    of(store, queries=[*store.split("test").examples][::-1])  # the random scores are drawn in their order
    assert len(ranked) == module.DRAWS + 3


def test_a_store_of_other_content_shares_nothing(store, ranked, monkeypatch):
    before = of(store)
    ranked.clear()

    monkeypatch.setattr(store, "manifest", {**store.manifest, "identity": "of another"})
    assert of(store) == before
    assert len(ranked) == module.DRAWS + 3


def test_a_new_version_of_the_code_computes_anew(store, ranked, monkeypatch):
    of(store)
    ranked.clear()
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)

    of(store)

    assert len(ranked) == module.DRAWS + 3


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda text: text[: len(text) // 2], "a file that does not read"),
        (lambda text: text[:0], "a file that does not read"),
        (lambda text: b"\xff" + text[1:], "a file that does not read"),
        (lambda text: b"[" * 1000 * len(text), "a file that does not read"),
        (lambda text: text[:0] + b"[]", "a file that does not read"),
        (lambda text: text.replace(b"0.", b"0.0", 1), "a file that was changed"),
        (lambda text: text.replace(b'"turns": 5', b'"turns": 4'), "a file that was changed"),
    ],
)
def test_a_damaged_file_is_computed_again_and_replaced(store, ranked, damage, found):
    before = of(store)
    (file,) = (store.path / "floors").glob("tfidf-context-*.json")
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    ranked.clear()
    said = Listener()

    assert of(store, progress=said) == before

    assert said.said == [f"{file}: expected a floor that was kept, found {found}; it is computed again"]
    assert len(ranked) == 1
    assert file.read_bytes() == whole


def test_a_kept_file_under_another_name_is_not_taken_for_it(store, ranked):
    before = of(store)
    (last,), (context,) = ((store.path / "floors").glob(f"tfidf-{name}-*.json") for name in ("last", "context"))
    shutil.copy(last, context)
    ranked.clear()

    assert of(store) == before
    assert len(ranked) == 1


def test_where_nothing_can_be_kept_it_is_said_once(store, ranked):
    (store.path / "floors").write_text("a file in the way")
    said = Listener()

    first, again = of(store, progress=said), of(store)

    assert first == again
    assert len(ranked) == 2 * (module.DRAWS + 3)
    assert len(said.said) == 1
    assert said.said[0].startswith(f"{store.path / 'floors'}: expected to keep floors there, got: ")
    assert said.said[0].endswith("; every run computes them again")
    assert (store.path / "floors").read_text() == "a file in the way"


def test_nothing_unfinished_is_left_beside_the_files(store):
    of(store)

    assert [name.rsplit("-", 1)[0] for name in files(store)] == sorted(name.replace(" ", "-") for name in NAMES)
