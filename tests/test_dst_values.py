"""The state of slot values and the reader that infers them, against loops; and the loss on them."""

import math

import pytest
import torch

from semantic.dst.state import SlotValues, ValueState, ValueTranslation, WordReader
from semantic.encoders.words import BatchWords
from semantic.models.losses import sampled_softmax_loss
from semantic.models.semantic.losses import state_value_loss
from tests.oracle import add, cos, softmax
from tests.small_world import FILLER, fill, formula

BATCH, TURNS, TOKENS, SLOTS, DIM, VOCABULARY = 2, 3, 5, 4, 7, 31
EXACT = {"atol": 1e-12, "rtol": 0}
CONTEXTS = (((), (4, 6, 8), (10, 4)), ((), (), (12, 14, 16, 18, 20)))


def padded():
    tokens = torch.full((BATCH, TURNS, TOKENS), FILLER)
    for row, turns in enumerate(CONTEXTS):
        for turn, words in enumerate(turns):
            tokens[row, turn, : len(words)] = torch.tensor(words, dtype=torch.long)
    return tokens, tokens != FILLER


def table():
    words = torch.nn.Embedding(VOCABULARY, DIM, padding_idx=0).double()
    with torch.no_grad():
        words.weight.copy_(formula((VOCABULARY, DIM), 9))
    return words


def reader(**options):
    return fill(WordReader(SLOTS, DIM, TURNS, **options)).double()


def naive_read(module, keys, words):
    """(values, how far set) by loops over examples, slots, turns and words."""
    values, is_set = [], []
    for turns in CONTEXTS:
        for slot in range(SLOTS):
            query = module.query.weight @ keys[slot] / math.sqrt(DIM) + module.extra[slot]
            places = [(turn, word) for turn, text in enumerate(turns) for word in text]
            scores = [query @ words[word] / math.sqrt(DIM) + module.position[slot, turn] for turn, word in places]
            *shares, unset = softmax([*scores, module.unset[slot]])
            read = add([a * words[word] for a, (_, word) in zip(shares, places, strict=True)], DIM, words)
            if (layer := module.translation) is not None:
                hidden = torch.relu(layer.expand.weight @ (read / (1 - unset)) + layer.slot[slot])
                read = read + (1 - unset) * (layer.contract.weight @ hidden)
            values.append(read)
            is_set.append(1 - unset)
    return torch.stack(values).view(BATCH, SLOTS, DIM), torch.stack(is_set).view(BATCH, SLOTS)


@pytest.mark.parametrize("translates", [False, True])
@pytest.mark.parametrize("part", [False, True], ids=["whole table", "rows of the batch"])
def test_the_reader_is_the_loop_over_words(part, translates):
    module, words, (tokens, keep) = reader(translates=translates), table(), padded()
    keys = formula((SLOTS, DIM), 4).requires_grad_()
    vocabulary = BatchWords.of(words, tokens) if part else BatchWords(words.weight, pad=0)

    found = module(keys, vocabulary, tokens, keep)
    expected = naive_read(module, keys, words.weight)

    torch.testing.assert_close(found.values, expected[0], **EXACT)
    torch.testing.assert_close(found.is_set, expected[1], **EXACT)
    leaves, totals = [keys, words.weight, *module.parameters()], []
    for values, is_set in ((found.values, found.is_set), expected):
        total = (values * formula(values.shape, 2)).sum() + (is_set * formula(is_set.shape, 3)).sum()
        totals.append(torch.autograd.grad(total, leaves))
    for one, other in zip(*totals, strict=True):
        torch.testing.assert_close(one, other, **EXACT)


def test_a_translation_starts_as_the_words_that_were_read_and_says_nothing_of_an_unset_slot():
    values, is_set = formula((BATCH, SLOTS, DIM), 5), formula((BATCH, SLOTS), 6).abs()
    is_set[1, 2], values[1, 2] = 0, 0

    assert torch.equal(ValueTranslation(SLOTS, DIM).double()(values, is_set), values)
    assert not fill(ValueTranslation(SLOTS, DIM)).double()(values, is_set)[1, 2].any()


def test_a_translation_learns_that_a_label_says_it_in_another_word():
    """Every slot reads word 4, which labels write as word 8."""
    words, module = table().weight.detach(), reader(translates=True)
    read, is_set = words[4].expand(BATCH, SLOTS, -1), torch.ones(BATCH, SLOTS).double()
    optimizer = torch.optim.Adam(module.translation.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        (1 - torch.cosine_similarity(module.translation(read, is_set), words[8], dim=-1)).mean().backward()
        optimizer.step()

    cosines = torch.cosine_similarity(module.translation(read, is_set), words[8], dim=-1)
    assert (cosines > 0.99).all()
    assert cos(words[4], words[8]) < 0.9


def test_states_are_told_apart_by_direction_and_unset_slots_lie_far_from_every_value():
    values = torch.tensor([[[3.0, 4.0], [0.1, 0.0], [5.0, 1.0]]])
    told = SlotValues(values, torch.tensor([[0.9, 0.6, 0.5]])).told_apart()

    torch.testing.assert_close(told, torch.tensor([[[0.6, 0.8, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]]))
    assert (told[0, 1] - told[0, 2]).norm().item() == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("translates", [False, True])
def test_a_context_without_words_leaves_every_slot_unset_with_finite_gradients(translates):
    module, words = reader(translates=translates), table()
    tokens = torch.full((BATCH, TURNS, TOKENS), FILLER)

    found = module(formula((SLOTS, DIM), 4), BatchWords(words.weight, pad=0), tokens, torch.zeros_like(tokens).bool())

    assert not found.values.any()
    assert not found.is_set.any()
    gradients = torch.autograd.grad(found.values.sum() + found.is_set.sum(), [words.weight, *module.parameters()])
    assert all(not gradient.any() for gradient in gradients)  # not NaN either


def test_a_word_stands_ten_to_one_against_itself_at_first():
    module = WordReader(SLOTS, DIM, TURNS)
    words = BatchWords(torch.zeros(VOCABULARY, DIM))
    tokens, keep = padded()

    found = module(torch.zeros(SLOTS, DIM), words, tokens, keep)

    counts = [sum(map(len, turns)) for turns in CONTEXTS]
    for row, count in enumerate(counts):
        assert found.is_set[row].tolist() == pytest.approx([count / (count + 10)] * SLOTS)


def test_the_state_is_key_and_value_to_scale():
    module = fill(ValueState(0.3)).double()
    keys, values = formula((SLOTS, DIM), 4), formula((BATCH, SLOTS, DIM), 5)
    values[1, 2] = 0  # unset

    found = module(keys, values)

    for row in range(BATCH):
        for slot in range(SLOTS):
            expected = 0.3 * (module.key_weight * keys[slot] + values[row, slot])
            torch.testing.assert_close(found[row, slot], expected, **EXACT)


GOLD = ((8, None, 9), (8, 4, 9), (None, 4, 11), (8, None, None), (10, None, 9))
"""Value of each of three slots in five examples."""


def gold():
    values = table().weight.detach()
    rows = [[torch.zeros(DIM).double() if v is None else values[v] for v in example] for example in GOLD]
    is_set = torch.tensor([[float(v is not None) for v in example] for example in GOLD]).double()
    same = torch.tensor([[[one[s] == other[s] for other in GOLD] for s in range(3)] for one in GOLD])
    return SlotValues(torch.stack([torch.stack(row) for row in rows]), is_set), same


def naive_state_value_loss(student, is_set, scale):
    words, total = table().weight.detach(), student.new_zeros(())
    for row, example in enumerate(GOLD):
        for slot, value in enumerate(example):
            total = total - (is_set[row, slot] if value is not None else 1 - is_set[row, slot]).log()
            if value is None:
                continue
            distinct = sorted({other[slot] for other in GOLD} - {None})
            shares = softmax([scale * cos(student[row, slot], words[v]) for v in distinct])
            total = total - shares[distinct.index(value)].log()
    return total / len(GOLD)


@pytest.mark.parametrize("scale", [20.0, 3.0])
def test_the_value_loss_is_a_softmax_over_the_distinct_values_of_each_slot(scale):
    teacher, same = gold()
    student = formula((5, 3, DIM), 6).requires_grad_()
    is_set = (formula((5, 3), 7, 0.4) + 0.5).requires_grad_()

    found = state_value_loss(student, teacher.values, is_set, teacher.is_set, same, scale)
    expected = naive_state_value_loss(student, is_set, scale)

    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)
    for one, other in zip(*(torch.autograd.grad(loss, [student, is_set]) for loss in (found, expected)), strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=0)


def test_the_value_loss_does_not_move_the_gold_values():
    teacher, same = gold()
    values = teacher.values.clone().requires_grad_()
    student = formula((5, 3, DIM), 6).requires_grad_()

    state_value_loss(student, values, teacher.is_set, teacher.is_set, same).backward()

    assert values.grad is None


@pytest.mark.parametrize("wrong", [0.0, 1.0])
def test_a_slot_that_is_surely_wrong_costs_a_finite_loss(wrong):
    teacher, same = gold()

    loss = state_value_loss(
        torch.zeros(5, 3, DIM).double(), teacher.values, torch.full((5, 3), wrong).double(), teacher.is_set, same
    )

    assert loss.isfinite()


def test_the_sampled_softmax_loss_is_the_loop_over_positives():
    logits = formula((3, 7), 5, 4.0).requires_grad_()
    positive = torch.zeros(3, 7, dtype=torch.bool)
    positive[0, :2] = positive[1, 6] = True  # the third example has none, and counts among the examples
    keep = torch.ones(3, 7, dtype=torch.bool)
    keep[0, 5:] = keep[1, 0] = False

    expected = logits.new_zeros(())
    for row in range(3):
        shown = [c for c in range(7) if positive[row, c]]
        others = [c for c in range(7) if keep[row, c] and not positive[row, c]]
        for plus in shown:
            expected = expected - softmax([logits[row, c] for c in (plus, *others)])[0].log() / len(shown) / 3

    found = sampled_softmax_loss(logits, positive, keep)
    torch.testing.assert_close(found, expected, **EXACT)
    (one,), (other,) = (torch.autograd.grad(loss, [logits]) for loss in (found, expected))
    torch.testing.assert_close(one, other, **EXACT)
