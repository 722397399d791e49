"""Cards of runs and stores: each fact by its value, the hub's own reader for the YAML, and files that must stay."""

import json
import re
import shutil
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard

from semantic.cli.cards import card
from semantic.datasets.simulator.writer import is_simulated
from semantic.datasets.store.store import FILES, open_store
from semantic.evaluation.run_evaluation import evaluate_run
from semantic.models.interface import Model
from semantic.report.cards.rendering import HUBS, check_card, code, markdown, write_card
from semantic.report.cards.runs import ModelFacts, card_place, read_trained, run_card
from semantic.report.cards.stores import slot_rows, split_rows, store_card
from semantic.runs.reading import load_runs
from semantic.runtime.digests import has_text_seal, with_text_seal
from semantic.runtime.errors import DataError
from semantic.training.loop import train
from tests.report_files import DIALOGUES, IDENTITY, write_result, write_run, write_store
from tests.small_world import build
from tests.worlds import MASKED, STATELESS, changed_copy, reseal

FACTS = ModelFacts("shop.models:Ranker", "paper", "Ranks by <guessing>.")


def with_weights(folder):
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text("{}")
    return folder


def described(folder):
    """The card of the runs below a folder, as the hub reads it."""
    return ModelCard(run_card(read_trained(folder), FACTS))


def rows(text, *heading):
    """The rows of the table in Markdown whose first cells are these."""
    lines = [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in text.splitlines()]
    start = next(i for i, cells in enumerate(lines) if cells[: len(heading)] == list(heading))
    found = []
    for cells in lines[start + 2 :]:
        if cells == [""]:
            break
        found.append(cells)
    return found


@pytest.fixture
def one(tmp_path):
    counts = {
        "labelled_dialogues": 907,
        "labelled_examples": 4001,
        "unlabelled_dialogues": 13,
        "unlabelled_examples": 17,
        "valid_queries": 19,
        "test_queries": 5,
        "parameters": 12_345_678,
        "trainable_parameters": 1_234_567,
    }
    return with_weights(write_run(tmp_path / "runs", counts=counts, tie_rate=0.25, dropped={"train": 3, "valid": 2}))


def test_a_run_says_what_it_is_and_what_it_learned_from(one):
    (one / "config.yaml").write_text(
        "experiment: demo\nvariant: best\ndata:\n  hidden: [photos]\ntraining:\n  selection: loss_or_ndcg@5\n"
    )
    (one / "data.json").write_text(json.dumps({"identity": IDENTITY}))
    (one / "environment.json").write_text(
        json.dumps(
            {
                "python": "3.11.7", "cpu": "A|B", "cores": 7, "device": "cpu", "packages": {"torch": "2.9"},
                "git": {"commit": "abc123", "changed": True}, "command": "semantic train x.yaml --set seed=0",
                "started": "2026-01-02T03:04:05+00:00",
            }
        )
    )  # fmt: skip
    text = described(one).text

    cells = [line.strip("| ").split(" | ", 1) for line in text.splitlines() if line.startswith("| ")]
    facts = {pair[0]: pair[1] for pair in cells if len(pair) == 2}
    assert facts["model"] == "`shop.models:Ranker`, preset `paper`"
    assert facts["in its own words"] == "Ranks by \\<guessing>."
    assert facts["experiment"] == "`demo`, variant `best`: 1 seed"
    assert facts["parameters"] == "12,345,678, of which 1,234,567 are trained"
    assert facts["hidden from it"] == "photos"
    assert facts["ranked"] == f"split `test` of the store `shop`, identity `{IDENTITY[:12]}`"
    assert facts["trained on"] == "the same store"
    assert facts["D_F, with dialogue states"] == "907 dialogues, 4,001 recommendation turns"
    assert facts["D_P, without"] == "13 dialogues, 17 recommendation turns"
    assert facts["validation, test"] == "19 and 5 queries"
    assert facts["machine"].startswith("A\\|B, 7 cores, device cpu, 1 process(es)")
    assert facts["revision"] == "`abc123`, with changes"
    assert facts["versions"] == "Python 3.11.7, torch 2.9"
    assert ["dead link", "2,090"] in rows(text, "what", "how many")
    assert "\n    semantic train x.yaml --set seed=0\n" in text
    assert "3 of training, 2 of validation" in text
    assert "(`training.selection`: loss\\_or\\_ndcg@5)" in text
    assert "No ranked dialogue was trained on" in text
    assert "      selection: loss_or_ndcg@5" in text  # the configuration, as it stands


def test_the_numbers_of_one_run_are_its_own(one):
    made = described(one)
    summary = json.loads((one / "summary.json").read_text())

    (entry,) = yaml.safe_load(made.data.to_yaml())["model-index"]
    assert entry["name"] == "demo/best, seed 0"
    (result,) = entry["results"]
    assert result["dataset"] == {"name": "shop", "type": "shop", "split": "test", "revision": IDENTITY}
    found = {(m["args"]["protocol"], m["type"]): m["value"] for m in result["metrics"]}
    assert found == {
        (protocol, metric): pytest.approx(value, abs=1e-6)
        for protocol, metrics in summary["protocols"].items()
        for metric, value in metrics.items()
    }
    assert {m["args"]["sample_deviation"] for m in result["metrics"]} == {0.0}
    assert made.data.library_name == "semantic"
    assert made.data.license is None
    assert {one.metric_type for one in made.data.eval_results} == {metric for _, metric in found}
    ndcg = 100 * summary["protocols"]["standard"]["ndcg@5"]
    assert rows(made.text, "run", "weights") == [
        ["seed 0", "`model`", f"{ndcg:.1f}", "25.0%", "2 of 3", "1 min 33 s", "1,500 MB"]
    ]
    assert "| *tfidf context* | 12.5 |" in made.text  # a floor beside
    assert "in 25.0% of queries" in made.text


def test_several_seeds_are_averaged_and_listed(tmp_path):
    values = (0.41, 0.43, 0.48)
    for seed, value in enumerate(values):
        counts = {"labelled_dialogues": 7 + seed, "labelled_examples": 11}
        with_weights(write_result(tmp_path, "best", seed, value, counts=counts))
    made = described(tmp_path / "demo" / "best")

    assert made.data.model_name == "demo/best"
    found = {m.metric_type: m for m in made.data.eval_results if m.metric_args["protocol"] == "standard"}
    assert found["recall@10"].metric_value == pytest.approx(fmean(values), abs=1e-6)
    assert found["recall@10"].metric_args["sample_deviation"] == pytest.approx(stdev(values), abs=1e-6)
    assert found["recall@10"].metric_args["runs"] == 3
    assert f"{100 * fmean(values):.1f} ± {100 * stdev(values):.1f}" in made.text
    assert [cells[:3] for cells in rows(made.text, "run", "weights")] == [
        [f"seed {seed}", f"`seed_{seed}/model`", f"{100 * value:.1f}"] for seed, value in enumerate(values)
    ]
    assert "7 to 9 dialogues, 11 recommendation turns" in made.text
    assert "variant `best`: 3 seeds" in made.text


def test_folds_are_told(tmp_path):
    for fold in (0, 1):
        with_weights(write_result(tmp_path, "crossed", 0, 0.4 + fold / 10, fold=fold))
    text = described(tmp_path / "demo" / "crossed" / "seed_0").text

    assert "| folds | 2, by dialogue, seed 0, over train + test; here 0, 1 |" in text
    assert [cells[:2] for cells in rows(text, "run", "weights")] == [
        ["seed 0, fold 0", "`fold_0/model`"],
        ["seed 0, fold 1", "`fold_1/model`"],
    ]


def test_what_a_run_has_seen_and_what_did_not_finish_is_said(tmp_path):
    folder = with_weights(write_run(tmp_path, seen={"train": 3, "valid": 4}))
    (folder.with_name("seed_1")).mkdir()
    (folder.with_name("seed_1") / "config.yaml").write_text("experiment: demo\n")
    text = described(folder.parent).text

    assert "**It ranks dialogues that it has seen**: up to 7 of them" in text
    assert "seed\\_1: not finished, left out" in text or "seed_1: not finished, left out" in text
    assert "No ranked dialogue was trained on" not in text


def test_runs_of_several_variants_or_configurations_have_no_card(tmp_path):
    for variant in ("best", "other"):
        with_weights(write_result(tmp_path, variant, 0, 0.4))
    with pytest.raises(
        DataError, match=r"expected a run, or the runs of one variant, found 2 variants \(demo/best, demo/"
    ):
        read_trained(tmp_path)
    with_weights(write_result(tmp_path, "best", 1, 0.4, config="data:\n  store: stores/shop\ntraining:\n  epochs: 7\n"))
    with pytest.raises(
        DataError, match=r"^demo/best: expected runs that differ in seed and fold alone, found 2 groups: "
    ):
        run_card(read_trained(tmp_path / "demo" / "best"), FACTS)


def test_a_result_without_weights_has_no_card(tmp_path):
    folder = write_run(tmp_path)
    with pytest.raises(DataError, match=r"seed_0: expected a run with its weights \(model/config.json\), found none$"):
        read_trained(folder)


def test_text_of_a_run_is_shown_and_never_markup(one):
    evil = "</details>|`x`\n# Big [a](http://b) *c* <img>"
    (one / "environment.json").write_text(json.dumps({"cpu": evil, "command": evil, "packages": {evil: evil}}))
    change = json.loads((one / "summary.json").read_text()) | {
        "rejected": {evil: 3},
        "split": evil,
        "store": f"s/{evil}",
    }
    (one / "summary.json").write_text(json.dumps(change))
    made = described(one)

    assert "\n# Big" not in made.text
    outside = "\n".join(line for line in made.text.splitlines() if not line.startswith("    "))
    outside = re.sub(r"(?<!\\)(`+)(?!`).*?(?<!`)\1(?!`)", "", outside)  # code is shown as it is
    assert not re.search(r"(?<!\\)<(?!/?(details|summary)>)", outside)
    assert len(re.findall(r"(?<!\\)</details>", outside)) == 1
    ((what, count),) = rows(made.text, "what", "how many")
    assert (what.partition("Big ")[2], count) == ("\\[a\\](http://b) \\*c\\* \\<img>", "3")
    assert yaml.safe_load(made.data.to_yaml())["model-index"][0]["results"][0]["dataset"]["split"].startswith(
        "</details>"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a", "`a`"), ("a|b", "`a\\|b`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("a\nb", "`a\\nb`")],
)
def test_code_stays_within_its_line_and_cell(text, shown):
    assert code(text) == shown


def test_markdown_escapes_what_it_would_read():
    assert markdown("a_b *c* [d] <e>\n") == "a\\_b \\*c\\* \\[d\\] \\<e>\\\\n"


def test_the_citation_is_that_of_the_repository(repository, one):
    known = yaml.safe_load((repository / "CITATION.cff").read_text())["preferred-citation"]
    text = described(one).text

    assert f"title     = {{{known['title']}}}" in text
    assert f"author    = {{{{{known['authors'][0]['name']}}}}}" in text
    assert f"booktitle = {{{known['collection-title']}}}" in text
    assert f"year      = {{{known['year']}}}" in text
    assert f"url       = {{{known['url']}}}" in text


def test_a_stores_card_has_its_counts(tmp_path):
    store = write_store(tmp_path / "store")
    made = DatasetCard(store_card(store))

    assert made.data.pretty_name == "store"
    assert made.data.size_categories == ["n<1K"]
    assert made.data.to_dict()["viewer"] is False
    assert "license" not in made.data.to_dict()
    assert f"| identity | `{IDENTITY}`" in made.text
    assert "| products | 5, 1 of them without a photo |" in made.text
    assert "MMD v3, dialogues with states (`mmd-v3`) |" in made.text
    assert rows(made.text, "split", "dialogues") == [
        ["test", "5", "100.0%", "0", "20", "5", "0.0", "0.0", "600.0"],  # 3,000 negatives of 5 examples
    ]
    assert rows(made.text, "slot") == [
        ["color", str(DIALOGUES), "100.0%", "1"],
        ["type", str(DIALOGUES), "100.0%", "1"],
        ["price", "0", "0.0%", "0"],
    ]
    assert f"{DIALOGUES} turns carry a state" in made.text
    assert rows(made.text, "what", "how many") == [["photo does not decode", "1,234", "product 'x'"]]
    assert [cells[0] for cells in rows(made.text, "file")] == [f"`{name}`" for name in FILES]
    assert "kept, its photo masked" in made.text


def test_the_columns_of_table_1_are_means_of_the_stores_own_lists(shop):
    found = {row.name: row for row in split_rows(shop.manifest["splits"])}

    assert sum(row.share for row in found.values()) == pytest.approx(1)
    for name, row in found.items():
        examples = shop.split(name).examples
        assert row.examples == len(examples)
        assert row.positives == pytest.approx(fmean(len(shop.positives(e)) for e in examples))
        assert row.negatives == pytest.approx(fmean(len(shop.negatives(e)) for e in examples))
        assert row.recommendation_turns >= len(examples) / row.dialogues
    assert found[STATELESS].with_states == 0
    assert found["train"].with_states == found["train"].dialogues


def test_slots_are_counted_over_turns_with_a_state(shop, monkeypatch):
    monkeypatch.setattr("semantic.report.cards.stores.ROWS_AT_ONCE", 7)
    states = np.asarray(shop.turn_states)
    found, with_state = slot_rows(shop)

    assert with_state == sum(1 for row in states.tolist() if row[0] >= 0)
    for column, row in enumerate(found):
        values = [value for value in states[:, column].tolist() if value > 0]
        assert (row.name, row.turns, row.values) == (shop.slots[column], len(values), len(set(values)))
        assert row.share == pytest.approx(len(values) / with_state)


def test_a_store_without_states_or_examples_has_a_card(shop, tmp_path):
    path = changed_copy(shop.path, tmp_path / "store", turn_states=np.full(shop.turn_states.shape, -1))
    splits = {name: counts | {"dialogues": 0, "examples": 0} for name, counts in shop.manifest["splits"].items()}
    reseal(path, splits=splits)
    text = store_card(open_store(path))

    assert "No turn carries a state." in text
    assert "| train | 0 |  |" in text
    assert f"| kept with a masked photo | {MASKED} |" in text


def test_a_simulated_source_is_told_by_its_addresses(shop, shop_data, tmp_path):
    assert is_simulated(shop_data)
    assert "**simulated**" in store_card(shop)
    (tmp_path / "url2img.txt").write_text("http://shop.example/photos/1.jpg 1.jpg\n")
    assert not is_simulated(tmp_path)
    assert not is_simulated(tmp_path / "nowhere")


def test_a_card_is_replaced_and_what_somebody_wrote_is_not(tmp_path):
    file = tmp_path / "README.md"
    write_card(file, "# one")
    write_card(file, "# two")
    assert file.read_text().startswith("# two\n")
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))  # as git may check it out
    check_card(file)
    for mine in ("# mine", file.read_text().replace("two", "three"), file.read_text() + "\nand more"):
        file.write_text(mine)
        with pytest.raises(
            DataError, match=r"README.md: expected .* a card as semantic wrote it, found another or one that"
        ):
            write_card(file, "# four")
        assert file.read_text() == mine
    file.unlink()
    file.mkdir()
    with pytest.raises(
        DataError, match=r"README.md: expected no file there or a card that semantic wrote, found a folder$"
    ):
        write_card(file, "# four")


def test_a_seal_is_of_every_letter():
    text = "---\nlicense: mit\n---\n# A"
    sealed = with_text_seal(text)
    assert has_text_seal(sealed)
    assert has_text_seal(with_text_seal(sealed))
    assert not has_text_seal(text)
    assert not has_text_seal(sealed.replace("mit", "bsd"))
    assert not has_text_seal(sealed.replace("# A", "# A " + "B"))


def test_the_card_that_is_saved_beside_weights_may_be_replaced(tmp_path):
    build("paper").float().save_pretrained(tmp_path)
    file = tmp_path / "README.md"
    check_card(file)
    assert "semantic card RUN" in file.read_text()
    assert ModelCard.load(file).data.library_name == "semantic"
    file.write_text("---\ntags: [a]\n---\n" + " ".join(HUBS))  # as huggingface_hub leaves it, and earlier versions did
    check_card(file)


def test_a_run_with_its_card_works_as_before(run, tmp_path, capsys):
    folder = shutil.copytree(run.path, tmp_path / "runs" / "tiny" / "base" / "seed_0")
    before = load_runs([folder])
    card(folder)
    card(folder.parent)
    own = folder / "model" / "README.md"

    assert capsys.readouterr().out.splitlines() == [f"card: {own}", f"card: {folder.parent / 'README.md'}"]
    text = own.read_text()
    assert "`semantic.models.semantic.paper:Semantic`, preset `paper`" in text
    assert "The network of section 3 of the paper." in text
    assert [one.summary for one in load_runs([tmp_path])] == [one.summary for one in before]
    assert Model.from_pretrained(folder / "model").spec == Model.from_pretrained(run.model).spec
    evaluate_run(folder, out=tmp_path / "result")
    train(run.read_config(), runs=tmp_path / "runs", resume=True)
    assert own.read_text() == text
    card(folder)  # and again
    assert own.read_text() == text


def test_a_store_with_its_card_works_as_before(shop, tmp_path):
    path = changed_copy(shop.path, tmp_path / "store")
    card(path)
    opened = open_store(path)
    opened.verify()
    assert opened.identity in (path / "README.md").read_text()
    assert DatasetCard.load(path / "README.md").data.pretty_name == "store"
    card(path, tmp_path / "other.md")
    assert (tmp_path / "other.md").read_text() == (path / "README.md").read_text()


def test_where_a_card_goes(one):
    assert card_place(one) == one / "model" / "README.md"
    assert card_place(one.parent) == one.parent / "README.md"
    assert card_place(Path("nowhere")) == Path("nowhere/README.md")
