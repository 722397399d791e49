"""A model of one's own goes every way that the package's models go, and nothing but its file knows it."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from semantic.models.interface import Loss, Model, ProductRows, precise, query_tensor, some_queries
from tests.commands import semantic
from tests.two_tower import TwoTower

EXPERIMENT = {
    "model": {"name": "two_tower:TwoTower", "dim": 13, "text": {"vocabulary": 300}},
    "training": {"epochs": 2, "batch_size": 16, "learning_rate": 1e-2, "shared_negatives": 7, "threads": 1},
}
RUN = "runs/own/base/seed_0"


@pytest.fixture(scope="module")
def folder(shop_path, tmp_path_factory) -> Path:
    """A user's folder: the model's file, an experiment, and a run of it."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copy(Path(__file__).with_name("two_tower.py"), folder)
    (folder / "own.yaml").write_text(yaml.safe_dump({**EXPERIMENT, "data": {"store": str(shop_path)}}))
    semantic("train", "own.yaml", "--keep-state", cwd=folder)
    return folder


def test_the_readme_shows_the_model(repository):
    blocks = re.findall(r"```python\n(.*?)```", (repository / "README.md").read_text(encoding="utf-8"), re.DOTALL)

    assert Path(__file__).with_name("two_tower.py").read_text(encoding="utf-8").endswith(blocks[1])


@pytest.mark.slow
def test_it_trains_and_goes_on_to_the_same_end(folder, tmp_path):
    done = json.loads((folder / RUN / "summary.json").read_text())
    shutil.copytree(folder, tmp_path / "again")
    (tmp_path / "again" / RUN / "summary.json").unlink()

    said = semantic("train", "own.yaml", "--resume", cwd=tmp_path / "again").stdout

    assert "resuming after epoch 2 of 2" in said
    again = json.loads((tmp_path / "again" / RUN / "summary.json").read_text())
    assert again["protocols"] == done["protocols"]
    assert (done["epochs"], done["explanations"]) == (2, [])


@pytest.mark.slow
def test_it_evaluates_recommends_and_reports(folder):
    (folder / "dialogue.json").write_text(json.dumps([{"speaker": "user", "text": "a red dress"}]))

    semantic("evaluate", RUN, "--split", "valid", "--out", "on_valid", "--seen", "keep", cwd=folder)
    said = semantic(
        "recommend",
        RUN,
        "--dialogue",
        "dialogue.json",
        "--top",
        3,
        "--html",
        "page.html",
        "--format",
        "json",
        cwd=folder,
    ).stdout
    semantic("report", "runs", "--out", "report", cwd=folder)

    assert json.loads((folder / "on_valid" / "summary.json").read_text())["split"] == "valid"
    scores = [one["score"] for one in json.loads(said)["recommendations"]]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert "Recommendations" in (folder / "page.html").read_text()
    assert "NDCG@5" in (folder / "report" / "report.html").read_text()


@pytest.mark.slow
def test_it_benches_without_a_direct_form(folder):
    semantic("bench", "own.yaml", "--quick", "--out", "bench", cwd=folder)

    lines = json.loads((folder / "bench" / "bench.json").read_text())["lines"]
    training = [line for line in lines if line["what"].startswith("training, no photos, float32")]
    assert training[0]["ours"]["value"] > 0
    assert training[0]["other"] is None
    assert training[0]["note"] == "the model has no direct form"


@pytest.mark.slow
def test_a_saved_model_comes_back_as_its_class(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)

    assert type(Model.from_pretrained(folder / RUN / "model")).__name__ == "TwoTower"


def test_a_model_that_lacks_a_method_is_no_model():
    class Half(TwoTower):
        score = Model.score

    with pytest.raises(TypeError, match="score"):
        Half(Half.Config(name="half"), None)


def test_rows_are_gathered_by_candidate_or_shared_by_all():
    rows = torch.arange(6.0).view(3, 2)

    gathered = ProductRows.of(rows, torch.tensor([[2, 0], [-1, 1]])).rows
    assert gathered.tolist() == [[[4, 5], [0, 1]], [[0, 1], [2, 3]]]  # padding reads row 0
    assert ProductRows.of(rows, None).rows.shape == (1, 3, 2)


def test_queries_are_sliced_and_made_precise_inside_dataclasses():
    query = ProductRows(torch.ones(5, 2, 3, dtype=torch.bfloat16), torch.arange(10.0).view(5, 2))

    some = some_queries(query, slice(1, 3))
    assert some.squared_norms.flatten().tolist() == [2.0, 3.0, 4.0, 5.0]
    assert query_tensor(some).shape == (2, 2, 3)
    assert precise(query).rows.dtype == torch.float32


def test_a_loss_is_the_sum_of_its_terms():
    loss = Loss.sum(first=torch.tensor(2.0), second=torch.tensor(3.0))

    assert float(loss.total) == 5.0
    assert list(loss.terms) == ["first", "second"]
