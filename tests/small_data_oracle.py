"""The model for small data as loops over its equations, with the model's own weights."""

import torch

from tests.oracle import add, cos, interact, softmax
from tests.small_world import DIM, SPECS, Example, Item

SPEC = SPECS["small_data"]


class SmallDataOracle:
    """The model's own weights under the equations of its modules, an example at a time; no padding exists here."""

    def __init__(self, model, world):
        self.model, self.world = model, world
        self.table = model.turn_text.words.words.weight

    def bag(self, query, words):
        """Words with their shares: one for a word that is there, its probability for one guessed."""
        terms = [share * (query @ self.table[word] / DIM**0.5).exp() for word, share in words]
        return add([t / sum(terms) * self.table[w] for t, (w, _) in zip(terms, words, strict=True)], DIM, self.table)

    def photo(self, picture):
        image = self.model.image
        return image.weight @ ((self.world.pictures[picture] - image.mean) / image.deviation)

    def guesses(self, item):
        """(word, probability) of the catalogue's words that the item's text lacks."""
        words, image, network = SPEC["catalogue_words"], self.model.image, self.model.completion.network
        features = torch.zeros_like(image.mean)
        if item.photo is not None:
            features = (self.world.pictures[item.photo] - image.mean) / image.deviation
        present = torch.tensor([float(word in item.tokens) for word in words]).double()
        hidden = network[0].weight @ torch.cat([features, present]) + network[0].bias
        gelu = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
        shares = 1 / (1 + (-(network[3].weight @ gelu + network[3].bias) - 3.0).exp())
        found = [(w, share.detach()) for w, share in zip(words, shares, strict=True) if share > 0.3]
        return [(word, share) for word, share in found if word not in item.tokens]

    def product(self, item: Item):
        words = [(word, 1.0) for word in item.tokens] + self.guesses(item)
        text = self.model.product_projection.weight @ self.bag(self.model.product_text.query, words)
        return text, self.table.new_zeros(DIM) if item.photo is None else self.photo(item.photo)

    def context(self, turns):
        """c_T, c_V and the share of attention on photos."""
        c, texts = (
            self.model.context,
            [self.bag(self.model.turn_text.query, [(w, 1.0) for w in t.tokens]) for t in turns],
        )
        places = range(SPEC["context_turns"] - len(turns), SPEC["context_turns"])
        weights = softmax([c.score @ u / DIM**0.5 + c.position[p] for u, p in zip(texts, places, strict=True)])
        mean = add([w * u for w, u in zip(weights, texts, strict=True)], DIM, self.table)
        text = c.last.weight @ texts[-1] + c.gate * (c.mean.weight @ mean)
        shown = [(place, self.photo(v)) for place, turn in zip(places, turns, strict=True) for v in turn.photos]
        asked = c.query.weight @ text
        scores = [10.0 * cos(asked, photo) + c.photo_position[place] for place, photo in shown]
        *attention, _ = softmax([*scores, c.sink + text @ c.sink_query / DIM**0.5])
        image = add([a * v / v.norm() for a, (_, v) in zip(attention, shown, strict=True)], DIM, self.table)
        return text, image, sum(attention, self.table.new_zeros(()))

    def keys(self):
        tokens = self.model.spec.key_tokens
        return [add([self.table[t] for t in key], DIM, self.table) / len(key) for key in tokens]

    def gold(self, values):
        """Value embeddings, zero where unset, and which slots are set."""
        unset = [value == self.model.spec.unset_tokens for value in values]
        means = [add([self.table[t] for t in value], DIM, self.table) / len(value) for value in values]
        return [m * (not u) for m, u in zip(means, unset, strict=True)], [
            self.table.new_tensor(float(not u)) for u in unset
        ]

    def read(self, turns):
        """The student's value embeddings, and how far each slot is set."""
        student, first = self.model.state.student, SPEC["context_turns"] - len(turns)
        words = [(first + i, word) for i, turn in enumerate(turns) for word in turn.tokens]
        values, is_set = [], []
        for slot, key in enumerate(self.keys()):
            query = student.query.weight @ key / DIM**0.5 + student.extra[slot]
            scores = [query @ self.table[w] / DIM**0.5 + student.position[slot, place] for place, w in words]
            *shares, unset = softmax([*scores, student.unset[slot]])
            values.append(add([a * self.table[w] for a, (_, w) in zip(shares, words, strict=True)], DIM, self.table))
            is_set.append(1 - unset)
        return values, is_set

    def state(self, values):
        teacher = self.model.state.teacher
        return [0.3 * (teacher.key_weight * key + value) for key, value in zip(self.keys(), values, strict=True)]

    def sums(self, example: Example, values):
        """cos(x_CT, x_PT) + gate share cos(x_CV, x_PV) of every candidate."""
        state, found = self.state(values), []
        maps = [[(layer.weight, None) for layer in interaction.maps]
                for interaction in (self.model.text_interaction, self.model.image_interaction)]  # fmt: skip
        c_text, c_image, share = self.context(example.turns)
        for candidate in example.candidates:
            text, image = (
                cos(interact(c, state, m, 0.1)[0], interact(p, state, m, 0.1)[0])
                for c, p, m in zip((c_text, c_image), self.product(self.world.items[candidate]), maps, strict=True)
            )
            found.append(text + self.model.photo_gate * share * image)
        return torch.stack(found)
