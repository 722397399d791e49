"""Training runs: what they leave, that they repeat bit for bit, and what they must not look at."""

import json
import math
import threading
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from semantic.config.loading import make_config
from semantic.datasets.store.store import Store, open_store
from semantic.evaluation.ranking import evaluate, evaluate_examples
from semantic.models.interface import Model
from semantic.runtime.errors import DataError
from semantic.training import loop as trainer
from semantic.training import run as training_run
from semantic.training.loop import train
from semantic.training.optimiser import linear_decay
from semantic.training.run import TrainingError
from tests.worlds import (
    STATELESS,
    Listener,
    assert_same_run,
    changed_copy,
    same_weights,
    tiny_values,
    weights,
    with_changes,
    with_turn_texts,
    without_seconds,
)

METRICS = [f"{name}@{k}" for k in (5, 10, 20) for name in ("precision", "recall", "ndcg")]


def test_a_run_leaves_every_file(run, config):
    assert run.path.parts[-3:] == ("tiny", "base", "seed_0")
    found = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    events = {name for name in found if name.startswith("tensorboard/events.out.tfevents")}
    assert events
    assert found - events - {"model/README.md"} == {
        "config.yaml", "data.json", "environment.json", "metrics.jsonl", "queries.parquet", "summary.json",
        "model/config.json", "model/model.safetensors", "model/tokenizer.json",
    }  # fmt: skip
    assert run.read_config() == config
    environment = json.loads((run.path / "environment.json").read_text())
    assert environment.keys() >= {"python", "platform", "cpu", "cores", "device", "packages", "seed", "command"}
    assert environment["packages"]["torch"] == metadata.version("torch")


def test_the_metrics_have_a_line_an_epoch(run, config):
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    summary = json.loads(run.summary.read_text())
    steps = sum(math.ceil(summary["counts"][f"{part}_examples"] / 16) for part in ("labelled", "unlabelled"))

    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert [line["step"] for line in lines] == [steps, 2 * steps, 3 * steps]
    terms = {"loss", "teacher_ranking", "teacher_divergence", "teacher_correlation", "student_ranking", "state_mse"}
    for line in lines:
        assert set(line["train"]) == terms
        # On D_P the student alone learns, and takes the other two terms.
        assert set(line["train_unlabelled"]) == {
            "loss", "student_ranking", "student_divergence", "student_correlation",
        }  # fmt: skip
        assert all(list(line["valid"][protocol]) == METRICS for protocol in ("standard", "released"))
        assert 0 <= line["valid"]["tie_rate"] <= 1
        assert line["seconds"] > 0
    rate = config.training.learning_rate
    factor = linear_decay(config.training, 3 * steps)
    # The rate of the epoch's first step.
    assert [line["learning_rate"] for line in lines] == pytest.approx([rate * factor(n * steps) for n in range(3)])


def test_the_joint_loss_weighs_teacher_and_student_by_alpha(run):
    for line in map(json.loads, run.metrics.read_text().splitlines()):
        values = line["train"]
        teacher = sum(value for name, value in values.items() if name.startswith("teacher_"))
        assert values["loss"] == pytest.approx(
            0.5 * teacher + 0.5 * (values["student_ranking"] + values["state_mse"]), rel=1e-4
        )
        alone = line["train_unlabelled"]
        assert alone["loss"] == pytest.approx(sum(v for name, v in alone.items() if name != "loss"), rel=1e-4)


def test_the_summary_counts_what_was_used(run, shop):
    summary = json.loads(run.summary.read_text())
    splits = shop.manifest["splits"]
    counts = summary["counts"]
    assert counts["labelled_dialogues"] == splits["train"]["dialogues"] / 2
    assert counts["unlabelled_dialogues"] == splits["train"]["dialogues"] / 2 + splits[STATELESS]["dialogues"]
    total = counts["labelled_examples"] + counts["unlabelled_examples"]
    assert total == splits["train"]["examples"] + splits[STATELESS]["examples"]
    assert (counts["valid_queries"], counts["test_queries"]) == (
        splits["valid"]["examples"],
        splits["test"]["examples"],
    )
    model = Model.from_pretrained(run.model)
    assert counts["parameters"] == counts["trainable_parameters"] == sum(p.numel() for p in model.parameters())
    assert counts["masked_photos"] == int((~shop.has_photo).sum()) > 0
    assert summary["rejected"] == shop.manifest["rejected"]
    assert (summary["experiment"], summary["variant"], summary["seed"], summary["fold"]) == ("tiny", "base", 0, None)
    assert (summary["split"], summary["store"], summary["epochs"]) == ("test", str(shop.path), 3)
    assert summary["slots"] == list(shop.slots)
    assert summary["explanations"] == [
        {
            "title": "Hop attention over the slots",
            "labels": list(shop.slots),
            "query": ["dialogue text", "dialogue photos"],
            "products": ["text", "photo"],
        }
    ]
    assert set(summary["floors"]) == {"random", "popularity", "tfidf last utterance", "tfidf context"}
    assert summary["seconds"] > 0
    assert summary["peak_memory_mb"] > 50


def test_a_person_is_told_how_many_of_each_part(config, tmp_path, shop):
    listener = Listener()
    train(with_changes(config, "training.epochs=1"), runs=tmp_path, progress=listener)
    splits = shop.manifest["splits"]
    dialogues = splits["train"]["dialogues"]
    (line,) = (line for line in listener.said if line.startswith("D_F"))
    assert f"of {dialogues // 2} dialogues with states" in line
    assert f"of {dialogues // 2 + splits[STATELESS]['dialogues']} dialogues without" in line
    assert f"test {splits['test']['examples']} queries" in line
    assert listener.said[-1].startswith("epoch 1/1")


def test_the_kept_weights_are_those_of_the_best_validation(tmp_path, config, shop, monkeypatch):
    """With validation's NDCG@5 told what to be, the weights of its first highest epoch are kept and tested."""
    told, seen = [0.3, 0.5, 0.5, 0.4], []

    def evaluated(model, builder, rows, *arguments, **named):
        found = evaluate_examples(model, builder, rows, *arguments, **named)
        if np.array_equal(rows, list(shop.split("valid").examples)):
            found.protocols["standard"]["ndcg@5"] = told[len(seen)]
            seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return found

    for module in (trainer, training_run):  # the test split, and validation
        monkeypatch.setattr(module, "evaluate_examples", evaluated)
    folder = train(with_changes(config, "training.epochs=4"), runs=tmp_path)

    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    assert [line["best"] for line in lines] == [True, True, False, False]
    kept = weights(folder)
    assert all(torch.equal(kept[name], value) for name, value in seen[1].items())
    assert any(not torch.equal(kept[name], value) for name, value in seen[2].items())
    summary = json.loads(folder.summary.read_text())
    assert summary["best_epoch"] == 2
    assert summary["protocols"] == evaluate(Model.from_pretrained(folder.model), shop, "test").protocols


def test_the_loss_may_decide_too(tmp_path, config, shop, monkeypatch):
    """selection "loss_or_ndcg@5": an epoch is kept where either gets better."""
    told = iter([(0.3, 0.9), (0.3, 0.8), (0.4, 0.9), (0.4, 0.8)])

    def evaluated(model, builder, rows, *arguments, **named):
        found = evaluate_examples(model, builder, rows, *arguments, **named)
        if np.array_equal(rows, list(shop.split("valid").examples)):
            ndcg, loss = next(told)
            found.protocols["standard"]["ndcg@5"] = ndcg
            return replace(found, loss=loss)
        return found

    for module in (trainer, training_run):  # the test split, and validation
        monkeypatch.setattr(module, "evaluate_examples", evaluated)
    chosen = with_changes(config, "training.epochs=4", "training.selection=loss_or_ndcg@5")
    lines = train(chosen, runs=tmp_path).metrics.read_text().splitlines()
    assert [json.loads(line)["best"] for line in lines] == [True, True, True, False]


def test_the_same_seed_gives_the_same_bits(config, run, tmp_path):
    torch.manual_seed(123)  # whatever happened before does not matter
    assert_same_run(train(config, runs=tmp_path), run)


def test_another_seed_gives_another_run(config, run, tmp_path):
    other = train(with_changes(config, "seed=1"), runs=tmp_path)
    assert other.path.name == "seed_1"
    assert without_seconds(other.metrics) != without_seconds(run.metrics)
    assert not same_weights(other, run)


@pytest.mark.slow
def test_worker_processes_change_nothing(config, run, tmp_path):
    other = train(with_changes(config, "training.workers=2"), runs=tmp_path)
    assert without_seconds(other.metrics) == without_seconds(run.metrics)
    assert same_weights(other, run)


def test_half_precision_trains_single_precision_weights_to_nearly_the_same_losses(config, run, tmp_path):
    other = train(with_changes(config, "training.precision=bf16"), runs=tmp_path)
    half, single = (json.loads(folder.metrics.read_text().splitlines()[0])["train"] for folder in (other, run))
    assert half != single
    assert half["loss"] == pytest.approx(single["loss"], rel=0.05)
    assert all(value.dtype == torch.float32 for value in weights(other).values() if value.is_floating_point())


def test_without_d_p_the_student_learns_beside_the_teacher_alone(tiny, tmp_path):
    folder = train(tiny("training.epochs=1"), runs=tmp_path)
    (line,) = map(json.loads, folder.metrics.read_text().splitlines())
    assert "train_unlabelled" not in line
    assert json.loads(folder.summary.read_text())["counts"]["unlabelled_examples"] == 0


def test_without_states_the_student_alone_learns(tiny, tmp_path, shop):
    folder = train(tiny("training.epochs=1", "data.labelled_share=0"), runs=tmp_path)
    (line,) = map(json.loads, folder.metrics.read_text().splitlines())
    assert "train" not in line
    counts = json.loads(folder.summary.read_text())["counts"]
    assert counts["labelled_examples"] == 0
    assert counts["unlabelled_examples"] == shop.manifest["splits"]["train"]["examples"]


def test_a_run_that_collapses_says_so_while_it_trains(tiny, tmp_path):
    config = tiny("model.interaction.temperature=1000000")  # attention can only be even
    listener = Listener()
    folder = train(config, runs=tmp_path, progress=listener)

    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    said = [text for text in listener.said if "collapsed" in text]
    assert len(said) == len(lines) == 2
    for number, (line, text) in enumerate(zip(lines, said, strict=True), start=1):
        found = line["diagnostics"]["train"]["teacher_text_slot_entropy"]
        assert found > 0.999
        assert text == f"epoch {number}: collapsed, for {'; '.join(line['collapse'])}"
        assert (
            f"train: the attention is even over the slots (teacher text slot entropy {found:.4f} of 1)"
            in line["collapse"]
        )


def test_d_p_never_reads_a_state(tiny, tmp_path, shop):
    """With no dialogue labelled, other states in the store change nothing."""
    wrong = np.where(shop.turn_states >= 0, np.roll(np.asarray(shop.turn_states), 1, axis=1), -1)
    store = changed_copy(shop.path, tmp_path / "store", turn_states=wrong)
    first, second = (
        train(tiny("data.labelled_share=0", *more), runs=tmp_path / name)
        for name, more in (("a", ()), ("b", (f"data.store={store}",)))
    )
    assert without_seconds(first.metrics) == without_seconds(second.metrics)
    assert same_weights(first, second)
    labelled = [train(tiny(*more), runs=tmp_path / name) for name, more in (("c", ()), ("d", (f"data.store={store}",)))]
    assert not same_weights(*labelled)  # where they are used they do matter


def test_training_and_selection_never_read_test(config, run, tmp_path, shop):
    """With other candidates, turns and products shown in the test split the same weights come out."""
    test, valid = shop.split("test"), shop.split("valid")
    rng = np.random.default_rng(0)
    arrays = {}
    for name in ("positives", "negatives"):
        values = np.load(shop.path / f"{name}.npy").copy()
        offsets = np.load(shop.path / f"{name}_offsets.npy")
        part = slice(offsets[test.start], offsets[test.stop])
        values[part] = rng.permutation(values[part])
        arrays[name] = values
    turns = shop.example_turns.copy()
    turns[test.start : test.stop, 1] -= 1
    store = changed_copy(shop.path, tmp_path / "store", example_turns=turns, **arrays)

    other = train(with_changes(config, f"data.store={store}"), runs=tmp_path / "runs")

    assert without_seconds(other.metrics) == without_seconds(run.metrics)
    assert same_weights(other, run)
    assert json.loads(other.summary.read_text())["protocols"] != json.loads(run.summary.read_text())["protocols"]

    values = arrays["positives"].copy()  # what validation holds does change the metrics
    offsets = np.load(shop.path / "positives_offsets.npy")
    part = slice(offsets[valid.start], offsets[valid.stop])
    values[part] = rng.permutation(values[part])
    store = changed_copy(shop.path, tmp_path / "valid", positives=values)
    other = train(with_changes(config, f"data.store={store}"), runs=tmp_path / "runs_valid")
    assert without_seconds(other.metrics) != without_seconds(run.metrics)


def test_no_epoch_leaves_the_first_weights_evaluated(tiny, tmp_path, shop):
    folder = train(tiny("training.epochs=0"), runs=tmp_path)
    summary = json.loads(folder.summary.read_text())
    assert (summary["epochs"], summary["best_epoch"]) == (0, 0)
    assert summary["protocols"] == evaluate(Model.from_pretrained(folder.model), shop).protocols


def test_validation_may_be_rarer_and_ends_with_the_last_epoch(tiny, tmp_path):
    folder = train(tiny("training.epochs=5", "training.validate_every=2"), runs=tmp_path)
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    assert ["valid" in line for line in lines] == [False, True, False, True, True]


@pytest.mark.slow
def test_a_fold_has_a_folder_of_its_own(tiny, tmp_path, shop):
    folders = [
        train(tiny("training.epochs=1", "data.fold.count=3", f"data.fold.index={fold}"), runs=tmp_path)
        for fold in range(3)
    ]
    assert [folder.path.name for folder in folders] == ["fold_0_of_3", "fold_1_of_3", "fold_2_of_3"]
    summaries = [json.loads(folder.summary.read_text()) for folder in folders]
    assert [summary["fold"] for summary in summaries] == [
        {"count": 3, "index": fold, "seed": 0, "pooled": []} for fold in range(3)
    ]
    learnt = [folder.read_data() for folder in folders]
    for data, summary in zip(learnt, summaries, strict=True):
        assert data.identity == summary["identity"] == shop.identity
        assert len(data.train) == summary["counts"]["labelled_dialogues"]
        assert set(data.train).isdisjoint(data.valid)
    assert set.union(*(set(data.valid) for data in learnt)) > set(learnt[0].train)
    queries = [q for f in folders for q in pq.read_table(f.queries, columns=["turn"]).column("turn").to_pylist()]
    expected = [turn for name in ("train", "valid", "test") for turn in
                shop.example_turns[shop.split(name).start : shop.split(name).stop, 1].tolist()]  # fmt: skip
    assert sorted(queries) == sorted(expected)


def test_faults_of_the_data_are_found_before_a_folder_is_made(tiny, tmp_path):
    for override, message in (
        ("data.store=/nowhere", "/nowhere: expected a prepared store"),
        ("data.test=dev", "found 'dev'"),
    ):
        with pytest.raises(DataError, match=message):
            train(tiny(override), runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_resolved_configuration_is_whole(run):
    written = yaml.safe_load(run.config.read_text())
    assert written["model"]["pooling"] == "sum"  # a default, spelt out
    assert set(written) >= {"experiment", "variant", "seed", "preset", "data", "model", "training", "evaluation"}


GROUPS = ("amber", "cobalt", "ivory", "umber")


def planted(shop: Store, out: Path, *, rotated: bool) -> Path:
    """The shop with a secret: the last turn says a word, and the positives are products of that word's group.

    A product's group is its number modulo 4. `rotated` has validation and test say the word of the next group: who learned
    the words ranks their positives low.
    """
    rng = np.random.default_rng(3)
    positives, negatives = shop.positive_values.copy(), shop.negative_values.copy()
    texts = ["hello"] * len(shop.turn_texts)
    numbers = np.arange(shop.num_products)
    for example, (_, target) in enumerate(shop.example_turns):
        group = int(rng.integers(len(GROUPS)))
        said = group + (rotated and example not in shop.split("train").examples)
        texts[target - 1] = GROUPS[said % len(GROUPS)]
        own, other = (
            slice(*offsets[example : example + 2]) for offsets in (shop.positive_offsets, shop.negative_offsets)
        )
        count = own.stop - own.start
        drawn = np.concatenate([
            rng.permutation(numbers[numbers % 4 == group])[:count],
            rng.permutation(numbers[numbers % 4 != group])[: other.stop - other.start],
        ])  # fmt: skip
        positives[own], negatives[other] = drawn[:count], drawn[count:]
    return with_turn_texts(changed_copy(shop.path, out, positives=positives, negatives=negatives), texts)


@pytest.mark.slow
@pytest.mark.parametrize("rotated", [False, True])
def test_a_planted_signal_is_found_and_nothing_but_it(shop, tmp_path, rotated):
    store = planted(shop, tmp_path / "store", rotated=rotated)
    np.save(tmp_path / "groups.npy", np.eye(4, dtype=np.float32)[np.arange(shop.num_products) % 4])
    settings = ("model.dim=32", "model.pooling=mean", "model.interaction.temperature=0.1", "data.context_turns=1",
                "model.loss.correlation_weight=0", "training.epochs=25", "training.validate_every=25",
                "training.learning_rate=0.01")  # fmt: skip

    folder = train(make_config(tiny_values(store, tmp_path / "groups.npy"), settings), runs=tmp_path)

    summary = json.loads(folder.summary.read_text())
    found, chance = (part["standard"]["ndcg@5"] for part in (summary["protocols"], summary["floors"]["random"]))
    assert (found > 0.8) if not rotated else (found < chance)


def test_a_loss_that_is_no_number_ends_the_run_at_once(tiny, shop_features, tmp_path):
    np.save(tmp_path / "huge.npy", np.full_like(np.load(shop_features), 3e38))  # sums of them overflow
    before = set(threading.enumerate())
    message = "epoch 1, step 1: expected a finite loss, got teacher_ranking nan"
    with pytest.raises(TrainingError, match=message) as raised:
        train(tiny(f"model.image.features={tmp_path}/huge.npy"), runs=tmp_path)
    assert raised.value.exit_code == 1  # it is kept here, and with it every frame it went through
    assert not any(t.name.startswith("training steps") for t in set(threading.enumerate()) - before)


@pytest.mark.parametrize(("every", "ended"), [(1, 3), (2, 6)])
def test_patience_ends_a_run_that_gets_no_better(tiny, tmp_path, monkeypatch, every, ended):
    """The first validation is the best, and two more are waited for; resuming does not go on."""
    config = tiny("training.epochs=9", "training.patience=2", f"training.validate_every={every}")
    ndcg = iter([0.5, 0.5, 0.4, 0.9])
    evaluate_rows = trainer.evaluate_examples

    def worse(*arguments, **named):
        found = evaluate_rows(*arguments, **named)
        if not named.get("detail"):
            found.protocols["standard"]["ndcg@5"] = next(ndcg)
        return found

    for module in (trainer, training_run):
        monkeypatch.setattr(module, "evaluate_examples", worse)
    said = Listener()
    run = train(config, runs=tmp_path, keep_state=True, progress=said)

    summary = json.loads(run.summary.read_text())
    assert (summary["epochs"], summary["best_epoch"]) == (ended, every)
    assert f"stopped after epoch {ended}: no better validation since epoch {every} (training.patience 2)" in said.said
    run.summary.unlink()
    train(config, runs=tmp_path, resume=True)
    assert json.loads(run.summary.read_text())["epochs"] == ended


def test_without_test_no_test_query_is_ranked_until_the_run_is_resumed(config, run, tmp_path, monkeypatch):
    asked = []
    ranked = trainer.evaluate_examples

    def watched(model, builder, rows, *arguments, **named):
        asked.append(set(rows.tolist()))
        return ranked(model, builder, rows, *arguments, **named)

    told = []
    with monkeypatch.context() as patch:
        for module in (trainer, training_run):
            patch.setattr(module, "evaluate_examples", watched)
        patch.setattr(trainer, "write_summary", lambda *_, **__: pytest.fail("writes a summary"))
        folder = train(config, runs=tmp_path, test=False, on_epoch=lambda line: told.append(line) or True)
        test = set(range(*_bounds(config.data.store, "test")))
        assert len(asked) == 3
        assert not set().union(*asked) & test
        assert [line["epoch"] for line in told] == [1, 2, 3]
        assert not folder.summary.exists()
        assert not folder.queries.exists()

        told.clear()
        train(config, runs=tmp_path, resume=True, test=False, on_epoch=lambda line: told.append(line) or True)
        assert [line["epoch"] for line in told] == [1, 2, 3]  # of the session before
        assert len(asked) == 3
    assert_same_run(train(config, runs=tmp_path, resume=True), run)


def _bounds(store: str, split: str) -> tuple[int, int]:
    rows = open_store(store).split(split)
    return rows.start, rows.stop


def test_who_is_told_of_an_epoch_may_end_the_run(config, run, tmp_path):
    folder = train(config, runs=tmp_path, test=False, on_epoch=lambda line: line["epoch"] < 2)
    assert without_seconds(folder.metrics) == without_seconds(run.metrics)[:2]
    assert folder.load_state()["epoch"] == 2
    train(config, runs=tmp_path, resume=True, test=False, on_epoch=lambda line: line["epoch"] < 2)
    assert len(without_seconds(folder.metrics)) == 2
    assert_same_run(train(config, runs=tmp_path, resume=True), run)
