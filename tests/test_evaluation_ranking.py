"""The evaluation against one that scores query by query and sorts lists, and what it must not read."""

import json
import math
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from semantic.batching.candidates import all_candidates
from semantic.batching.shards import Shard
from semantic.config.loading import make_config
from semantic.config.schema import EvaluationConfig
from semantic.datasets.batches.builder import BatchBuilder
from semantic.datasets.batches.tensors import Contexts, Products
from semantic.datasets.store.store import Store, open_store
from semantic.evaluation.product_index import index_products
from semantic.evaluation.ranking import Evaluation, ScoreError, evaluate, evaluate_examples
from semantic.models.building import build_model
from semantic.models.interface import Explanation, Loss, Model, ProductRows, query_tensor
from semantic.models.losses import hinge_loss
from semantic.models.semantic.joint import ranking_term
from semantic.runtime.errors import DataError, UserError
from tests.small_world import whole
from tests.worlds import SMALL_DATA, TWO_TOWER, changed_copy, reseal, tiny_values

METRICS = [f"{name}@{k}" for k in (5, 10, 20) for name in ("precision", "recall", "ndcg")]
MEASURED = [f"{protocol}/{name}" for protocol in ("standard", "released") for name in METRICS]
IDENTITY = ["dialogue", "dialogue_row", "turn", "candidates", "positives"]
RANKS = ["positive_scores", "above", "tied", "negatives_above"]
TOP = ["top_products", "top_scores", "top_hit"]
ATTENTION = "Hop attention over the slots"
QUERY = [f"explain/{ATTENTION}/query/{source}" for source in ("dialogue text", "dialogue photos")]
PRODUCTS = [f"explain/{ATTENTION}/top/{source}" for source in ("text", "photo")]


@pytest.fixture(scope="module")
def model(shop: Store, shop_features) -> Model:
    return build_model(make_config(tiny_values(shop.path, shop_features)), shop, lambda _: None).eval()


@pytest.fixture(scope="module")
def builder(model: Model, shop: Store) -> BatchBuilder:
    return model.open_batches(shop)


@pytest.fixture(scope="module")
def evaluation(model: Model, shop: Store) -> Evaluation:
    return evaluate(model, shop, "test", detail=True)


@pytest.fixture(scope="module")
def naive_scores(model: Model, builder: BatchBuilder, shop: Store) -> list[dict[int, float]]:
    """Each test query's candidates scored by the whole model, a batch of one query at a time."""
    scores = []
    with torch.no_grad():
        for row in shop.split("test").examples:
            candidates, positive = all_candidates(shop, np.array([row]))
            batch = builder.batch(np.array([row]), candidates, positive)
            relevance = model.scores(
                model.encode_query(batch.contexts), model.encode_products(batch.products), batch.candidates
            )
            scores.append(dict(zip(candidates[0].tolist(), relevance[0].tolist(), strict=True)))
    return scores


def naive_metrics(scores: dict[int, float], positives: list[int]) -> dict[str, float]:
    """Both protocols for scores without ties, from a sorted list."""
    ranking = sorted(scores, key=lambda product: -scores[product])
    ranks = [ranking.index(product) for product in positives]  # from 0
    behind = [sum(scores[other] > scores[p] for other in scores if other not in positives) for p in positives]
    found = {}
    for k in (5, 10, 20):
        hits = sum(rank < k for rank in ranks)
        ideal = sum(1 / math.log2(i + 2) for i in range(min(k, len(positives))))
        gain = sum(1 / math.log2(rank + 2) for rank in ranks if rank < k)
        found |= {
            f"standard/precision@{k}": hits / k,
            f"standard/recall@{k}": hits / len(positives),
            f"standard/ndcg@{k}": gain / ideal,
        }
        hits = sum(rank < k for rank in behind)
        histogram = [behind.count(i) for i in range(len(scores))]
        best = sum(h / math.log2(i + 2) for i, h in enumerate(sorted(histogram, reverse=True)[:k]))
        gain = sum(h / math.log2(i + 2) for i, h in enumerate(histogram[:k]))
        found |= {
            f"released/precision@{k}": hits / k,
            f"released/recall@{k}": hits / len(positives),
            f"released/ndcg@{k}": gain / best,
        }
    return found


def test_every_query_is_ranked_as_by_itself(evaluation, naive_scores, shop):
    queries = evaluation.queries
    for q, row in enumerate(shop.split("test").examples):
        scores, positives = naive_scores[q], shop.positives(row).tolist()
        assert queries["positives"][q] == positives
        assert queries["candidates"][q] == len(scores)
        assert queries["positive_scores"][q] == pytest.approx([scores[p] for p in positives], abs=1e-5)
        assert queries["above"][q] == [sum(s > scores[p] for s in scores.values()) for p in positives]
        assert queries["tied"][q] == [1] * len(positives)
        negatives = [scores[n] for n in shop.negatives(row).tolist()]
        assert queries["negatives_above"][q] == [sum(s > scores[p] for s in negatives) for p in positives]
        for name, value in naive_metrics(scores, positives).items():
            assert queries[name][q] == pytest.approx(value), name


def test_the_protocols_are_means_over_the_queries(evaluation, naive_scores, shop):
    rows = shop.split("test").examples
    each = [naive_metrics(scores, shop.positives(row).tolist()) for scores, row in zip(naive_scores, rows, strict=True)]
    for protocol in ("standard", "released"):
        assert list(evaluation.protocols[protocol]) == METRICS
        for name, value in evaluation.protocols[protocol].items():
            assert value == pytest.approx(sum(query[f"{protocol}/{name}"] for query in each) / len(each))
    assert evaluation.tie_rate == 0


RANKINGS = {
    "the paper's": {},
    "a margin": {"loss": {"ranking": {"margin": 0.3}}},
    "softmax": {"loss": {"ranking": {"kind": "sampled_softmax", "scale": 7.0}}},
    "small data": SMALL_DATA,
}


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("name", RANKINGS)
def test_the_loss_is_the_runs_own_ranking_loss_over_all_candidates(shop, shop_features, name, batch_size):
    values = tiny_values(shop.path, shop_features)
    values["model"] = {**(SMALL_DATA if name == "small data" else values["model"]), **RANKINGS[name]}
    values["model"]["image"] = {"features": str(shop_features)}
    config = make_config(values)
    made = build_model(config, shop, lambda _: None).eval()
    if made.log_scale is not None:
        torch.nn.init.constant_(made.log_scale, math.log(11.0))  # as training may have left it
    builder, rows = made.open_batches(shop), np.array(shop.split("test").examples)

    found = evaluate_examples(made, builder, rows, EvaluationConfig(batch_size=batch_size)).loss

    batch = builder.batch(rows, *all_candidates(shop, rows))
    with torch.no_grad():
        products = ProductRows.of(made.encode_products(batch.products), batch.candidates)
        match = made.match(made.encode_query(batch.contexts), products)
        expected = ranking_term(match, whole(batch), config.model.loss.ranking)
    assert found == pytest.approx(float(expected), abs=2e-5)
    if name != "the paper's":
        with torch.no_grad():
            assert found != pytest.approx(float(hinge_loss(match.relevance, batch.positive, batch.keep)), abs=1e-2)


def test_the_loss_of_a_model_that_names_none_is_the_hinge(shop):
    made = build_model(make_config(tiny_values(shop.path, model=TWO_TOWER)), shop, lambda _: None).eval()
    builder, rows = made.open_batches(shop), np.array(shop.split("test").examples)

    found = evaluate_examples(made, builder, rows, EvaluationConfig(batch_size=4)).loss

    batch = builder.batch(rows, *all_candidates(shop, rows))
    with torch.no_grad():
        query, products = made.encode_query(batch.contexts), made.encode_products(batch.products)
        expected = hinge_loss(made.scores(query, products, batch.candidates), batch.positive, batch.keep)
    assert found == pytest.approx(float(expected), abs=1e-5)


def test_a_query_names_its_dialogue_and_its_turn(evaluation, shop):
    rows = shop.split("test").examples
    dialogues, turns = shop.example_turns[rows.start : rows.stop].T
    assert evaluation.queries["dialogue_row"] == dialogues.tolist()
    assert evaluation.queries["turn"] == turns.tolist()
    assert evaluation.queries["dialogue"] == [shop.dialogue_names[d] for d in dialogues]


def test_the_best_products_are_the_highest_scores_with_their_attention(evaluation, naive_scores, shop):
    slots = len(shop.slots)
    for q, row in enumerate(shop.split("test").examples):
        scores = naive_scores[q]
        top = evaluation.queries["top_products"][q]
        assert top == sorted(scores, key=lambda product: -scores[product])[:10]
        assert evaluation.queries["top_scores"][q] == pytest.approx([scores[p] for p in top], abs=1e-5)
        assert evaluation.queries["top_hit"][q] == [p in shop.positives(row) for p in top]
        for of_query, of_products in zip(QUERY, PRODUCTS, strict=True):
            shown = [evaluation.queries[of_query][q], *evaluation.queries[of_products][q]]
            assert [len(attention) for attention in shown] == [slots] * 11
            assert [sum(attention) for attention in shown] == pytest.approx([1.0] * 11, abs=1e-5)


def test_attention_belongs_to_the_product_it_stands_beside(evaluation, model, builder, shop):
    row = shop.split("test").start
    top = evaluation.queries["top_products"][0]
    with torch.no_grad():
        query = model.encode_query(builder.contexts(np.array([row])))
        rows = model.encode_products(builder.products(np.array(top)))
        match = model.match(query, ProductRows.of(rows, None))
    for column, expected in zip(PRODUCTS, (match.product_text, match.product_image), strict=True):
        np.testing.assert_allclose(evaluation.queries[column][0], expected[0].numpy(), atol=1e-5)
        assert np.ptp(expected[0].numpy(), axis=0).max() > 1e-4  # products differ, so a shuffled list would show
    for column, expected in zip(QUERY, (match.context_text, match.context_image), strict=True):
        np.testing.assert_allclose(evaluation.queries[column][0], expected[0].numpy(), atol=1e-5)


def test_an_evaluation_says_what_its_columns_of_explanations_are(evaluation, model, shop):
    assert evaluation.explanations == [
        {
            "title": ATTENTION,
            "labels": list(shop.slots),
            "query": ["dialogue text", "dialogue photos"],
            "products": ["text", "photo"],
        }
    ]
    assert evaluate(model, shop, "valid").explanations == []  # they are for the report alone


def test_a_model_that_explains_nothing_has_no_such_columns(shop):
    made = build_model(make_config(tiny_values(shop.path, model=TWO_TOWER)), shop, lambda _: None)
    found = evaluate(made, shop, "test", detail=True)

    assert found.explanations == []
    assert set(found.queries) == {*IDENTITY, *RANKS, *TOP, *MEASURED}
    assert len(found.queries["top_products"][0]) == 10


class Explaining(Model):
    """A model of random rows that explains what products add alone, each by its own score, twice over."""

    @property
    def product_shape(self) -> tuple[int, ...]:
        return (3,)

    def encode_products(self, products: Products) -> torch.Tensor:
        return products.tokens[:, :1].float() * torch.tensor([1.0, 2.0, 5.0])

    def encode_query(self, contexts: Contexts) -> torch.Tensor:
        return contexts.turn_tokens[contexts.turns.clamp(min=0)][:, :, :1].float().sum(1) * torch.ones(3)

    def score(self, query: torch.Tensor, products: ProductRows) -> torch.Tensor:
        return torch.einsum("qd,qcd->qc", query, products.rows.expand(len(query), -1, -1)).sin()

    def loss(self, shard: Shard) -> Loss:
        raise NotImplementedError

    def explain(self, query: torch.Tensor, products: ProductRows) -> list[Explanation]:
        scores = self.score(query, products)
        own = {"score": scores.unsqueeze(2) * torch.tensor([1.0, -1.0])}
        return [Explanation("first", ("up", "down"), {}, own), Explanation("second", ("up", "down"), {}, own)]


def test_every_explanation_of_a_model_is_a_column_beside_the_products(model, shop):
    made = Explaining(model.config, model.spec)
    made.tokenizer = model.tokenizer

    found = evaluate(made, shop, "test", detail=True)

    assert [one["title"] for one in found.explanations] == ["first", "second"]
    assert [(one["query"], one["products"]) for one in found.explanations] == [([], ["score"])] * 2
    assert found.explanations[0]["labels"] == ["up", "down"]
    for title in ("first", "second"):
        for scores, weights in zip(
            found.queries["top_scores"], found.queries[f"explain/{title}/top/score"], strict=True
        ):
            assert weights == [[pytest.approx(score), pytest.approx(-score)] for score in scores]


def test_the_table_of_queries_has_its_columns_and_their_types(evaluation, model, shop, tmp_path):
    evaluation.write_queries(tmp_path / "queries.parquet")
    schema = pq.read_schema(tmp_path / "queries.parquet")
    assert set(schema.names) == {*IDENTITY, *RANKS, *TOP, *QUERY, *PRODUCTS, *MEASURED}
    types = {name: str(schema.field(name).type).replace("element", "item") for name in schema.names}
    assert types["dialogue"] == "string"
    assert {types[name] for name in ("dialogue_row", "turn", "candidates")} == {"int64"}
    assert {types[name] for name in MEASURED} == {"double"}
    lists = ("positives", "above", "tied", "negatives_above", "top_products")
    assert {types[name] for name in lists} == {"list<item: int64>"}
    assert pq.read_table(tmp_path / "queries.parquet").num_rows == len(shop.split("test"))
    plain = evaluate(model, shop, "test").queries
    assert set(plain) == {*IDENTITY, *RANKS, *MEASURED}  # the rest is for the report


def test_the_gold_states_are_never_read(model, shop, tmp_path):
    rng = np.random.default_rng(0)
    wrong = rng.integers(0, len(shop.state_values), shop.turn_states.shape)
    other = open_store(changed_copy(shop.path, tmp_path / "store", turn_states=wrong))

    first, second = (evaluate(model, store, "test", detail=True) for store in (shop, other))

    assert first.queries == second.queries
    assert first.protocols == second.protocols


def test_the_order_and_the_grouping_of_queries_change_nothing(model, builder, shop, evaluation):
    rows = np.array(shop.split("test").examples)
    order = np.random.default_rng(1).permutation(len(rows))
    for config in (EvaluationConfig(batch_size=1, product_batch_size=3), EvaluationConfig(batch_size=4)):
        found = evaluate_examples(model, builder, rows[order], config, detail=True)
        for name in ("turn", "positives", "above", "negatives_above", "top_products", "standard/ndcg@5"):
            assert found.queries[name] == [evaluation.queries[name][q] for q in order], name
        for protocol, values in found.protocols.items():
            assert values == pytest.approx(evaluation.protocols[protocol])
        for q, scores in zip(order, found.queries["positive_scores"], strict=True):
            assert scores == pytest.approx(evaluation.queries["positive_scores"][q], abs=1e-5)


def test_dropout_is_off_and_the_mode_is_left_as_it_was(model, builder, shop, evaluation):
    rows = np.array(shop.split("test").examples)
    try:
        for mode in (True, False):
            model.train(mode)
            found = evaluate_examples(model, builder, rows, EvaluationConfig(), detail=True)
            assert model.training is mode
            assert found.queries == evaluation.queries
    finally:
        model.eval()


def test_nothing_is_kept_for_a_gradient(model, builder):
    index = index_products(model, builder, np.arange(7), EvaluationConfig(product_batch_size=3))
    assert not index.rows.requires_grad
    assert len(index) == 7


def test_equal_scores_are_a_tie_rate_of_one(model, builder, shop, monkeypatch):
    def level(query: Any, products: ProductRows) -> torch.Tensor:
        return torch.zeros(len(query_tensor(query)), products.rows.shape[1])

    monkeypatch.setattr(model, "score", level)
    found = evaluate_examples(model, builder, np.array(shop.split("test").examples), EvaluationConfig())
    assert found.tie_rate == 1
    assert found.queries["tied"] == [
        [count] * len(positives)
        for count, positives in zip(found.queries["candidates"], found.queries["positives"], strict=True)
    ]
    assert found.protocols["released"]["ndcg@5"] == 1  # what the warning in the report is about


def test_progress_counts_the_queries(model, builder, shop):
    rows, told = np.array(shop.split("test").examples), []
    evaluate_examples(model, builder, rows, EvaluationConfig(batch_size=4), progress=lambda *at: told.append(at))
    assert told == [(min(done, len(rows)), len(rows)) for done in range(4, len(rows) + 4, 4)]


def test_a_split_that_is_not_there_or_empty_is_named(model, shop, tmp_path):
    with pytest.raises(DataError, match="expected a split of train, valid, test, v2_train, found 'dev'"):
        evaluate(model, shop, "dev")
    path = changed_copy(shop.path, tmp_path / "store")
    splits = json.loads((path / "manifest.json").read_text())["splits"]
    reseal(path, splits=splits | {"extra": dict.fromkeys(splits["test"], 0)})
    with pytest.raises(DataError, match="expected examples in split 'extra', found none"):
        evaluate(model, open_store(path), "extra")


def test_a_model_without_tokenizer_is_refused(shop, shop_features):
    made = build_model(make_config(tiny_values(shop.path, shop_features)), shop, lambda _: None)
    made.tokenizer = None
    with pytest.raises(UserError, match="expected a tokenizer"):
        evaluate(made, shop)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_score_that_is_no_number_names_its_query(model, builder, shop, monkeypatch, batch_size, value):
    rows = np.array(shop.split("test").examples)
    broken = 2
    original, done = model.score, 0

    def score(query: Any, products: ProductRows) -> torch.Tensor:
        nonlocal done
        found = original(query, products)
        first, done = done, done + len(found)
        if first <= broken < done:
            found[broken - first, 1] = value
        return found

    monkeypatch.setattr(model, "score", score)
    dialogue, turn = (int(value) for value in shop.example_turns[rows[broken]])
    place = turn - int(shop.dialogue_first_turn[dialogue])
    message = f"dialogue '{shop.dialogue_names[dialogue]}' turn {place}: expected a number as every candidate's score, got {value}$"
    with pytest.raises(ScoreError, match=message):
        evaluate_examples(model, builder, rows, EvaluationConfig(batch_size=batch_size))
