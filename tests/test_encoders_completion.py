"""What text completion hides, what it asks for, and what it answers."""

import math

import pytest
import torch
import torch.nn.functional as F

from semantic.encoders import completion
from semantic.encoders.completion import LEAST, PRIOR, TextCompletion
from tests.small_world import FILLER, fill, formula, pad

VOCABULARY, FEATURES, PRODUCTS = 31, 7, 3
WORDS = (4, 6, 9, 16, 25)
TEXTS = ((9, 4, 9, 12), (), (25, 11, 6))
TOKENS, KEEP = pad(TEXTS, FILLER, 2)
PRESENT = torch.tensor([[1, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 1]]).double()
PHOTOS = formula((PRODUCTS, FEATURES), 5, 2.0)


def network():
    return fill(TextCompletion(WORDS, VOCABULARY, FEATURES)).double()


def naive_logits(module, features, shown):
    """The hidden layer by loops over its units."""
    first, last = module.network[0], module.network[3]
    x = torch.cat([features, shown])
    hidden = [sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in zip(first.weight, first.bias,
              strict=True)]  # fmt: skip
    gelu = torch.stack([h * (1 + torch.erf(h / math.sqrt(2))) / 2 for h in hidden])
    return torch.stack([row @ gelu + b for row, b in zip(last.weight, last.bias, strict=True)])


def test_words_present_are_marked_once_each_and_others_left_alone():
    found = network().present(TOKENS.masked_fill(~KEEP, 16), KEEP)  # padding holds a word that no text has

    assert torch.equal(found.double(), PRESENT)


def test_a_guess_is_the_networks_probability_of_what_the_text_lacks():
    module = network().eval()

    found = module(PRESENT, PHOTOS)

    for row in range(PRODUCTS):
        logits = naive_logits(module, PHOTOS[row], PRESENT[row])
        for column, logit in enumerate(logits):
            guess = 1 / (1 + math.exp(-logit.item() - PRIOR))
            expected = 0.0 if PRESENT[row, column] or guess <= LEAST else guess
            assert found[row, column].item() == pytest.approx(expected, abs=1e-12)


def test_a_probability_below_the_least_counts_as_none():
    module = network()
    for logit, guess in ((-10.0, 0.0), (math.log(0.31 / 0.69) - PRIOR, 0.31), (math.log(0.29 / 0.71) - PRIOR, 0.0)):
        with torch.no_grad():
            module.network[3].weight.zero_()
            module.network[3].bias.fill_(logit)

        assert module(PRESENT, PHOTOS).numpy() == pytest.approx((guess * (1 - PRESENT)).numpy())


def test_a_guess_has_no_gradient_and_no_dropout_even_in_training():
    module = network().train()
    features = PHOTOS.clone().requires_grad_()

    assert not module(PRESENT, features).requires_grad
    assert torch.equal(module(PRESENT, features), module(PRESENT, features))


def test_the_loss_is_the_cross_entropy_of_every_word_when_none_is_shown(monkeypatch):
    monkeypatch.setattr(completion, "WORDS_HIDDEN", 1.0)
    monkeypatch.setattr(completion, "FEATURES_HIDDEN", 0.0)
    monkeypatch.setattr(completion, "PHOTOS_HIDDEN", 0.0)
    module = network().eval()  # a photo is hidden where rand is 0: never
    torch.manual_seed(0)

    terms = 0.0
    for row in range(PRODUCTS):
        for word, logit in zip(PRESENT[row], naive_logits(module, PHOTOS[row], torch.zeros(5).double()), strict=True):
            share = torch.sigmoid(logit)
            terms = terms - (share if word else 1 - share).log()
    torch.testing.assert_close(module.loss(PRESENT, PHOTOS), terms / PRODUCTS, atol=1e-12, rtol=0)


def test_words_that_are_shown_are_not_asked_for(monkeypatch):
    monkeypatch.setattr(completion, "WORDS_HIDDEN", -1.0)  # every word is shown
    monkeypatch.setattr(completion, "FEATURES_HIDDEN", 0.0)
    monkeypatch.setattr(completion, "PHOTOS_HIDDEN", -1.0)
    module = network().eval()

    logits = torch.stack([naive_logits(module, *row) for row in zip(PHOTOS, PRESENT, strict=True)])
    absent = F.softplus(logits)[PRESENT == 0]  # -log(1 - sigmoid(logit))
    torch.testing.assert_close(module.loss(PRESENT, PHOTOS), absent.sum() / PRODUCTS, atol=1e-12, rtol=0)


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_words_are_hidden_by_their_share(monkeypatch, share):
    monkeypatch.setattr(completion, "WORDS_HIDDEN", share)
    products = 4003
    module = TextCompletion(WORDS, VOCABULARY, FEATURES).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()  # every word that is asked for costs log 2
    torch.manual_seed(0)

    asked = module.loss(torch.ones(products, 5).double(), torch.zeros(products, FEATURES).double()) / math.log(2)

    assert abs(asked.item() / 5 - share) < 4 * math.sqrt(share * (1 - share) / (5 * products))


def test_words_are_part_of_the_sizes_not_of_the_weights():
    assert all(name.startswith("network.") for name in network().state_dict())
