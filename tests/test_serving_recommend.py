"""Recommending over the catalogue agrees with the evaluation, and dialogues are read from files people write."""

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from semantic.config.loading import make_config
from semantic.config.schema import EvaluationConfig
from semantic.datasets.reading.records import Turn
from semantic.datasets.store.store import Store, open_store
from semantic.evaluation import product_index
from semantic.evaluation.ranking import evaluate
from semantic.models.building import build_model
from semantic.models.interface import Model
from semantic.runtime.errors import DataError
from semantic.serving.dialogues import dialogue_for_page, read_dialogue
from semantic.serving.recommend import Recommender, recommend
from tests.worlds import TWO_TOWER, changed_copy, tiny_values


@pytest.fixture(scope="module")
def model(shop: Store, shop_features) -> Model:
    return build_model(make_config(tiny_values(shop.path, shop_features)), shop, lambda _: None).eval()


def before(store: Store, row: int) -> tuple[Turn, ...]:
    """The dialogue up to a recommendation, as a person would hand it over: by names, from its first turn."""
    dialogue, target = (int(value) for value in store.example_turns[row])
    return tuple(
        Turn(
            store.turn_speakers[turn], "", store.turn_texts[turn],
            tuple(store.product_names[product] for product in store.turn_images(turn)),
        )
        for turn in range(int(store.dialogue_first_turn[dialogue]), target)
    )  # fmt: skip


def test_scores_are_those_of_the_evaluation(model, shop):
    queries = evaluate(model, shop, "test", detail=True).queries
    for q, row in list(enumerate(shop.split("test").examples))[::3]:
        found = recommend(model, shop, before(shop, row), top=shop.num_products)
        scores = {one.product: one.score for one in found.products}
        assert len(scores) == shop.num_products  # the whole catalogue, each product once
        ranked = [*zip(queries["positives"][q], queries["positive_scores"][q], strict=True)]
        ranked += zip(queries["top_products"][q], queries["top_scores"][q], strict=True)
        assert [scores[product] for product, _ in ranked] == pytest.approx([s for _, s in ranked], abs=1e-5)
        place = next(i for i, one in enumerate(found.products) if one.product == queries["top_products"][q][0])
        (explanation,) = found.explanations
        for source, values in explanation["products"].items():
            expected = queries[f"explain/{explanation['title']}/top/{source}"][q][0]
            assert values[place] == pytest.approx(expected, abs=1e-5)
        for source, values in explanation["query"].items():
            assert values == pytest.approx(queries[f"explain/{explanation['title']}/query/{source}"][q], abs=1e-5)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_shoppers_own_photo_is_seen_as_a_products(shop, tmp_path, frozen):
    """The file of a product's photo ranks nearly as the product does; another product's photo otherwise."""
    store = copied(shop, tmp_path)
    values = tiny_values(store.path)
    values["model"]["image"] = {"backbone": "resnet18", "frozen": frozen}
    model = build_model(make_config(values), store, lambda _: None).eval()
    ranker = Recommender(model, store)
    picture = np.pad(np.asarray(store.photos[3]), ((4, 4), (4, 4), (0, 0)))  # of 72 pixels 64 are cut from the middle
    Image.fromarray(picture).save(tmp_path / "own.png")

    own = ranker.rank("", store.num_products, photos=[tmp_path / "own.png"])
    product = ranker.rank("", store.num_products, photos=[store.product_names[3]])

    assert ranker.rank("", store.num_products, photos=["3"]) == product
    assert [one.product for one in own.products] == [one.product for one in product.products]
    assert [one.score for one in own.products] == pytest.approx([one.score for one in product.products], abs=1e-5)
    (turn,) = dialogue_for_page((Turn("user", "", "x", (str(tmp_path / "own.png"), "3")),), store)
    assert np.array_equal(turn["images"][0], store.photos[3])
    assert turn["images"][1] == 3


def test_explanations_have_a_weight_for_each_slot_of_each_product(model, shop):
    found = recommend(model, shop, before(shop, shop.split("test").start), top=7)
    (one,) = found.explanations

    assert one["title"] == "Hop attention over the slots"
    assert one["labels"] == list(shop.slots)
    assert one["query"].keys() == {"dialogue text", "dialogue photos"}
    assert one["products"].keys() == {"text", "photo"}
    assert all(len(values) == len(shop.slots) for values in one["query"].values())
    for values in one["products"].values():
        assert [len(weights) for weights in values] == [len(shop.slots)] * 7
        assert [sum(weights) for weights in values] == pytest.approx([1.0] * 7, abs=1e-5)
    json.dumps(found.explanations)  # plain lists and words, as the pages and the command line take them


def test_a_model_that_explains_nothing_recommends_all_the_same(shop, tmp_path):
    """It reads no states and no photos."""
    store = copied(shop, tmp_path)
    made = build_model(make_config(tiny_values(store.path, model=TWO_TOWER)), store, lambda _: None)

    found = recommend(made, store, (Turn("user", "", "a red dress", (store.product_names[3],)),), top=7)

    assert found.explanations == []
    assert len({one.product for one in found.products}) == 7


def test_the_best_come_first_with_their_names_and_texts(model, shop):
    turns = before(shop, shop.split("test").start + 2)
    everything = recommend(model, shop, turns, top=shop.num_products).products
    assert [one.score for one in everything] == sorted((one.score for one in everything), reverse=True)
    for count in (1, 7):
        found = recommend(model, shop, turns, top=count).products
        assert [one.product for one in found] == [one.product for one in everything[:count]]
    assert [(one.name, one.text) for one in found] == [
        (shop.product_names[one.product], shop.product_texts[one.product]) for one in found
    ]
    assert len(recommend(model, shop, turns, top=1000).products) == shop.num_products


def test_consecutive_turns_of_one_speaker_are_merged_as_in_the_store(model, shop):
    row = next(r for r in shop.split("test").examples if len(before(shop, r)) > 3)
    turns = before(shop, row)
    last = turns[-1]
    words = last.text.split()
    halves = (
        Turn(last.speaker, "", "  ".join(words[:2]).upper(), last.images),
        Turn(last.speaker, "", " ".join(words[2:])),
    )
    assert len(words) > 2
    whole, split = recommend(model, shop, turns), recommend(model, shop, (*turns[:-1], *halves))
    assert whole == split


def test_words_are_normalised_as_in_the_store(model, shop):
    plain = recommend(model, shop, (Turn("user", "", "a red dress"),))
    assert recommend(model, shop, (Turn("user", "", " \u2018A  Red\tdress\u2019"),)) == plain  # MMD's curly quotes


def test_what_was_said_and_shown_changes_the_scores(model, shop):
    photo = shop.product_names[int(np.flatnonzero(shop.has_photo)[0])]
    plain = recommend(model, shop, (Turn("user", "", "a red dress"),), top=40)
    said = recommend(model, shop, (Turn("user", "", "blue jeans please"),), top=40)
    shown = recommend(model, shop, (Turn("user", "", "a red dress", (photo,)),), top=40)
    assert plain != said
    assert plain != shown


def test_more_photos_than_the_model_reads_are_cut(model, shop):
    names = tuple(shop.product_names[int(p)] for p in np.flatnonzero(shop.has_photo)[:7])
    five, seven = (recommend(model, shop, (Turn("user", "", "these", names[:n]),)) for n in (5, 7))
    assert five == seven


def test_no_turn_and_unknown_products_are_refused(model, shop):
    with pytest.raises(DataError, match="dialogue: expected at least one turn, got none"):
        recommend(model, shop, ())
    with pytest.raises(
        DataError, match=r"dialogue: expected images to be products of .*store, or files of photos, got nowhere, other"
    ):
        recommend(model, shop, (Turn("user", "", "that", ("other", shop.product_names[0], "nowhere")),))


def test_the_page_gets_product_numbers(shop):
    turns = (Turn("user", "", "like these", (shop.product_names[5], shop.product_names[2])), Turn("system", "", "yes"))
    assert dialogue_for_page(turns, shop) == [
        {"speaker": "user", "text": "like these", "images": [5, 2]},
        {"speaker": "system", "text": "yes", "images": []},
    ]


def dialogue_file(folder: Path, content: object) -> Path:
    file = folder / "dialogue.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_plain_turns_and_turns_of_the_datasets_read_alike(tmp_path):
    expected = (Turn("user", "", "Hi", ()), Turn("system", "", "", ("7", "a")), Turn("user", "", "the 2nd", ()))
    plain = [
        {"speaker": "user", "text": "Hi"},
        {"speaker": "system", "text": None, "images": [7, "a"]},
        {"speaker": "user", "text": "the 2nd", "images": None},
    ]
    mmd = [
        {"speaker": "user", "type": "greeting", "utterance": {"nlg": "Hi", "images": None}},
        {"speaker": "system", "utterance": {"nlg": None, "images": [7, "a"], "false images": [1]}},
        {"speaker": "user", "utterance": {"nlg": "the 2nd", "images": []}},
    ]
    assert read_dialogue(dialogue_file(tmp_path, plain)) == expected
    assert read_dialogue(dialogue_file(tmp_path, mmd)) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "[{",
            r"dialogue.json: expected a JSON file with the turns of a dialogue, got no JSON at line 1 column 3: Expecting",
        ),
        ({"speaker": "user"}, r"dialogue.json: expected a list of turns, got dict"),
        ([], r"dialogue.json: expected a list of turns, got an empty list"),
        (
            [{"speaker": "user", "text": "hi"}, {"speaker": "bot", "text": "hi"}],
            r'dialogue.json, turn 1: expected an object with "speaker" "user" or "system", got {"speaker": "bot"',
        ),
        (["hi"], r'dialogue.json, turn 0: expected an object with .*, got "hi"'),
        ([{"speaker": "user", "text": 3}], r'dialogue.json, turn 0: expected "text" to be a string'),
        (
            [{"speaker": "user", "text": "a", "images": "b"}],
            r'turn 0: expected "images" to be a list of product names, got',
        ),
        (
            [{"speaker": "user", "images": [True]}],
            r'turn 0: expected "images" to be a list of product names, got \[true\]',
        ),
        (
            [{"speaker": "user", "images": [None]}],
            r'turn 0: expected "images" to be a list of product names, got \[null\]',
        ),
        (
            [{"speaker": "user", "images": [1.5]}],
            r'turn 0: expected "images" to be a list of product names, got \[1.5\]',
        ),
        ([{"speaker": "user", "image": []}], r'turn 0: no such key "image"; did you mean "images"\?'),
        ([{"speaker": "user", "Text": "a"}], r'turn 0: no such key "Text"; did you mean "text"\?'),
        ([{"speaker": "user", "zzz": 1}], r'turn 0: no such key "zzz"; the keys here are speaker, text, images'),
        ([{"speaker": "user", "nlg": "a"}], r'turn 0: no such key "nlg"; the keys here are'),
        ([{"speaker": "user", "utterance": "a"}], r'turn 0: expected "utterance" to be an object, got "a"'),
        (
            [{"speaker": "user", "utterance": {"nlg": "a", "image": []}}],
            r'turn 0, utterance: no such key "image"; did you mean "images"\?',
        ),
        ([{"speaker": "user", "utterance": {}, "txt": "a"}], r'turn 0: no such key "txt"; '),
        ([{"speaker": "user", "utterance": {"nlg": 3}}], r'turn 0: expected "nlg" to be a string, got 3'),
        ([{"speaker": ["user"]}], r'turn 0: expected an object with "speaker"'),
        ('[{"speaker": "user", "text": "a", "text": "b"}]', r"got the key 'text' twice in one object"),
        ('[{"speaker": "user", "images": [NaN]}]', r"got NaN, which is no number of JSON"),
        ('[{"speaker": "user", "images": [1e999]}]', r"got a number too large to hold, 1e999"),
        (f'[{{"speaker": "user", "images": [{"9" * 5000}]}}]', r"got a number of 5000 digits"),
        ('[{"speaker": "user", "text": "\\ud83d"}]', r"got half a surrogate pair, \\ud83d"),
        ("[" * 100_000, r"got JSON nested more than 100 levels deep"),
        ("[" * 101 + "]" * 101, r"got JSON nested more than 100 levels deep"),
        ("[" * 100 + "]" * 100, r"turn 0: expected an object with"),
        (" " * ((1 << 22) + 1), r"got one of more than 4,194,304 bytes"),
    ],
)
def test_a_file_that_is_no_dialogue_says_where_and_what(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as raised:
        read_dialogue(dialogue_file(tmp_path, content))
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path):
    with pytest.raises(DataError, match=r"absent.json: expected a JSON file .*, got none there"):
        read_dialogue(tmp_path / "absent.json")
    (tmp_path / "latin.json").write_bytes('[{"speaker": "user", "text": "é"}]'.encode("latin-1"))
    with pytest.raises(DataError, match=r"latin.json: expected a JSON file .*, got byte 0xe9 at 30, which is no UTF-8"):
        read_dialogue(tmp_path / "latin.json")
    with pytest.raises(DataError, match=r"expected a JSON file .*, got a folder"):
        read_dialogue(tmp_path)


DIALOGUE = b"""[{"speaker": "user", "text": "hi"}, {"speaker": "system", "text": null, "images": [7, "a"]},
{"speaker": "user", "type": "x", "utterance": {"nlg": "the 2nd", "images": null}}]"""


@settings(max_examples=200, deadline=None)
@given(
    place=st.integers(0, len(DIALOGUE)),
    cut=st.integers(0, 9),
    put=st.binary(max_size=3)
    | st.sampled_from([b"[[", b"{", b"null", b"NaN", b'"\\ud800"', b"-", b"1e999", b'"text": 1,']),
)
def test_any_byte_of_a_dialogue_may_be_wrong(tmp_path_factory, place, cut, put):
    file = tmp_path_factory.mktemp("any") / "dialogue.json"
    file.write_bytes(DIALOGUE[:place] + put + DIALOGUE[place + cut :])
    try:
        found = read_dialogue(file)
    except DataError as error:
        found, said = (), str(error)
        assert "\n" not in said
    assert all(isinstance(turn.text, str) and all(isinstance(name, str) for name in turn.images) for turn in found)


def test_the_runs_evaluation_settings_are_kept_to(model, shop, tmp_path, monkeypatch):
    store, evaluation = copied(shop, tmp_path), EvaluationConfig(precision="bf16", product_batch_size=7)
    sizes, whole = [], product_index.encode_rows

    def watching(*arguments):
        sizes.append((len(arguments[2]), arguments[3]))
        return whole(*arguments)

    monkeypatch.setattr(product_index, "encode_rows", watching)
    turns = before(store, store.split("test").start)
    recommender = Recommender(model, store, evaluation=evaluation)
    assert sizes == [(7, "bf16")] * 5 + [(5, "bf16")]
    found = recommender.rank(turns, top=shop.num_products).products

    queries = evaluate(model, store, "test", evaluation, detail=True).queries
    scores = {one.product: one.score for one in found}
    ranked = zip(queries["top_products"][0], queries["top_scores"][0], strict=True)
    assert all(scores[product] == pytest.approx(score, abs=1e-5) for product, score in ranked)
    assert found == recommend(model, store, turns, top=shop.num_products, evaluation=evaluation).products
    assert found != recommend(model, store, turns, top=shop.num_products).products


def test_each_merged_turn_is_normalised(model, shop):
    plain = (Turn("user", "", "a red dress"), Turn("user", "", "cheaper please"))
    quoted = tuple(Turn("user", "", f"\u2018{turn.text}\u2019") for turn in plain)
    assert recommend(model, shop, quoted, top=40) == recommend(model, shop, plain, top=40)


def copied(shop: Store, folder: Path) -> Store:
    """A copy without what other tests left in the store."""
    path = changed_copy(shop.path, folder / "store")
    for name in ("pieces", "vectors"):
        shutil.rmtree(path / name, ignore_errors=True)
    return open_store(path)


def test_a_recommender_encodes_the_catalogue_once_for_all_dialogues(model, shop, tmp_path, monkeypatch):
    store = copied(shop, tmp_path)
    encoded, whole = [], product_index.encode_rows

    def counting(*arguments):
        encoded.extend(arguments[2].tolist())
        return whole(*arguments)

    monkeypatch.setattr(product_index, "encode_rows", counting)
    recommender = Recommender(model, store)
    dialogues = [before(store, row) for row in store.split("test").examples][:3]

    found = [recommender.rank(turns, top=7) for turns in dialogues]

    assert found[0] != found[1]
    assert found == [recommend(model, store, turns, top=7) for turns in dialogues]  # which finds the vectors on disk
    compared = encoded[store.num_products :]  # each recommendation that finds kept vectors looks at a few of them
    assert encoded[: store.num_products] == list(range(store.num_products))
    assert len(compared) == 3 * product_index.COMPARED


def test_a_recommender_reads_no_dialogue_of_its_store(model, shop, tmp_path, monkeypatch):
    """A catalogue may have dialogues by the hundred thousand; whoever brings one of their own does not wait for them."""
    store = copied(shop, tmp_path)
    texts, read = Store.texts, []

    def spy(self, table, *rest):
        read.append(table)
        return texts(self, table, *rest)

    monkeypatch.setattr(Store, "texts", spy)
    Recommender(model, store).rank((Turn("user", "", "a red dress"),))

    assert set(read) == {"products", "state_values"}
    assert not {"turn_texts", "product_texts", "product_names"} & set(vars(store))  # no column held whole


def test_a_model_in_training_recommends_without_dropout(model, shop):
    turns = (Turn("user", "", "a red dress"),)
    expected = recommend(model, shop, turns)
    model.train()
    assert recommend(model, shop, turns) == expected


def test_a_model_whose_scores_are_no_numbers_is_refused(model, shop, tmp_path):
    broken = copy.deepcopy(model)
    with torch.no_grad():
        next(broken.text_interaction.parameters()).fill_(torch.nan)
    with pytest.raises(DataError, match="store: expected a number as every product's score, got NaN from this model"):
        recommend(broken, copied(shop, tmp_path), (Turn("user", "", "a red dress"),))


def test_no_products_may_be_asked_for(model, shop):
    assert recommend(model, shop, (Turn("user", "", "a red dress"),), top=0).products == []
