"""Explanations by name: which weights stand in which column, and how strongly they are coloured."""

import pytest

from semantic.report.explanations import Explanation, explanations_of_products, explanations_of_query
from semantic.runs.summary import NamedExplanation
from semantic.runtime.errors import DataError

NAMED = [
    NamedExplanation(title="parts", labels=("hem", "fit", "cut"), query=("words", "photo"), products=("text", "look"))
]
ROW = {
    "explain/parts/query/words": [0.5, 0.375, 0.125],
    "explain/parts/query/photo": [1.0, 0.0, 0.0],
    "explain/parts/top/text": [[0.0, 0.25, 0.75], [0.1, 0.2, 0.7], [0.25, 0.5, 0.25]],
    "explain/parts/top/look": [[0.0, 0.0, 1.0], [0.1, 0.1, 0.8], [0.5, 0.5, 0.0]],
}


def test_weights_that_are_near_even_look_even():
    assert Explanation.of("x", ["a", "b", "c"], {"words": [1 / 3] * 3}).full == 2 / 3
    assert Explanation.of("x", ["a", "b", "c"], {"words": [0.0, 0.1, 0.9]}).full == 0.9
    assert Explanation.of("x", ["a", "b", "c"], {}).even_share == 1 / 3


@pytest.mark.parametrize(
    ("hits", "names", "places"),
    [
        ([True, False, True], ["#1"], [0]),  # the first hit is the best product
        ([False, False, True], ["#1", "#3 (hit)"], [0, 2]),
        ([False, True, True], ["#1", "#2 (hit)"], [0, 1]),  # only the first hit
        ([False, False, False], ["#1"], [0]),
    ],
)
def test_a_query_shows_its_sources_the_best_product_and_the_first_hit(hits, names, places):
    [table] = explanations_of_query(NAMED, ROW | {"top_hit": hits})

    assert table.title == "parts"
    assert table.columns == ("words", "photo", *(f"{name} {source}" for name in names for source in ("text", "look")))
    for i, (label, weights) in enumerate(table.rows):
        products = [ROW[f"explain/parts/top/{source}"][place][i] for place in places for source in ("text", "look")]
        assert label == NAMED[0].labels[i]
        assert weights == (ROW["explain/parts/query/words"][i], ROW["explain/parts/query/photo"][i], *products)


def test_none_named_is_none_shown():
    assert explanations_of_query([], ROW | {"top_hit": [True]}) == ()
    assert explanations_of_products([], 3) == ()


@pytest.mark.parametrize(("most", "found", "columns"), [(3, 5, 3), (3, 2, 2), (3, 0, 0)])
def test_a_recommendation_shows_the_first_products(most, found, columns):
    given = {"title": "t", "labels": ["a", "b"], "query": {}, "products": {"text": [[0.25, 0.75]] * found}}
    [table] = explanations_of_products([given], most)
    assert table.columns == tuple(f"#{place + 1} text" for place in range(columns))


def test_a_recommendation_may_explain_the_query_alone():
    [table] = explanations_of_products([{"title": "t", "labels": ["a"], "query": {"words": [1.0]}, "products": {}}], 3)
    assert (table.columns, table.rows) == (("words",), (("a", (1.0,)),))


def test_weights_that_are_not_one_a_label_are_refused():
    with pytest.raises(DataError, match=r"explanation 'parts', words: expected 3 weights, one a label, found 2"):
        explanations_of_query(NAMED, ROW | {"top_hit": [True], "explain/parts/query/words": [0.5, 0.5]})
    with pytest.raises(DataError, match=r"explanation 't': expected labels, found none"):
        explanations_of_products([{"title": "t", "labels": [], "query": {}, "products": {}}], 3)
