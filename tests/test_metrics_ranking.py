"""Both protocols: hand-worked cases, an oracle that lists every order of the ties, and ir-measures."""

import itertools
import math
import statistics
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic.metrics.ranking import average, concatenate, count_ranks, released, standard, tie_rate, tied_queries

D1, D2, D3, D4 = (1 / math.log2(rank + 1) for rank in (1, 2, 3, 4))


def ranks_of(scores, positive, keep=None):
    scores = torch.tensor([scores], dtype=torch.float32)
    keep = torch.ones_like(scores, dtype=torch.bool) if keep is None else torch.tensor([keep], dtype=torch.bool)
    return count_ranks(scores, torch.tensor([positive], dtype=torch.bool), keep)


def only(values):
    return {name: value.item() for name, value in values.items()}


def test_two_positives_behind_one_negative_differ_by_protocol():
    ranks = ranks_of([3.0, 2.0, 1.0, 0.0], [0, 1, 1, 0])

    assert only(standard(ranks, [5]))["ndcg@5"] == pytest.approx((D2 + D3) / (D1 + D2))  # 0.693
    assert only(released(ranks, [5]))["ndcg@5"] == pytest.approx(2 * D2 / (2 * D1))  # 0.631
    assert ranks.above.tolist() == [[1, 2]]
    assert ranks.negatives_above.tolist() == [[1, 1]]


def test_positives_do_not_compete_in_the_released_protocol():
    ranks = ranks_of([5.0, 4.0, 3.0, 2.0, 1.0], [1, 1, 0, 1, 0])  # released ranks 0, 0, 1

    result = only(released(ranks, [1, 2]))

    assert result["recall@1"] == pytest.approx(2 / 3)
    assert result["precision@1"] == pytest.approx(2 / 1)
    assert result["ndcg@1"] == pytest.approx(1.0)
    assert result["recall@2"] == pytest.approx(3 / 3)
    assert result["precision@2"] == pytest.approx(3 / 2)
    assert result["ndcg@2"] == pytest.approx((2 * D1 + 1 * D2) / (2 * D1 + 1 * D2))


def test_released_ideal_sorts_the_histogram_over_all_ranks():
    # Released ranks 1, 3, 3: h = [0, 1, 0, 2], sorted [2, 1, 0, 0].
    ranks = ranks_of([9.0, 8.0, 7.0, 6.0, 5.0, 4.0], [0, 1, 0, 0, 1, 1])

    result = only(released(ranks, [2, 5]))

    assert result["ndcg@2"] == pytest.approx(1 * D2 / (2 * D1 + 1 * D2))
    assert result["ndcg@5"] == pytest.approx((1 * D2 + 2 * D4) / (2 * D1 + 1 * D2))


def test_equal_scores_are_chance_by_the_standard_and_perfect_by_the_released_protocol():
    candidates, positives = 7, 2
    ranks = ranks_of([0.5] * candidates, [1] * positives + [0] * (candidates - positives))

    assert only(standard(ranks, [3])) == pytest.approx(
        {
            "precision@3": positives / candidates,
            "recall@3": 3 / candidates,
            "ndcg@3": positives * (D1 + D2 + D3) / candidates / (D1 + D2),
        }
    )
    assert only(released(ranks, [3])) == pytest.approx({"precision@3": 2 / 3, "recall@3": 1.0, "ndcg@3": 1.0})
    assert tie_rate(ranks) == 1.0


def test_ideal_is_cut_at_k_and_recall_is_not():
    ranks = ranks_of([4.0, 3.0, 2.0, 1.0], [1, 1, 1, 0])

    assert only(standard(ranks, [2])) == pytest.approx({"precision@2": 1.0, "recall@2": 2 / 3, "ndcg@2": 1.0})


def test_k_beyond_the_candidates_divides_precision_by_k():
    assert only(standard(ranks_of([1.0, 0.0], [0, 1]), [5]))["precision@5"] == pytest.approx(1 / 5)


def test_ranks_index_positives_in_candidate_order_and_pad():
    scores = torch.tensor([[0.0, 2.0, 1.0, 2.0, 9.0], [1.0, 0.0, 0.0, 0.0, 0.0]])
    positive = torch.tensor([[1, 0, 0, 1, 1], [0, 0, 1, 0, 0]], dtype=torch.bool)
    keep = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]], dtype=torch.bool)

    ranks = count_ranks(scores, positive, keep)

    assert ranks.positive_index.tolist() == [[0, 3], [2, 0]]
    assert ranks.above.tolist() == [[3, 0], [1, 0]]
    assert ranks.tied.tolist() == [[1, 2], [4, 0]]
    assert ranks.negatives_above.tolist() == [[2, 0], [1, 0]]
    assert ranks.negatives_tied.tolist() == [[0, 1], [3, 0]]
    assert ranks.keep.tolist() == [[True, True], [True, False]]
    assert ranks.num_positives.tolist() == [2, 1]
    assert ranks.num_negatives.tolist() == [2, 4]


def test_only_ties_with_negatives_count_as_ties():
    scores = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [2.0, 1.0, 1.0]])
    positive = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 0, 0]], dtype=torch.bool)

    ranks = count_ranks(scores, positive, torch.ones_like(positive))

    assert tied_queries(ranks).tolist() == [False, True, False]
    assert tie_rate(ranks) == pytest.approx(1 / 3)


def test_nan_names_its_query_unless_it_is_padding():
    scores = torch.tensor([[1.0, 0.0], [math.nan, 0.0]])
    positive = torch.tensor([[True, False], [False, True]])
    with pytest.raises(ValueError, match=r"scores, query 1: expected a number for every kept candidate, got NaN"):
        count_ranks(scores, positive, torch.ones_like(positive))
    assert count_ranks(scores, positive, torch.tensor([[True, True], [False, True]])).above.tolist() == [[0], [0]]


def test_a_query_without_positive_is_named():
    positive = torch.tensor([[True, False], [True, False]])
    with pytest.raises(ValueError, match=r"positive, query 1: expected at least one positive"):
        count_ranks(torch.zeros(2, 2), positive, torch.tensor([[True, True], [False, True]]))


def test_average_weighs_queries_equally_and_refuses_none():
    assert average({"recall@5": torch.tensor([0.0, 0.5, 1.0, 1.0], dtype=torch.float64)}) == {"recall@5": 2.5 / 4}
    with pytest.raises(ValueError, match=r"recall@5: expected at least one query"):
        average({"recall@5": torch.empty(0, dtype=torch.float64)})


@pytest.mark.parametrize("protocol", [standard, released])
def test_a_cutoff_below_one_is_refused(protocol):
    with pytest.raises(ValueError, match="expected a cutoff of at least 1, got 0"):
        protocol(ranks_of([1.0, 0.0], [0, 1]), [0])


# --- properties ---------------------------------------------------------------------------------------------------

SMALL = settings(max_examples=60, deadline=None)


@st.composite
def queries(draw, most=6):
    """One query of a few candidates whose scores, drawn from four levels, often tie."""
    size = draw(st.integers(2, most))
    scores = draw(st.lists(st.sampled_from([-1.0, 0.0, 0.25, 3.0]), min_size=size, max_size=size))
    positive = draw(st.lists(st.booleans(), min_size=size, max_size=size).filter(any))
    return scores, positive


def oracle_standard(scores, positive, k):
    """The mean over every order that sorts the scores, one order at a time."""
    orders = [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    total = sum(positive)
    hits = [sum(positive[item] for item in order[:k]) for order in orders]
    gains = [
        sum(positive[item] / math.log2(rank + 1) for rank, item in enumerate(order[:k], start=1)) for order in orders
    ]
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(total, k) + 1))
    return {
        f"precision@{k}": statistics.fmean(hits) / k,
        f"recall@{k}": statistics.fmean(hits) / total,
        f"ndcg@{k}": statistics.fmean(gains) / ideal,
    }


def oracle_released(scores, positive, k):
    """The histogram of ranks among negatives, filled and sorted as written in DESIGN section 4."""
    histogram = [0] * (len(scores) + k)
    for score, mark in zip(scores, positive, strict=True):
        if mark:
            histogram[sum(s > score for s, m in zip(scores, positive, strict=True) if not m)] += 1
    hits, total = sum(histogram[:k]), sum(positive)

    def gain(counts):
        return sum(count / math.log2(i + 2) for i, count in enumerate(counts[:k]))

    return {
        f"precision@{k}": hits / k,
        f"recall@{k}": hits / total,
        f"ndcg@{k}": gain(histogram) / gain(sorted(histogram, reverse=True)),
    }


@SMALL
@given(queries(), st.integers(1, 7))
def test_both_protocols_agree_with_a_naive_oracle(query, k):
    ranks = ranks_of(*query)
    assert only(standard(ranks, [k])) == pytest.approx(oracle_standard(*query, k))
    assert only(released(ranks, [k])) == pytest.approx(oracle_released(*query, k))


@SMALL
@given(queries(most=11))
def test_metrics_stay_in_range_and_recall_rises_with_k(query):
    ks = range(1, 13)
    ranks = ranks_of(*query)
    for protocol in (standard, released):
        values = only(protocol(ranks, ks))
        bounded = [v for name, v in values.items() if protocol is standard or not name.startswith("precision")]
        assert all(-1e-12 <= value <= 1 + 1e-12 for value in bounded)
        assert all(values[f"recall@{k}"] <= values[f"recall@{k + 1}"] + 1e-12 for k in range(1, 12))


@SMALL
@given(queries(most=11), st.randoms(use_true_random=False))
def test_the_order_of_candidates_and_padding_change_nothing(query, random):
    scores, positive = query
    order = list(range(len(scores)))
    random.shuffle(order)
    padding = random.randrange(4)
    shuffled = ranks_of(
        [scores[i] for i in order] + [random.choice([math.inf, math.nan, 3.0])] * padding,
        [positive[i] for i in order] + [random.random() < 0.5] * padding,
        [True] * len(order) + [False] * padding,
    )
    plain = ranks_of(scores, positive)
    for protocol in (standard, released):
        assert only(protocol(shuffled)) == pytest.approx(only(protocol(plain)))
    assert tie_rate(shuffled) == tie_rate(plain)


@SMALL
@given(st.lists(queries(), min_size=1, max_size=5))
def test_queries_concatenated_are_queries_alone(several):
    parts = [ranks_of(*query) for query in several]
    whole = concatenate(parts)
    for protocol in (standard, released):
        together = protocol(whole)
        for name, values in together.items():
            assert values.tolist() == pytest.approx([only(protocol(part))[name] for part in parts])


def test_standard_agrees_with_ir_measures_where_nothing_ties():
    with warnings.catch_warnings():  # importing it touches deprecated parts of its own dependencies
        warnings.simplefilter("ignore")
        import ir_measures
        from ir_measures import P, R, nDCG

    num_queries, num_candidates = 13, 101
    generator = torch.Generator().manual_seed(5)
    scores = torch.stack([torch.randperm(num_candidates, generator=generator) for _ in range(num_queries)]).double()
    positive = torch.rand(num_queries, num_candidates, generator=generator) < 0.07
    positive[:, 0] = True
    keep = torch.rand(num_queries, num_candidates, generator=generator) < 0.9
    keep[:, 0] = True

    kept = [(query, item) for query, item in keep.nonzero().tolist()]
    truth = {f"q{query}": {} for query in range(num_queries)}
    run = {f"q{query}": {} for query in range(num_queries)}
    for query, item in kept:
        truth[f"q{query}"][f"d{item}"] = int(positive[query, item])
        run[f"q{query}"][f"d{item}"] = scores[query, item].item()
    measures = {f"{name}@{k}": m @ k for name, m in (("precision", P), ("recall", R), ("ndcg", nDCG)) for k in (5, 20)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = ir_measures.calc_aggregate(list(measures.values()), truth, run)

    ranks = count_ranks(scores, positive, keep)
    assert tie_rate(ranks) == 0
    assert average(standard(ranks, [5, 20])) == pytest.approx({name: expected[m] for name, m in measures.items()})
