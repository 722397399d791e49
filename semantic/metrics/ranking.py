"""How well rankings put the positives first: ranks once, then two protocols over them.

Every function here is pure. `count_ranks` turns scores into counts per positive; `standard` and `released` turn the
counts into precision@k, recall@k and ndcg@k per query (float64); `average` turns those into a row of a table.

The two protocols give the same names to different numbers, so nothing here averages or prints without one of them:
`standard` ranks all candidates in one list; `released` is what the code published with the paper computes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

CUTOFFS = (5, 10, 20)


@dataclass(frozen=True)
class Ranks:
    """Where each positive of each query stands. Columns are the query's positives in the order of its candidates.

    Queries with fewer positives than the widest are padded: `keep` is False and every other field 0 there.
    """

    positive_index: Int[Tensor, "query positive"]  # column of the positive among the candidates
    above: Int[Tensor, "query positive"]  # candidates of strictly greater score
    tied: Int[Tensor, "query positive"]  # candidates of equal score, the positive itself included
    negatives_above: Int[Tensor, "query positive"]  # negatives of strictly greater score
    negatives_tied: Int[Tensor, "query positive"]  # negatives of equal score
    keep: Bool[Tensor, "query positive"]
    num_positives: Int[Tensor, "query"]
    num_negatives: Int[Tensor, "query"]


def count_ranks(
    scores: Float[Tensor, "query candidate"],
    positive: Bool[Tensor, "query candidate"],
    keep: Bool[Tensor, "query candidate"],
) -> Ranks:
    """The `Ranks` of every positive among its query's candidates; a higher score is better.

    Candidates where `keep` is False are padding: whatever their score or mark, they count for nothing. A score of
    plus or minus infinity is a score like any other.

    Raises:
        ValueError: a kept score is NaN (it has no place in an order), or a query has no positive (recall and NDCG
            divide by them). The message names the query's row.
    """
    missing = (scores.isnan() & keep).any(dim=1)
    if missing.any():
        row = int(missing.nonzero()[0])
        raise ValueError(f"scores, query {row}: expected a number for every kept candidate, got NaN")
    positive = positive & keep
    negative = ~positive & keep
    num_positives = positive.sum(dim=1)
    if (num_positives == 0).any():
        row = int((num_positives == 0).nonzero()[0])
        raise ValueError(f"positive, query {row}: expected at least one positive among its candidates, got none")

    width = int(num_positives.max()) if len(num_positives) else 0
    # A stable sort of the marks brings the positives' columns to the front, in candidate order.
    index = positive.to(torch.int8).sort(dim=1, descending=True, stable=True).indices[:, :width]
    held = torch.arange(width, device=scores.device) < num_positives[:, None]
    own = scores.gather(1, index)[:, :, None]  # [query, positive, 1] against [query, 1, candidate]
    greater = scores[:, None, :] > own
    equal = scores[:, None, :] == own

    def count(beats: Bool[Tensor, "query positive candidate"], among: Bool[Tensor, "query candidate"]) -> Tensor:
        return (beats & among[:, None, :]).sum(dim=2).masked_fill(~held, 0)

    return Ranks(
        positive_index=index.masked_fill(~held, 0),
        above=count(greater, keep),
        tied=count(equal, keep),
        negatives_above=count(greater, negative),
        negatives_tied=count(equal, negative),
        keep=held,
        num_positives=num_positives,
        num_negatives=negative.sum(dim=1),
    )


def concatenate(parts: Sequence[Ranks]) -> Ranks:
    """One `Ranks` over the queries of all parts, in order, padded to the widest of them."""
    width = max(part.keep.shape[1] for part in parts)

    def join(name: str) -> Tensor:
        values = [getattr(part, name) for part in parts]
        if values[0].dim() == 2:
            values = [torch.nn.functional.pad(value, (0, width - value.shape[1])) for value in values]
        return torch.cat(values)

    return Ranks(**{field.name: join(field.name) for field in fields(Ranks)})


def standard(ranks: Ranks, ks: Sequence[int] = CUTOFFS) -> dict[str, Float[Tensor, "query"]]:
    """One ranking of all candidates, per query and k; ties by expectation over all orders of the tied.

        precision@k = hits / k        recall@k = hits / positives        ndcg@k = DCG / ideal DCG
        DCG = sum over positives of rank <= k of 1 / log2(rank + 1)       (binary gain, rank from 1)
        ideal DCG = sum over rank = 1 .. min(positives, k) of 1 / log2(rank + 1)

    Within a tie of t candidates below a others, a positive stands at each of the ranks a + 1 .. a + t equally often,
    so it adds clip(k - a, 0, t) / t hits and (D[min(a + t, k)] - D[min(a, k)]) / t discount, where D[r] sums the
    discounts of the first r ranks. All three metrics are linear in those, hence exact. k beyond the candidates is
    allowed; precision still divides by k. Range [0, 1].

    Source: trec_eval's P, recall and ndcg_cut where nothing ties; expectation over ties as in McSherry and Najork,
    "Computing information retrieval performance measures efficiently in the presence of tied scores" (ECIR 2008).
    """
    above, tied, keep = ranks.above.double(), ranks.tied.double().clamp(min=1), ranks.keep
    positives = ranks.num_positives.double()
    result = {}
    for k in ks:
        cumulative = _cumulative_discount(k, above.device)
        hits = ((k - above).clamp(min=0).minimum(tied) / tied).masked_fill(~keep, 0).sum(dim=1)
        first, last = ranks.above.clamp(max=k), (ranks.above + ranks.tied).clamp(max=k)
        gain = ((cumulative[last] - cumulative[first]) / tied).masked_fill(~keep, 0).sum(dim=1)
        result[f"precision@{k}"] = hits / k
        result[f"recall@{k}"] = hits / positives
        result[f"ndcg@{k}"] = gain / cumulative[ranks.num_positives.clamp(max=k)]
    return result


def released(ranks: Ranks, ks: Sequence[int] = CUTOFFS) -> dict[str, Float[Tensor, "query"]]:
    """What the code released with the paper computes, per query and k. A positive's rank r is the number of negatives
    of strictly greater score (from 0); the query's other positives do not compete, and ties favour the positive.

        precision@k = |r < k| / k        recall@k = |r < k| / positives
        ndcg@k = sum_{i < k} h[i] / log2(i + 2)  over the same sum with h sorted in descending order,
                 h[i] = number of positives of rank r = i

    So two positives behind one negative give ndcg@5 = 1 / log2(3), where `standard` gives
    (1 / log2(3) + 1 / log2(4)) / (1 + 1 / log2(3)); and a model whose scores are all equal gives 1: see `tie_rate`.
    precision@k exceeds 1 where a query has more than k positives ahead of its negatives. Otherwise range [0, 1].

    Source: `lib/metric.py` of the released code.
    """
    rank, keep = ranks.negatives_above, ranks.keep
    positives = ranks.num_positives.double()
    width = rank.shape[1]
    # The histogram has at most one non-zero entry a positive: its counts are enough to sort it.
    same = (rank[:, :, None] == rank[:, None, :]) & keep[:, :, None] & keep[:, None, :]
    repeated = same.tril(diagonal=-1).any(dim=2)
    counts = same.sum(dim=2).masked_fill(repeated, 0).sort(dim=1, descending=True).values.double()
    result = {}
    for k in ks:
        discount = _discount(k, rank.device)
        hit = (rank < k) & keep
        hits = hit.double().sum(dim=1)
        gain = discount[rank.clamp(max=k - 1)].masked_fill(~hit, 0).sum(dim=1)
        ideal = (counts[:, :k] * discount[:width]).sum(dim=1)
        result[f"precision@{k}"] = hits / k
        result[f"recall@{k}"] = hits / positives
        result[f"ndcg@{k}"] = gain / ideal
    return result


PROTOCOLS = {"standard": standard, "released": released}


def tied_queries(ranks: Ranks) -> Bool[Tensor, "query"]:
    """Whether a positive of the query has exactly the score of one of its negatives."""
    return (ranks.negatives_tied > 0).any(dim=1)


def tie_rate(ranks: Ranks) -> float:
    """Share of queries in which a positive ties with a negative, in [0, 1]; 0 for no queries.

    Ties among positives alone change no metric and do not count. Where the rate is not small, `released` flatters.
    """
    tied = tied_queries(ranks)
    return float(tied.double().mean()) if len(tied) else 0.0


def average(per_query: Mapping[str, Float[Tensor, "query"]]) -> dict[str, float]:
    """The mean of every metric over its queries, each query weighing the same.

    Raises:
        ValueError: there are no queries.
    """
    for name, values in per_query.items():
        if len(values) == 0:
            raise ValueError(f"{name}: expected at least one query to average over, got none")
    return {name: float(values.mean()) for name, values in per_query.items()}


def _discount(k: int, device: torch.device) -> Float[Tensor, "k"]:
    """1 / log2(rank + 1) at ranks 1 .. k."""
    if k < 1:
        raise ValueError(f"k: expected a cutoff of at least 1, got {k}")
    return 1 / torch.arange(2, k + 2, dtype=torch.float64, device=device).log2()


def _cumulative_discount(k: int, device: torch.device) -> Float[Tensor, "k_and_one"]:
    """D[r], the sum of the discounts of the first r ranks, r = 0 .. k."""
    return torch.nn.functional.pad(_discount(k, device).cumsum(dim=0), (1, 0))
