"""The installed command as a person meets it: its help, and the way through once, from simulated data to a page."""

import csv
import json
import re
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from semantic.cli import app as cli
from semantic.config.loading import make_config
from semantic.datasets.store.store import open_store
from semantic.dst.schema import MMD
from semantic.models.building import slot_schema
from semantic.serving.dialogues import read_dialogue
from semantic.training.loop import train
from tests.commands import RUN, semantic
from tests.worlds import tiny_values, without_seconds

COMMANDS = (
    "simulate", "prepare", "inspect", "train", "evaluate", "report", "recommend", "import-released", "config",
)  # fmt: skip
ESCAPE = "\x1b"


def test_every_command_has_a_page_of_help(tmp_path):
    overview = semantic("--help", cwd=tmp_path).stdout
    listed = re.findall(r"^│ ([a-z][a-z-]*) +\S", overview, re.MULTILINE)
    assert set(COMMANDS) <= set(listed)
    for command in listed:
        page = semantic(command, "--help", cwd=tmp_path).stdout
        assert f"Usage: semantic {command}" in page
        assert ESCAPE not in page
        options = re.findall(r"(--[a-z-]+)", page)
        assert "--help" in options
        for line in re.findall(r"^│ \*? *(?:--[a-z-]+|[a-z]+) +(?:<\w+>|[A-Z.=]+)? *(.*?) *│$", page, re.MULTILINE):
            assert line, f"{command}: an option without a word of help"


def test_a_pipe_gets_plain_lines_and_errors_only_where_there_are_any(way):
    for name, done in way.said.items():
        assert ESCAPE not in done.stdout + done.stderr, name
        assert "\r" not in done.stdout + done.stderr, name
        assert name == "recommend" or done.stderr == "", name  # JSON alone goes to recommend's standard output


def test_simulate_and_prepare_say_what_there_is(way):
    manifest = json.loads((way.folder / "store" / "manifest.json").read_text())
    said = " ".join(way.said["simulate"].stdout.split())
    assert said.startswith("data: 40 products, 8 train, 2 valid, 2 test, 4 unlabelled, ")
    lines = way.said["prepare"].stdout.splitlines()
    assert lines[0] == "store: 40 products, 40 with a photo"
    for line, (name, counts) in zip(lines[1:], manifest["splits"].items(), strict=True):
        assert line.startswith(f"  {name}: {counts['dialogues']} dialogues, ")
        assert f"{counts['examples']} examples" in line


def test_sizes_and_limits_are_options(way, tmp_path):
    out = tmp_path / "small"
    limits = ("--photo-size", 16, "--max-positives", 1, "--max-negatives", 2)
    semantic("prepare", "mmd", "data", "--out", out, *limits, "--workers", 0, cwd=way.folder)

    store, whole = open_store(out), open_store(way.folder / "store")
    assert store.photos.shape == (40, 16, 16, 3)
    assert (store.manifest["photo_size"], store.manifest["photo_resize"]) == (16, 18)  # 9 to 8, as 72 to 64
    assert store.manifest["limits"] == {"positives": 1, "negatives": 2}
    for row in range(len(store.example_turns)):
        assert store.positives(row).tolist() == whole.positives(row)[:1].tolist()
        assert store.negatives(row).tolist() == whole.negatives(row)[:2].tolist()


def test_own_slot_words_travel_in_the_store(way, tmp_path):
    slots = MMD.slots
    (tmp_path / "slots.yaml").write_text(yaml.safe_dump({slot: f"my {slot}" for slot in slots}, sort_keys=False))
    own = ("--slots", tmp_path / "slots.yaml", "--workers", 0)
    semantic("prepare", "mmd", "data", "--out", tmp_path / "own", *own, cwd=way.folder)

    store = open_store(tmp_path / "own")
    assert slot_schema(make_config({}), store).words == tuple(f"my {slot}" for slot in slots)
    assert slot_schema(make_config({}), open_store(way.folder / "store")).words == MMD.words
    others = make_config({"data": {"slot_words": dict.fromkeys(slots, "other")}})
    assert set(slot_schema(others, store).words) == {"other"}
    again = semantic("prepare", "mmd", "data", "--out", tmp_path / "own", "--workers", 0, cwd=way.folder, code=2)
    assert "found one that differs in slot_words" in again.stderr


def test_inspect_repeats_the_counts_and_writes_a_page(way):
    lines = way.said["inspect"].stdout.splitlines()
    assert lines[:-1] == way.said["prepare"].stdout.splitlines()
    assert lines[-1] == "page: store/inspect.html"
    page = (way.folder / "store" / "inspect.html").read_text()
    assert page.count("data:image/") >= 1


def test_train_says_what_it_does_and_ends_with_the_table(way):
    said = way.said["train"].stdout
    assert said.count("a WordPiece vocabulary is trained on this data's own text") == 1
    assert re.search(r"^D_F: \d+ examples of 8 dialogues with states; D_P: \d+ examples of 4 dialogues", said, re.M)
    epochs = re.findall(r"^epoch (\d)/3  train loss [\d.]+ train unlabelled loss [\d.]+  valid NDCG@5", said, re.M)
    assert epochs == ["1", "2", "3"]
    assert said.index("standard protocol") < said.index("released protocol") < said.index("run: runs/tiny/base/seed_0")
    for floor in ("random", "popularity", "tfidf"):
        assert floor in said
    summary = json.loads(way.run.summary.read_text())
    assert f"{100 * summary['protocols']['standard']['ndcg@5']:.1f}" in said
    command = json.loads((way.run.path / "environment.json").read_text())["command"]
    assert command.startswith("semantic train tiny.yaml --set training.epochs=3")


def test_the_command_and_the_library_give_the_same_bits(way, tmp_path, monkeypatch):
    monkeypatch.chdir(way.folder)
    folder = train(way.run.read_config(), runs=tmp_path)
    assert without_seconds(folder.metrics) == without_seconds(way.run.metrics)
    assert pq.read_table(folder.queries).equals(pq.read_table(way.run.queries))


def test_evaluate_ranks_another_split(way):
    summary = json.loads((way.folder / "on_valid" / "summary.json").read_text())
    assert summary["split"] == "valid"
    assert "valid split" in way.said["evaluate"].stdout
    assert f"{100 * summary['protocols']['standard']['ndcg@5']:.1f}" in way.said["evaluate"].stdout


def test_report_writes_what_it_names(way):
    said = way.said["report"].stdout
    (written,) = re.findall(r"^written: (.*)$", said, re.M)
    files = [way.folder / name for name in written.split(", ")]
    assert sorted(file.suffix for file in files) == [".csv", ".html", ".md", ".tex"]
    assert all(file.stat().st_size > 200 for file in files)
    value = json.loads(way.run.summary.read_text())["protocols"]["standard"]["ndcg@5"]
    (sheet,) = (file.read_text() for file in files if file.suffix == ".csv")
    assert repr(value) in sheet


def test_recommend_prints_json_and_writes_a_page(way):
    done = way.said["recommend"]
    content = json.loads(done.stdout)
    found = content["recommendations"]
    assert content["store"] == "store"
    assert len({one["product"] for one in found}) == len(found) == 7
    assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)
    assert list(found[0]) == ["rank", "name", "product", "score", "text", "explanations"]
    (query,) = content["explanations"].values()
    (product,) = found[0]["explanations"].values()
    assert list(content["explanations"]) == list(found[0]["explanations"]) == ["Hop attention over the slots"]
    slots = set(open_store(way.folder / "store").slots)
    assert set(query["dialogue text"]) == set(product["photo"]) == slots
    assert sum(query["dialogue text"].values()) == pytest.approx(1)
    assert sum(product["photo"].values()) == pytest.approx(1)
    assert done.stderr == "page: recommend.html\n"
    assert (way.folder / "recommend.html").read_text().count("data:image/") >= 7


def test_recommend_answers_what_is_said_and_shown_as_table_and_csv(way, tmp_path):
    store = open_store(way.folder / "store")
    asked = ("recommend", RUN, "--text", "a red dress", "--image", store.product_names[5], "--image", "7", "--top", 3)

    sheet = semantic(*asked, "--format", "csv", cwd=way.folder).stdout
    table = semantic(*asked, cwd=way.folder).stdout
    (tmp_path / "said.json").write_text(
        json.dumps(
            [{"speaker": "user", "text": "a red dress", "images": [store.product_names[5], store.product_names[7]]}]
        )
    )
    same = semantic(
        "recommend", RUN, "--dialogue", tmp_path / "said.json", "--top", 3, "--format", "csv", cwd=way.folder
    )

    assert same.stdout == sheet
    header, *lines = csv.reader(sheet.splitlines())
    assert header == ["rank", "name", "product", "score", "text"]
    assert [line[0] for line in lines] == ["1", "2", "3"]
    for _, name, row, score, text in lines:
        assert (store.product_names[int(row)], store.product_texts[int(row)]) == (name, text)
        assert re.search(rf"{re.escape(name)} +{float(score):.3f} ", table)


def test_a_file_of_mmd_is_a_dialogue(way):
    file = next((way.folder / "data" / "MMD2withDST" / "test").glob("*.json"))

    said = semantic("recommend", RUN, "--dialogue", file, "--format", "json", cwd=way.folder).stdout

    store = open_store(way.folder / "store")
    shown = [name for turn in read_dialogue(file, store) for name in turn.images]
    assert shown
    assert set(shown) <= set(store.product_names)
    assert len(json.loads(said)["recommendations"]) == 10


def test_config_explains_every_field(way):
    said = semantic("config", "tiny.yaml", "--set", "model.loss.alpha=0.25", cwd=way.folder).stdout
    assert re.search(r"^    alpha: 0.25 +# weight of the teacher's losses", said, re.M)
    resolved = yaml.safe_load(said)
    assert make_config(resolved) == make_config(
        tiny_values(Path("store"), Path("features.npy")), ["model.loss.alpha=0.25"]
    )


def test_folds_are_runs_beside_each_other_in_one_table(way, monkeypatch, capsys):
    monkeypatch.chdir(way.folder)
    words = ("train", "tiny.yaml", "--folds", "3", "--set", "variant=crossed", "--set", "training.epochs=1")
    monkeypatch.setattr(sys, "argv", ["semantic", *words])
    cli.main()
    said = capsys.readouterr().out
    assert [f"fold {i} of 3" in said for i in (1, 2, 3)] == [True] * 3
    folder = way.folder / "runs" / "tiny" / "crossed" / "seed_0"
    assert sorted(p.name for p in folder.iterdir()) == ["fold_0_of_3", "fold_1_of_3", "fold_2_of_3"]
    assert "folds)" in said
    assert "store, 3 folds, " in said
    assert said.rstrip().endswith("run: runs/tiny/crossed/seed_0")


def test_simulate_takes_the_negatives_of_each_split(tmp_path):
    words = ("--dialogues", 7, "--products", 61, "--negatives", 3, "--evaluation-negatives", 5)
    semantic("simulate", "data", *words, cwd=tmp_path)
    for split, most in (("train", 3), ("valid", 5), ("test", 5)):
        dialogues = (json.loads(file.read_text()) for file in (tmp_path / "data/MMD2withDST" / split).iterdir())
        lists = [turn["utterance"].get("false images") for turns in dialogues for turn in turns]
        assert max(len(negatives) for negatives in lists if negatives) == most


def test_a_folder_with_brackets_is_printed_as_it_is(tmp_path):
    assert semantic("simulate", "a[b]", "--dialogues", 3, "--products", 10, cwd=tmp_path).stdout.startswith("a[b]: ")


def test_an_evaluation_is_not_another_run_of_the_table(way, monkeypatch, capsys):
    monkeypatch.chdir(way.folder)
    for words in (["evaluate", RUN], ["report", "runs/tiny/base", "--out", "again"]):
        monkeypatch.setattr(sys, "argv", ["semantic", *words])
        cli.main()
    assert "(1 seed)" in capsys.readouterr().out.split("standard protocol")[-1]
