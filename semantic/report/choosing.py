"""Which queries of a run a page shows."""

import random
from collections.abc import Sequence
from typing import Any

CHOICE_COLUMNS = ["dialogue_row", "turn", "above", "standard/ndcg@5"]
"""What `choose` reads of a query."""


def choose(queries: Sequence[dict[str, Any]], turns: int, seed: int = 0) -> list[tuple[dict[str, Any], str]]:
    """At most `turns` queries, each with why it is shown: a third of the best by NDCG@5 (standard), a third of the
    worst, the rest drawn. Equal values are ordered by the place of the best positive, then by the seed; a dialogue
    comes twice only when there are too few.
    """
    pool = list(queries)
    random.Random(seed).shuffle(pool)
    ordered = sorted(pool, key=lambda query: (-query["standard/ndcg@5"], min(query["above"])))
    third = turns // 3
    chosen: list[tuple[dict[str, Any], str]] = []
    taken: set[tuple[int, int]] = set()
    for candidates, wanted, why in (
        (ordered, third, "among the best"),
        (ordered[::-1], third, "among the worst"),
        (pool, turns - 2 * third, "drawn at random"),
    ):
        chosen += [(query, why) for query in take(candidates, wanted, taken)]
    return chosen


def take(queries: Sequence[dict[str, Any]], wanted: int, taken: set[tuple[int, int]]) -> list[dict[str, Any]]:
    """The first `wanted` queries that are not in `taken`, those of dialogues not shown yet before the others; they are added
    to it.

    A query has `dialogue_row` and `turn`, by which it is known.
    """
    result: list[dict[str, Any]] = []
    for repeat in (False, True):
        for query in queries:
            key = (query["dialogue_row"], query["turn"])
            shown = query["dialogue_row"] in {dialogue for dialogue, _ in taken}
            if len(result) < wanted and key not in taken and (repeat or not shown):
                taken.add(key)
                result.append(query)
    return result
