"""A model of one's own, in about thirty lines: a slotless two-tower over words. The README shows it, the tests use it."""

import torch
from torch import nn

from semantic.config.schema import ModelConfig, PositiveInt
from semantic.models.interface import Loss, Model
from semantic.models.losses import sampled_softmax_loss


class TwoTower(Model):
    """Cosines of the mean word vectors of a context's turns and of a product's text, times a fixed scale."""

    class Config(ModelConfig):
        dim: PositiveInt = 32
        scale: float = 20.0

    def __init__(self, config, spec):
        super().__init__(config, spec)
        self.words = nn.Embedding(spec.vocabulary, config.dim, padding_idx=spec.pad)

    @property
    def product_shape(self):
        return (self.config.dim,)

    def encode_products(self, products):
        return self._mean(products.tokens, products.keep)

    def encode_query(self, contexts):
        keep = (contexts.turns >= 0).unsqueeze(-1)
        turns = self._mean(contexts.turn_tokens, contexts.turn_keep)[contexts.turns.clamp(min=0)]
        return (turns * keep).sum(1) / keep.sum(1)

    def score(self, query, products):
        return torch.cosine_similarity(query.unsqueeze(1), products.rows, dim=2)

    def loss(self, shard):
        batch = shard.batch
        scores = self.scores(self.encode_query(batch.contexts), self.encode_products(batch.products), batch.candidates)
        return Loss.sum(
            ranking=sampled_softmax_loss(self.config.scale * scores, batch.positive, batch.keep, shard.counts)
        )

    def _mean(self, tokens, keep):
        return (self.words(tokens) * keep.unsqueeze(-1)).sum(1) / keep.sum(1, keepdim=True).clamp(min=1)
