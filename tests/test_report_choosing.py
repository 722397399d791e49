"""Which queries a page shows: the best, the worst and some drawn, of different dialogues, the same each time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from semantic.report.choosing import choose


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 4)), unique_by=lambda t: t[:2]))
def test_the_choice_is_of_distinct_queries_and_as_many_as_there_are(rows):
    queries = [
        {"dialogue_row": dialogue, "turn": turn, "standard/ndcg@5": value / 4, "above": [4 - value]}
        for dialogue, turn, value in rows
    ]
    chosen = choose(queries, 6, seed=1)
    keys = [(query["dialogue_row"], query["turn"]) for query, _ in chosen]
    assert len(set(keys)) == len(keys) == min(6, len(queries))
    assert chosen == choose(queries, 6, seed=1)


def test_the_choice_takes_best_and_worst_and_different_dialogues():
    queries = [
        {"dialogue_row": i // 2, "turn": i, "standard/ndcg@5": value, "above": [0]}
        for i, value in enumerate((1.0, 0.9, 0.8, 0.5, 0.2, 0.1, 0.05, 0.0))
    ]
    chosen = [(query["turn"], why) for query, why in choose(queries, 6)]
    # Dialogues are (0, 1), (2, 3), (4, 5), (6, 7): the second best shares one with the best.
    assert chosen[:2] == [(0, "among the best"), (2, "among the best")]
    assert chosen[2:4] == [(7, "among the worst"), (5, "among the worst")]
    assert {why for _, why in chosen[4:]} == {"drawn at random"}
