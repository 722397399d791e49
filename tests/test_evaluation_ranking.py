"""The evaluation against one that scores query by query and sorts lists, and what it must not read."""

import math

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from semantic.batching.steps import all_candidates
from semantic.config.schema import EvaluationConfig
from semantic.datasets.store.store import Store, open_store
from semantic.evaluation.catalogue import encode_catalogue
from semantic.evaluation.ranking import Evaluation, evaluate, evaluate_examples
from semantic.models.building import CheckpointError, batch_builder, build_model
from semantic.models.semantic.losses import ranking_loss
from semantic.models.semantic.paper import Semantic
from semantic.models.semantic.vectors import Query
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Progress
from tests.worlds import changed_copy, tiny_values

CPU = torch.device("cpu")
METRICS = [f"{name}@{k}" for k in (5, 10, 20) for name in ("precision", "recall", "ndcg")]
IDENTITY = ["dialogue", "dialogue_row", "turn", "candidates", "positives"]
RANKS = ["positive_scores", "above", "tied", "negatives_above"]
DETAIL = ["top_products", "top_scores", "top_hit"] + [
    f"attention_{whose}_{kind}" for whose in ("context", "top") for kind in ("text", "image")
]


@pytest.fixture(scope="module")
def model(shop: Store, shop_features) -> Semantic:
    from semantic.config.loading import make_config

    return build_model(make_config(tiny_values(shop.path, shop_features)), shop, lambda _: None).eval()


@pytest.fixture(scope="module")
def builder(model: Semantic, shop: Store):
    return batch_builder(model, shop, CPU, Progress())


@pytest.fixture(scope="module")
def evaluation(model: Semantic, shop: Store) -> Evaluation:
    return evaluate(model, shop, "test", detail=True)


@pytest.fixture(scope="module")
def naive_scores(model: Semantic, builder, shop: Store) -> list[dict[int, float]]:
    """Each test query's candidates scored by the whole model, a batch of one query at a time."""
    scores = []
    with torch.no_grad():
        for row in shop.split("test").examples:
            candidates, positive = all_candidates(shop, np.array([row]))
            relevance = model(builder.batch(np.array([row]), candidates, positive)).student.relevance
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


def test_the_loss_is_the_students_ranking_loss_over_all_pairs(model, builder, shop):
    rows = np.array(shop.split("test").examples)
    found = evaluate_examples(model, builder, rows, EvaluationConfig(batch_size=4)).loss

    candidates, positive = all_candidates(shop, rows)
    batch = builder.batch(rows, candidates, positive)
    with torch.no_grad():
        expected = ranking_loss(model(batch).student.relevance, batch.positive, batch.keep)
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
        for kind in ("text", "image"):
            shown = [
                evaluation.queries[f"attention_context_{kind}"][q],
                *evaluation.queries[f"attention_top_{kind}"][q],
            ]
            assert [len(attention) for attention in shown] == [slots] * 11
            assert [sum(attention) for attention in shown] == pytest.approx([1.0] * 11, abs=1e-5)


def test_attention_belongs_to_the_product_it_stands_beside(evaluation, model, builder, shop):
    row = shop.split("test").start
    top = evaluation.queries["top_products"][0]
    with torch.no_grad():
        context = model.encode_contexts(builder.contexts(np.array([row])))
        vectors = model.encode_products(builder.products(np.array(top)))
        match = model.match(model.student_state(context), context, vectors)
    for kind in ("text", "image"):
        expected = getattr(match, f"product_{kind}")[0].numpy()
        np.testing.assert_allclose(evaluation.queries[f"attention_top_{kind}"][0], expected, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 1e-4  # products differ, so a shuffled list would show


def test_the_table_of_queries_has_its_columns_and_their_types(evaluation, model, shop, tmp_path):
    evaluation.write_queries(tmp_path / "queries.parquet")
    schema = pq.read_schema(tmp_path / "queries.parquet")
    measured = [f"{protocol}/{name}" for protocol in ("standard", "released") for name in METRICS]

    assert set(schema.names) == {*IDENTITY, *RANKS, *DETAIL, *measured}
    types = {name: str(schema.field(name).type).replace("element", "item") for name in schema.names}
    assert types["dialogue"] == "string"
    assert {types[name] for name in ("dialogue_row", "turn", "candidates")} == {"int64"}
    assert {types[name] for name in measured} == {"double"}
    lists = ("positives", "above", "tied", "negatives_above", "top_products")
    assert {types[name] for name in lists} == {"list<item: int64>"}
    assert pq.read_table(tmp_path / "queries.parquet").num_rows == len(shop.split("test"))
    plain = evaluate(model, shop, "test").queries
    assert set(plain) == {*IDENTITY, *RANKS, *measured}  # the rest is for the report


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
    vectors = encode_catalogue(model, builder, np.arange(7), EvaluationConfig(product_batch_size=3))
    assert not vectors.rows.requires_grad
    assert len(vectors) == 7


def test_equal_scores_are_a_tie_rate_of_one(model, builder, shop, monkeypatch):
    def level(_: Semantic, query: Query, pairs: torch.Tensor, squared: torch.Tensor) -> torch.Tensor:
        del squared
        return torch.zeros(len(query), pairs.shape[1])

    monkeypatch.setattr(Semantic, "relevance", level)
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
    import json

    with pytest.raises(DataError, match="expected a split of train, valid, test, v2_train, found 'dev'"):
        evaluate(model, shop, "dev")
    path = changed_copy(shop.path, tmp_path / "store")
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["splits"]["extra"] = dict.fromkeys(manifest["splits"]["test"], 0)
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="expected examples in split 'extra', found none"):
        evaluate(model, open_store(path), "extra")


def test_a_model_without_tokenizer_is_refused(shop, shop_features):
    from semantic.config.loading import make_config

    model = build_model(make_config(tiny_values(shop.path, shop_features)), shop, lambda _: None)
    model.tokenizer = None
    with pytest.raises(CheckpointError, match="expected a tokenizer"):
        evaluate(model, shop)
