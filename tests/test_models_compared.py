"""The compared methods against their equations, written out with loops over turns, photos, words, entries and attributes."""

import math

import pytest
import torch
import torch.nn.functional as F

from semantic.config.errors import ConfigError
from semantic.config.loading import make_config
from semantic.models.compared.knowledge import attributes
from tests.battery import score
from tests.small_world import FEATURES, collate, formula, small_world
from tests.test_models_battery import ATTRIBUTES, CHANNELS, MAPS, PLACES, compared, of_maps

ROWS = (0, 1, 2)


def zeros(width):
    return torch.zeros(width, dtype=torch.float64)


def cos(x, y):
    return F.cosine_similarity(x, y, dim=0)


def mean(vectors, otherwise):
    return torch.stack(vectors).mean(0) if vectors else otherwise


def softmax(scores):
    return torch.softmax(torch.stack(scores), 0)


def weighed(shares, vectors):
    return sum(share * vector for share, vector in zip(shares, vectors, strict=True))


def words(model, tokens):
    return model.words.weight[list(tokens)]


def states(network, sequence):
    """A recurrent network's states over a list of vectors."""
    items = torch.stack([*sequence]).unsqueeze(0)
    directions = [network.forwards(items)[0][0]]
    if network.backwards is not None:
        directions.append(network.backwards(items.flip(1))[0][0].flip(0))
    return torch.cat(directions, dim=-1)


def ends(network, sequence):
    found = states(network, sequence)
    return torch.cat([found[-1, : network.hidden], found[0, network.hidden :]])


def pooled(text, vectors):
    """h weighed by attention; zeros of an empty text."""
    if not len(vectors):
        return zeros(text.width)
    found = states(text.recurrent, vectors)
    return softmax([h @ text.pool.score.weight[0] for h in found]) @ found


def expected(world, context, product, relevance=cos):
    """What `score` should be: a number for each example and candidate."""
    found = []
    for row in ROWS:
        example = world.examples[row]
        query = context(example)
        found.append([relevance(query, product(world.items[i])) for i in example.candidates])
    return found


def check(model, batch, found):
    scores = score(model, batch)
    for row, one in enumerate(found):
        torch.testing.assert_close(scores[row, : len(one)], torch.stack(one))


def test_mhred():
    world, model = small_world(), compared("mhred", hidden=5)

    def text(tokens):
        return ends(model.text.recurrent, words(model, tokens)) if tokens else zeros(5)

    def context(example):
        steps = []
        for turn in example.turns:
            steps.append(torch.cat([text(turn.tokens), zeros(5)]))
            steps += [torch.cat([zeros(5), model.photo(world.pictures[photo])]) for photo in turn.photos]
        return model.query(ends(model.context, steps))

    def product(item):
        photo = zeros(FEATURES) if item.photo is None else world.pictures[item.photo]
        return model.product(torch.cat([text(item.tokens), photo]))

    check(model, collate(world, ROWS), expected(world, context, product))


def test_umd():
    world, case = (
        small_world(MAPS),
        of_maps("umd", hidden=5, maps=3, branches=2, image={"features": "features.npy", "grid": 2}),
    )
    model = case.build()
    found = model.attributes
    said = {item.photo: item.tokens for item in world.items}

    def text(tokens):
        return pooled(model.text, words(model, tokens)) if tokens else model.no_text

    def seen(picture, tokens, asking):
        """v of a photo, of a product with these words, as a text asks of it."""
        side = int(PLACES**0.5)
        root = F.relu(found.root(world.pictures[picture].view(1, CHANNELS, side, side)))
        nodes = F.relu(found.branches(root))[0].view(2, 3, side, side)
        called = words(model, tokens).mean(0) if tokens else zeros(7)
        node = weighed(torch.softmax(found.chooses(called), 0), nodes)
        heads = F.relu(found.heads(node.unsqueeze(0)))[0].view(6, 3, -1).mean(-1)
        return softmax([(model.asks(asking) * model.shows(head)).sum() for head in heads]) @ heads

    def context(example):
        steps = []
        for turn in example.turns:
            asking = text(turn.tokens)
            photo = mean([seen(p, said.get(p, ()), asking) for p in turn.photos], model.no_photo)
            steps.append(model.fusion.first(asking) * model.fusion.second(photo))
        return model.query(ends(model.context, steps))

    def product(item):
        asking = text(item.tokens)
        photo = model.no_photo if item.photo is None else seen(item.photo, item.tokens, asking)
        return model.fusion.first(asking) * model.fusion.second(photo)

    check(model, case.batch(), expected(world, context, product))


def places(world, picture):
    """m_j of a photo."""
    return [*world.pictures[picture].view(CHANNELS, PLACES).T]


def entries(model, tokens):
    """(key, value) word vectors of a product's attributes: the text cut before each key."""
    cut, keys = [([], [])], {key[0] for key in ATTRIBUTES}
    for token in tokens:
        if token in keys:
            cut.append(([token], []))
        else:
            cut[-1][1].append(token)
    return [(mean([*words(model, k)], zeros(7)), words(model, v).mean(0)) for k, v in cut if v]


@pytest.mark.parametrize("knowing", [False, True])
def test_magic(knowing):
    world = small_world(MAPS)
    case = of_maps("magic", hidden=5, context_hidden=3, **({"knowledge": {"attributes": True}} if knowing else {}))
    model = case.build()

    def seen(attention, picture, text):
        m = places(world, picture)
        scores = [
            attention.score.weight[0] @ torch.tanh(attention.place(one) + attention.text.weight @ text) for one in m
        ]
        return weighed(softmax(scores), m)

    def context(example):
        steps = []
        for turn in example.turns:
            text = pooled(model.turn_text, words(model, turn.tokens))
            photo = mean([seen(model.turn_places, p, text) for p in turn.photos], model.no_photo)
            steps.append(model.turn(torch.cat([text, photo])))
        return ends(model.context, steps)

    def product(item):
        text = pooled(model.product_text, words(model, item.tokens))
        photo = model.no_photo if item.photo is None else seen(model.product_places, item.photo, text)
        plain = model.product(torch.cat([text, photo]))
        if not knowing:
            return plain
        known = entries(model, item.tokens)
        scores = [k @ model.asks(plain) / math.sqrt(7) for k, _ in known]
        read = weighed(softmax(scores), [v for _, v in known]) if known else zeros(7)
        taken = model.takes(read)
        gate = torch.sigmoid(model.gate.gate[0](taken) + model.gate.gate[1](plain))
        return gate * taken + (1 - gate) * plain

    check(model, case.batch(), expected(world, context, product))


def test_larch():
    world, model = small_world(), compared("larch", layers=2, heads=2, head_dim=3)

    def graph(example):
        """Nodes by name, and the pairs that read each other."""
        nodes, edges = {}, set()
        for t, turn in enumerate(example.turns):
            for i, token in enumerate(turn.tokens):
                nodes["word", t, i] = model.word(words(model, [token])[0])
            for i, photo in enumerate(turn.photos):
                nodes["photo", t, i] = model.photo(world.pictures[photo])
            below = [name for name in nodes if name[1] == t]
            said = mean([nodes[name] for name in below if name[0] == "word"], zeros(6))
            nodes["sentence", t, 0] = said
            nodes["utterance", t, 0] = said + mean([nodes[n] for n in below if n[0] == "photo"], zeros(6))
            edges |= {(name, ("sentence", t, 0)) for name in below} | {(name, ("utterance", t, 0)) for name in below}
            edges |= {(("sentence", t, 0), ("utterance", t, 0))}
        top = ("session", 0, 0)
        edges |= {(name, top) for name in nodes if name[0] != "sentence"}
        nodes[top] = torch.stack([v for name, v in nodes.items() if name[0] == "utterance"]).mean(0)
        names = [*nodes]
        table = torch.tensor([[(a, b) in edges or (b, a) in edges for b in names] for a in names])
        return torch.stack([*nodes.values()]), table

    def context(example):
        nodes, edges = graph(example)
        for layer in [*model.layers, model.last]:
            nodes = layer(nodes.unsqueeze(0), edges.unsqueeze(0))[0]
        return nodes[-1]

    def gated(fusion, known, photo, query):
        gate = torch.sigmoid(fusion.gate[0](known) + fusion.gate[1](photo) + fusion.gate[2](query))
        return gate * known + (1 - gate) * photo

    def relevance(query, item):
        dim = len(query)
        photo = zeros(dim) if item.photo is None else model.product_photo(world.pictures[item.photo])
        known = entries(model, item.tokens)
        values = [model.value(v) for _, v in known]

        def read(asks, key):
            return weighed(softmax([asks @ key(k) / math.sqrt(dim) for k, _ in known]), values) if known else zeros(dim)

        seen = gated(model.photo_gate, read(photo, model.photo_key), photo, query)
        told = gated(model.query_gate, read(query, model.query_key), photo, query)
        return cos(query, model.product(torch.cat([seen, told])))

    found = expected(world, context, lambda item: item, relevance)
    check(model, collate(world, ROWS), found)


def test_treasure():
    world, model = small_world(), compared("treasure", hidden=5, heads=2, temperature=0.3)
    text = model.text

    def sentence(tokens):
        if not tokens:
            return text.sentence(zeros(2 * text.recurrent.width))
        h = states(text.recurrent, words(model, tokens))
        near = [max(cos(text.near(one), prototype) for prototype in text.prototypes) / 0.3 for one in h]
        return text.sentence(torch.cat([h.mean(0), softmax(near) @ h]))

    def context(example):
        turns = torch.stack(
            [
                model.turn(
                    torch.cat([sentence(t.tokens), mean([model.photo(world.pictures[p]) for p in t.photos], zeros(14))])
                )
                for t in example.turns
            ]
        ).unsqueeze(0)
        for layer in model.turns.layers:
            turns = layer(turns, torch.ones(1, turns.shape[1], turns.shape[1], dtype=torch.bool))
        return turns[0, -1]

    def product(item):
        photo = zeros(14) if item.photo is None else model.photo(world.pictures[item.photo])
        return model.product(torch.cat([sentence(item.tokens), photo]))

    check(model, collate(world, ROWS), expected(world, context, product))


def test_treasures_prototypes_start_as_the_words_of_the_slots():
    model = compared("treasure", hidden=5, heads=2)

    model.initialise(None)

    assert torch.equal(model.text.prototypes, model.words.weight[[key[0] for key in ATTRIBUTES]])


def test_enteract():
    world, case = small_world(MAPS), of_maps("enteract", hidden=5, heads=2)
    model = case.build()

    def views(picture):
        m = places(world, picture)
        local = [model.place(one) for one in m]
        whole, middle = model.whole(torch.stack(m).mean(0)), torch.stack(local).mean(0)
        gate = torch.sigmoid(model.gate.gate[0](whole) + model.gate.gate[1](middle))
        return gate * whole + (1 - gate) * middle, local

    def sequence(tokens):
        return [model.sequence(h) for h in states(model.recurrent, words(model, tokens))] if tokens else []

    def context(example):
        turns = []
        for turn in example.turns:
            photo = mean([views(p)[0] for p in turn.photos], zeros(14))
            turns.append(model.turn(torch.cat([mean(sequence(turn.tokens), zeros(14)), photo])))
        request, turns = turns[-1], torch.stack(turns).unsqueeze(0)
        for layer in model.turns.layers:
            turns = layer(turns, torch.ones(1, turns.shape[1], turns.shape[1], dtype=torch.bool))
        return turns[0, -1], request

    def relevance(query, item):
        asked, request = query
        photo, local = (zeros(14), [zeros(14)] * PLACES) if item.photo is None else views(item.photo)
        told = [model.key(k) + model.value(v) for k, v in entries(model, item.tokens)]
        structure = weighed(softmax([photo @ e / math.sqrt(14) for e in told]), told) if told else zeros(14)
        h = sequence(item.tokens)
        seen = mean([weighed(softmax([one @ p / math.sqrt(14) for p in local]), local) for one in h], zeros(14))
        parts = [photo + structure, seen, mean(h, zeros(14))]
        return cos(asked, weighed(softmax([request @ part / math.sqrt(14) for part in parts]), parts))

    found = expected(world, context, lambda item: item, relevance)
    check(model, case.batch(), found)


def test_a_text_is_cut_before_each_key():
    tokens = torch.tensor([[4, 7, 8, 5, 9, 6, 7, 8, 3]])
    keep = torch.tensor([[True] * 9])
    table = formula((12, 5), 3)

    found = attributes(table[tokens], tokens, keep, ((7, 8), (9,)))

    # 4 | 7 8: 5 | 9: 6, and beyond as many entries as there are keys, 7 8: 3
    assert found.keep.tolist() == [[True, True, True]]
    torch.testing.assert_close(found.keys[0], torch.stack([zeros(5), table[[7, 8]].mean(0), table[[9, 7, 8]].mean(0)]))
    torch.testing.assert_close(found.values[0], torch.stack([table[4], table[5], table[[6, 3]].mean(0)]))


def test_a_key_without_a_value_is_no_entry():
    tokens, keep = torch.tensor([[9, 7, 8, 5]]), torch.tensor([[True, True, True, False]])

    found = attributes(formula((1, 4, 5), 3), tokens, keep, ((7, 8), (9,)))

    assert not found.keep.any()
    assert not found.keys.any()
    assert not found.values.any()


def test_the_longer_of_two_keys_is_taken_and_one_of_no_word_is_none():
    tokens, keep, table = torch.tensor([[7, 8, 4, 8, 5]]), torch.ones(1, 5) > 0, formula((12, 5), 3)

    found = attributes(table[tokens], tokens, keep, ((8,), (), (7, 8)))

    torch.testing.assert_close(found.keys[0, 1:3], torch.stack([table[[7, 8]].mean(0), table[8]]))
    torch.testing.assert_close(found.values[0, 1:3], table[[4, 5]])
    assert found.keep.tolist() == [[False, True, True, False]]


@pytest.mark.parametrize("name", ["treasure", "enteract"])
def test_heads_that_do_not_divide_the_width_are_told(name):
    with pytest.raises(ConfigError, match=r"model: expected model\.heads to divide model\.dim 14, got 4"):
        compared(name)


def test_a_key_of_a_section_leaves_the_methods_own_others():
    umd = make_config({"model": {"name": "umd", "image": {"weights": "w"}}}).model.image
    magic = make_config({"model": {"name": "magic", "knowledge": {"style_tips": "t"}}}).model.knowledge

    assert (umd.layer, umd.grid) == ("layer2", 4)
    assert not magic.attributes
