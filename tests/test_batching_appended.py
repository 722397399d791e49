"""`data.dialogue_states: appended`: every model reads the gold state in the last turn, and everything says so."""

import re

import pytest

from semantic.config.loading import make_config
from semantic.models.interface import Model
from semantic.runs.reading import load_runs
from semantic.runtime.errors import DataError
from semantic.serving.recommend import Recommender
from semantic.training.loop import train
from tests.worlds import TWO_TOWER, Listener, tiny_values


@pytest.fixture(scope="module", params=["semantic", "two towers"])
def appended(request, shop_path, shop_features, tmp_path_factory):
    """A run of one epoch, and what it said."""
    made = (
        tiny_values(shop_path, shop_features)
        if request.param == "semantic"
        else tiny_values(shop_path, model=TWO_TOWER)
    )
    made["data"] |= {"dialogue_states": "appended"}
    made["training"]["epochs"] = 1
    heard = Listener()
    return train(make_config(made), runs=tmp_path_factory.mktemp("runs"), progress=heard), heard.said


def test_the_run_says_that_the_label_is_read_and_its_row_is_marked(appended):
    folder, said = appended

    assert any(re.search("data.dialogue_states appended: the gold state stands .* upper bound", one) for one in said)
    (run,) = load_runs([folder.path])
    assert run.summary.reads_gold_states


def test_the_saved_model_reads_states_too_and_recommends_for_no_new_dialogue(appended, shop):
    folder, _ = appended
    model = Model.from_pretrained(folder.model)

    assert model.spec.states_appended
    builder = model.open_batches(shop)
    assert builder.appended == model.spec.key_tokens
    with pytest.raises(DataError, match="got one that ranks by the gold state"):
        Recommender(model, shop)
