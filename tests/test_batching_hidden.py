"""What `data.hidden` hides no model is shown: other photos or texts in its place change no weight and no score."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from semantic.bench.speeds import features
from semantic.bench.subject import QUICK, build_subject, frozen
from semantic.config.loading import make_config
from semantic.datasets.reading.records import Turn
from semantic.datasets.store.store import Store, open_store
from semantic.evaluation.ranking import evaluate
from semantic.evaluation.run_evaluation import evaluate_run
from semantic.models.building import build_model
from semantic.models.interface import Model
from semantic.runs.folder import RunError, RunFolder
from semantic.runtime.digests import with_seal
from semantic.runtime.progress import Progress
from semantic.serving.recommend import recommend
from semantic.training.loop import train
from tests.worlds import SMALL_DATA, TWO_TOWER, changed_copy, same_weights, tiny_values, with_turn_texts

EACH = ("photos", "product_text", "dialogue_text")
MODELS: dict[str, Any] = {
    "semantic": None,
    "semantic_small_data": {**SMALL_DATA, "text": {"vocabulary": 300, "completion": True, "completion_epochs": 2}},
}


def values(store: Path, features: Path, model: str, *hidden: str) -> dict[str, Any]:
    """One epoch on a store with labelled and unlabelled examples."""
    made = tiny_values(store, model=MODELS[model])
    made["model"]["image"] = {"features": str(features)}
    made["data"] |= {"hidden": list(hidden), "labelled_share": 0.5}
    made["training"]["epochs"] = 1
    return made


def changed(shop: Store, shop_features: Path, what: str, folder: Path) -> tuple[Path, Path]:
    """A store, and image features for it, of which one kind of content is another's: products' in reverse order."""
    file = folder / "features.npy"
    if what == "photos":
        np.save(file, np.load(shop_features)[::-1])
        photos, has_photo = np.array(shop.photos)[::-1], np.array(shop.has_photo)[::-1]
        return changed_copy(shop.path, folder / "store", photos=photos, has_photo=has_photo), file
    shutil.copy(shop_features, file)
    store = changed_copy(shop.path, folder / "store")
    if what == "dialogue_text":
        return with_turn_texts(store, shop.turn_texts[::-1]), file
    table = pq.read_table(store / "products.parquet")
    texts = pa.array(shop.product_texts[::-1])
    pq.write_table(table.set_column(table.column_names.index("text"), "text", texts), store / "products.parquet")
    return changed_copy(store, folder / "resealed"), file


@pytest.fixture(scope="module")
def others(shop, shop_features, tmp_path_factory) -> dict[str, tuple[Path, Path]]:
    return {what: changed(shop, shop_features, what, tmp_path_factory.mktemp(what)) for what in EACH}


def scores(folder: RunFolder) -> list[Any]:
    table = pq.read_table(folder.queries)
    return [table[name].to_pylist() for name in ("positive_scores", "top_scores", "top_products")]


def said(store: Store) -> tuple[Turn, ...]:
    return (Turn("user", "", store.turn_texts[0], ()), Turn("system", "", "", tuple(store.product_names[5:9])))


@pytest.mark.parametrize("what", EACH)
@pytest.mark.parametrize("model", MODELS)
def test_a_run_learns_ranks_and_recommends_alike_whatever_is_hidden(shop, shop_features, others, model, what, tmp_path):
    other, its_features = others[what]
    first = train(make_config(values(shop.path, shop_features, model, what)), runs=tmp_path / "first")
    second = train(make_config(values(other, its_features, model, what)), runs=tmp_path / "second")

    assert same_weights(first, second)
    assert np.isfinite(np.concatenate(scores(first)[0])).all()
    assert scores(first) == scores(second)
    saved = Model.from_pretrained(first.model)
    assert saved.spec.hidden == (what,)
    store = open_store(other)
    once, again = (evaluate(saved, one, detail=True).table for one in (shop, store))
    assert once["top_scores"] == again["top_scores"]
    mine, theirs = (recommend(saved, one, said(one)) for one in (shop, store))
    assert [(one.product, one.score) for one in mine.products] == [(one.product, one.score) for one in theirs.products]
    assert not any(one.score != one.score for one in mine.products)


@pytest.mark.parametrize("what", EACH)
@pytest.mark.parametrize("model", MODELS)
def test_what_is_shown_changes_the_scores(shop, shop_features, others, model, what):
    """So the test above would fail if nothing were hidden."""
    store, its_features = others[what]
    found = []
    for one, file in ((shop, shop_features), (open_store(store), its_features)):
        made = build_model(make_config(values(shop.path, shop_features, model)), shop, lambda _: None)
        made.config = make_config(values(shop.path, file, model)).model
        made.fit_catalogue(made.open_batches(shop), 0, lambda *_: None)
        with torch.no_grad():
            found.append(evaluate(made, one, detail=True).table)
    assert found[0]["top_scores"] != found[1]["top_scores"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("hidden", [("photos", "dialogue_text"), ("product_text", "dialogue_text")])
def test_two_may_be_hidden(shop, shop_features, model, hidden, tmp_path):
    run = train(make_config(values(shop.path, shop_features, model, *hidden)), runs=tmp_path)

    assert np.isfinite(np.concatenate(scores(run)[0])).all()
    summary = json.loads(run.summary.read_text())
    assert np.isfinite(summary["protocols"]["standard"]["ndcg@5"])
    assert "tfidf context" in summary["floors"]  # floors read what they read


def test_a_model_of_ones_own_is_shown_nothing_either(shop, others, tmp_path):
    config = make_config(tiny_values(shop.path, model=TWO_TOWER), ["data.hidden=[dialogue_text]", "training.epochs=1"])
    other = make_config(tiny_values(others["dialogue_text"][0], model=TWO_TOWER), ["data.hidden=[dialogue_text]"])
    saved = Model.from_pretrained(train(config, runs=tmp_path).model)

    once, again = (evaluate(saved, open_store(one.data.store), detail=True) for one in (config, other))
    assert once.table["positive_scores"] == again.table["positive_scores"]


def test_a_finished_run_is_evaluated_as_it_learned(shop, shop_features, others, tmp_path):
    run = train(make_config(values(shop.path, shop_features, "semantic", "product_text")), runs=tmp_path)

    result = evaluate_run(run.path, others["product_text"][0], out=tmp_path / "result", seen="keep")

    assert scores(result) == scores(run)
    with pytest.raises(RunError, match=r"resume it; data.hidden: expected \['product_text'\], got \['photos'\]"):
        train(make_config(values(shop.path, shop_features, "semantic", "photos")), runs=tmp_path, resume=True)


def test_the_vocabulary_has_no_word_of_hidden_texts(shop, shop_features, tmp_path):
    texts = ["xylocarp"] * len(shop.turn_texts)
    path = with_turn_texts(changed_copy(shop.path, tmp_path / "turns"), texts)
    words = "model.text.vocabulary=2000"
    product = next(word for word in shop.product_texts[0].lower().split() if word.isalpha())

    def vocabulary(*hidden: str) -> set[str]:
        config = make_config(values(path, shop_features, "semantic", *hidden), [words])
        return set(build_model(config, open_store(path), lambda _: None).tokenizer.get_vocab())

    assert {"xylocarp", product} <= vocabulary()
    assert "xylocarp" not in vocabulary("dialogue_text")
    # States are shown whatever is hidden: the words of their values are there, and of validation's and test's none.
    bare = vocabulary("product_text", "dialogue_text")
    train = shop.split("train")
    rows = np.unique(shop.turn_states[shop.example_turns[train.start : train.stop, 1] - 1])
    said = {word for row in rows[rows > 0] for word in shop.state_values[row].lower().split() if word.isalpha()}
    assert said
    assert said <= bare
    assert "xylocarp" not in bare


def test_of_hidden_photos_no_features_are_computed(shop, tmp_path):
    """No backbone runs, neither a frozen one nor one that would be trained."""
    store = open_store(changed_copy(shop.path, tmp_path / "store"))
    made = tiny_values(store.path)
    for image in ({}, {"frozen": True}):
        config = make_config({**made, "model": {**made["model"], "image": image}}, ["data.hidden=[photos]"])
        model = build_model(config, store, lambda _: None)
        photos = model.open_batches(store).products(np.arange(3)).photos
        assert photos.shape == (3, model.backbone.features)
        assert not photos.any()
    assert not (store.path / "features").exists()


@pytest.mark.parametrize("what", EACH)
@pytest.mark.parametrize("model", MODELS)
def test_the_bench_measures_both_forms_without_it(shop, model, what):
    made = tiny_values(shop.path, model=MODELS[model])
    config = make_config(made, [f"data.hidden=[{what}]"])
    subject = build_subject(config, shop, torch.device("cpu"), None, Progress())
    subject.model.eval()

    rows = subject.queries[:3]
    batch = subject.pictures.shared_batch(rows, np.arange(11))
    form = subject.model.direct_form()
    with torch.no_grad():
        ours = subject.model.scores(
            subject.model.encode_query(batch.contexts), subject.model.encode_products(batch.products), None
        )
        torch.testing.assert_close(form.score(form.lay_out(batch)), ours, atol=1e-5, rtol=0)
    if what == "photos":
        assert subject.photos == "no photos"
        assert frozen(config) is None
        assert list(features(subject, None, QUICK)) == []


def test_a_model_that_was_saved_before_there_was_a_choice_hides_nothing(shop, shop_features, tmp_path):
    model = build_model(make_config(values(shop.path, shop_features, "semantic")), shop, lambda _: None)
    model.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    description = json.loads(file.read_text())
    assert description["inputs"].pop("hidden") == []
    file.write_text(json.dumps(with_seal({key: value for key, value in description.items() if key != "seal"})))

    assert Model.from_pretrained(tmp_path).spec.hidden == ()


def test_the_order_and_repeats_of_a_setting_are_no_difference(shop, shop_features):
    hidden = ("dialogue_text", "photos", "dialogue_text")
    config = make_config(values(shop.path, shop_features, "semantic", *hidden))

    assert config.data.hidden == ("photos", "dialogue_text")
