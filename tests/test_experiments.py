"""The shipped experiments: what opens each, that it expands on every base and runs at smoke size, and its published values."""

import re
from pathlib import Path

import pytest
import yaml

import result_tables  # of docs/
from semantic.config.layers import experiments
from semantic.config.loading import load_config
from semantic.config.schema import SWEEP
from semantic.config.sweeps import load_sweep
from semantic.config.values import read_yaml_file
from semantic.training.loop import train
from tests.commands import semantic
from tests.worlds import STATELESS, tiny_values

BASES = (
    "mmd",
    "mmd_v2",
    "quickstart",
    "quickstart_bag",
    "quickstart_stateless",
    "simmc2_fashion",
    "simmc2_fashion_stateless",
    "simmc2_fashion_tuned",
    "simmc2_fashion_tuned_stateless",
    "simmc_paper",
    "simulated",
    "simulated_bag",
    "simulated_paper",
)
"""Experiments of one run."""
STUDIES = {
    "alpha": 5 * 5,
    "baselines": 15 * 3,
    "changes": 21 * 3,
    "collapse": 10,
    "components": 9 * 5,
    "dialogue_states": 15 * 3,
    "label_ratio": 7 * 5,
    "loss_ablation": 8 * 5,
    "mmd_v3": 5,
    "mmd_v3_to_v2": 5,
    "parts": 11 * 5,
    "published_recipe": 2,
    "simmc": 5,
    "unlabelled_size": 7 * 3,
}
"""Experiments of several runs -> how many, on their own base."""
OTHER_DATA = {"changes": "simmc2_fashion_tuned_stateless", "collapse": "simmc_paper", "published_recipe": "simmc_paper"}
"""A base of real dialogues for studies of fields that the method for small data has not, or of a preset."""


@pytest.fixture
def base(tmp_path, shop_path, shop_features):
    """A file of the paper's model at smoke size, with stateless dialogues."""
    values = tiny_values(shop_path, shop_features)
    values["data"] |= {"unlabelled": [STATELESS]}
    values["training"] |= {"epochs": 1}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values))
    return tmp_path / "tiny.yaml"


def test_these_are_all():
    assert set(experiments()) == {*BASES, *STUDIES}


@pytest.mark.parametrize("name", [*BASES, *STUDIES])
def test_a_file_opens_with_what_a_reader_needs(repository, name):
    opening = re.match(r"(#.*\n)+", (repository / "experiments" / f"{name}.yaml").read_text(encoding="utf-8"))[0]
    headings = re.findall(r"^# (\w+):", opening, re.MULTILINE)

    assert headings == (["Shows", "Command", "Expect"] if name in BASES else ["Shows", "Command", "Cost", "Published"])
    assert f"{'train' if name in BASES else 'sweep'} {name}" in opening or name == "quickstart"


@pytest.mark.parametrize("name", BASES)
def test_a_base_is_one_run(repository, name):
    values = read_yaml_file(repository / "experiments" / f"{name}.yaml", name)

    assert not set(SWEEP) & set(values)
    assert load_config(name).experiment == name
    assert load_config(name).data.store


@pytest.mark.parametrize(("name", "runs"), STUDIES.items())
def test_a_study_expands_on_every_base(name, runs):
    assert len(load_sweep(name).cells) == runs
    for base in ("quickstart_stateless", OTHER_DATA.get(name, "simmc2_fashion_stateless"), "mmd_v2"):
        sweep = load_sweep(name, [f"base={base}"])
        assert sweep.name == f"{name}.{base}"
        assert {cell.config.data.store for cell in sweep.cells} == {load_config(base).data.store}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in STUDIES if name != "dialogue_states"]
)  # it has the variants of another
def test_a_study_runs_at_smoke_size(name, base, tmp_path):
    """Every variant and every point of an axis, one run each; of folds the first of three."""
    folds = read_yaml_file(Path(__file__).parents[1] / "experiments" / f"{name}.yaml", name).get("folds")
    replicates = ["folds=3"] if folds else ["seeds=[0]"]
    sweep = load_sweep(
        name, [f"base={base}", *replicates, *(_smoke() if name == "baselines" else ["training.epochs=1"])]
    )
    firsts = {cell.config.variant: cell for cell in reversed(sweep.cells)}

    for cell in firsts.values():
        assert train(cell.config, runs=tmp_path / "runs").summary.is_file()
    assert set(firsts) == set(sweep.variants)
    beside = [row.beside for row in sweep.report.published if row.beside]
    assert set(beside) <= {*firsts, *(["clip"] if name == "baselines" else [])}


def _smoke():
    """An epoch for each of the compared methods that is trained; CLIP, which needs a checkpoint, is in test_models_whole."""
    trained = {cell.variant for cell in load_sweep("baselines").cells if cell.config.training.epochs}
    epochs = [f"variants.{name}.training.epochs=1" for name in trained - {"semantic_tuned", "clip"}]
    return [*epochs, "variants.clip.when={model.name: clip}"]


def test_published_values_are_the_papers():
    """Table 2, Table 3; the end of Figure 4, the whole method of Figure 7."""
    upper, lower, alpha = (load_sweep(name).report for name in ("mmd_v3", "mmd_v3_to_v2", "alpha"))
    rows = {row.name: row for row in upper.published}

    assert list(rows) == ["MHRED", "UMD", "MAGIC", "CLIP", "LARCH", "TREASURE", "Enteract", "SeMANTIC"]
    assert rows["SeMANTIC"].values["ndcg@5"] == (75.87, 0.71)
    assert rows["Enteract"].values["precision@20"] == (17.03, 0.07)
    assert (rows["SeMANTIC"].beside, rows["UMD"].beside) == ("base", None)
    assert {row.name: row.values["ndcg@5"] for row in load_sweep("baselines").report.published} == {
        name: row.values["ndcg@5"] for name, row in rows.items()
    }
    assert {row.name: row.values["ndcg@20"] for row in lower.published}["TREASURE, trained on MMD-v2"] == (72.87, None)
    assert [row.values["ndcg@5"][0] for row in alpha.published] == [73.57, 74.04, 75.87, 75.65, 75.69]
    whole = [load_sweep(name).report.published[0].values for name in ("label_ratio", "loss_ablation", "components")]
    assert all(values == rows["SeMANTIC"].values for values in whole)


@pytest.fixture
def ablation(repository):
    """The README's ablation of one's own, as it stands there."""
    text = (repository / "README.md").read_text(encoding="utf-8").split("An ablation of your own", 1)[1]
    return re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1]


def test_the_readmes_ablation_is_ten_lines_and_eighteen_runs(ablation, tmp_path):
    (tmp_path / "ablation.yaml").write_text(ablation)
    sweep = load_sweep(str(tmp_path / "ablation.yaml"))

    assert len(ablation.splitlines()) <= 10
    assert (len(sweep.cells), len(sweep.variants), sweep.left_out) == (18, 6, ())


@pytest.mark.slow
def test_the_readmes_ablation_is_swept_and_reported(ablation, base):
    folder = base.parent
    (folder / "ablation.yaml").write_text(ablation)
    words = ("ablation.yaml", "--set", f"base={base.name}", "--set", "seeds=0-1")

    planned = semantic("sweep", *words, "--dry-run", cwd=folder).stdout
    swept = semantic("sweep", *words, "--jobs", "2", cwd=folder).stdout
    reported = semantic("report", *words, "--out", "report", cwd=folder).stdout

    assert "12 runs, 0 finished" in planned
    assert "12 of 12 runs finished (12 now)" in swept
    assert "What teacher and photos are worth" in reported
    assert "12 of 12 runs finished" in reported
    assert (folder / "report" / "figures" / "ablation.tiny.svg").is_file()


def test_the_tables_of_the_notes_are_those_of_the_results(repository):
    text = (repository / "experiments" / "README.md").read_text(encoding="utf-8")
    files = {file.stem for file in (repository / "experiments" / "results").glob("*.json")}

    assert files == {name for _, name in result_tables.TABLE.findall(text)}
    assert files == {
        "label_ratio.simmc",
        "label_ratio.quickstart",
        "alpha.quickstart",
        "loss_ablation.quickstart",
        "label_ratio.simmc_tuned",
        "alpha.simmc_tuned",
        "unlabelled_size.quickstart",
        "unlabelled_size.simmc_tuned",
        "loss_ablation.simmc_tuned",
        "components.simmc",
        "changes",
        "collapse",
        "parts",
        "parts.simmc",
        "published_recipe",
    }
    assert result_tables.with_tables(text) == text


def test_the_notes_have_a_row_for_every_study(repository):
    text = (repository / "experiments" / "README.md").read_text(encoding="utf-8")

    assert all(f"| `{name}` |" in text for name in STUDIES)
