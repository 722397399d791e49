"""SeMANTIC as the paper defines it. Where the code published with it differs, or the preset `tuned`, a field of `PaperConfig` says so.

Read `Semantic` from top to bottom: what it is made of, then how products and contexts become vectors. Its choices are in
`paper_config`, scoring and the joint loss in `base`, the state encoders in `semantic.dst.state`.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from semantic.batching.inputs import Inputs, InputSpec
from semantic.batching.shards import Shard
from semantic.datasets.batches.tensors import Contexts, Products
from semantic.dst.interaction import DialogueStateInteraction
from semantic.dst.state import (
    AttentionStates,
    DialogueState,
    StudentLearner,
    TeacherEncoder,
    TurnVectors,
    TurnWords,
    WordReader,
)
from semantic.encoders.completion import TextCompletion
from semantic.encoders.context import PhotoSelection
from semantic.encoders.image import Backbone, ImageEncoder, WhitenedImageEncoder
from semantic.encoders.layers.attention import Attention
from semantic.encoders.layers.masking import masked_sum
from semantic.encoders.layers.packing import by_length
from semantic.encoders.layers.pooling import Pool
from semantic.encoders.text import ContextualWords, TextEncoder
from semantic.encoders.words import BatchWords, WordTables
from semantic.models.interface import DirectForm
from semantic.models.losses import log_scale
from semantic.models.semantic.base import (
    ContextReading,
    StateAwareModel,
)
from semantic.models.semantic.losses import state_loss
from semantic.models.semantic.neighbours import Neighbours
from semantic.models.semantic.paper_config import PaperConfig
from semantic.models.semantic.pointing import ShownProducts
from semantic.models.text_checkpoints import load_contextual, load_tables


class Semantic(StateAwareModel):
    """The network of section 3 of the paper.

    text turn     u_t = Pool(Attn(W_emb[w] + PE))           image turn    v_t = Pool(Attn(Linear(backbone(photo))))
    context       C_T = Attn(U), C_V = CrossAttn(query C_T, keys and values V); the last turn of each
    product       p_T and p_V like a turn's
    state         S = Attn(K + values);  S' = Attn(K + Z), Z = CrossAttn(query K, keys and values C_T + C_V)

    The preset `tuned` reads Z off the words of the turns (`WordReader`), and interacts through gates.
    """

    Config = PaperConfig
    config: PaperConfig
    gates = ("photo_gate",)
    state: AttentionStates

    def __init__(self, config: PaperConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        self.dim = dim = config.dim
        words: WordTables | ContextualWords
        if config.text.encoder == "contextual":
            assert spec.text_encoder is not None
            words = ContextualWords(spec.text_encoder)
        else:
            words = WordTables(spec.vocabulary, spec.positions, dim, spec.pad)
        if config.start == "identity" and isinstance(words, WordTables):
            nn.init.zeros_(words.positions.weight)
        self.turn_text = TextEncoder(words, self._attention(config.text.layers), Pool(config.pooling, dim))
        self.product_text = self.turn_text
        if config.text.product_encoder != "shared":
            layers = 0 if config.text.product_encoder == "pooled" else config.text.layers
            self.product_text = TextEncoder(words, self._attention(layers), Pool(config.pooling, dim))

        features, image = spec.image_features, config.image
        self.backbone: Backbone | None = None
        if features is None:
            self.backbone = Backbone(image.backbone, frozen=image.frozen, batch_norm=image.batch_norm)
            features = self.backbone.features
        self.image: ImageEncoder | WhitenedImageEncoder
        self.image = (WhitenedImageEncoder if image.projection == "whitened" else ImageEncoder)(features, dim)
        # Guessing words reads standardised features.
        apart = config.text.completion and image.projection == "trained"
        self.statistics = WhitenedImageEncoder(features, dim) if apart else None
        self.completion: TextCompletion | None = None
        if config.text.completion and spec.catalogue_words:
            self.completion = TextCompletion(spec.catalogue_words, spec.vocabulary, features)
        by_selection = image.context == "selection"
        self.photo_attention = self._attention() if config.photos == "attention" and not by_selection else None
        self.photo_pool = None if by_selection else Pool(config.pooling, dim)

        self.turn_position = nn.Parameter(torch.zeros(spec.context_turns, dim)) if config.turn_positions else None
        self.context_text = self._attention()
        self.context_image: Attention | PhotoSelection
        self.photo_gate: nn.Parameter | None = None
        if by_selection:
            self.context_image = PhotoSelection(dim, spec.context_turns)
            self.photo_gate = nn.Parameter(torch.tensor(2.0))
        else:
            self.context_image = self._attention()

        teacher, by_words = TeacherEncoder(self._attention(), config.value_mean), config.state.evidence == "words"
        predictor = (
            WordReader(len(spec.slots), dim, spec.context_turns, translates=config.state.translates)
            if by_words
            else self._attention()
        )
        attention = teacher.attention if config.state.attention == "shared" else self._attention()
        self.state = AttentionStates(
            spec.key_tokens,
            teacher,
            StudentLearner(predictor, attention),
            unset=spec.unset_tokens,
            pad=spec.pad,
            key_weight=config.state.key_weight,
        )
        self.text_interaction = self._interaction("text", config.interaction.text_start)
        self.image_interaction = self._interaction("image", config.interaction.image_start)
        self.log_scale = log_scale(config.loss.ranking)
        self.pointer = ShownProducts(dim, spec.context_turns) if config.pointer else None
        self.neighbours = Neighbours(config.neighbours) if config.neighbours.weight else None

    def _attention(self, layers: int | None = None) -> Attention:
        c = self.config
        layers = c.layers if layers is None else layers
        return Attention(c.dim, c.heads, c.inner or c.dim, layers, c.dropout, c.memory, c.norm, c.start)

    def _interaction(self, side: str, start: str) -> DialogueStateInteraction:
        c = self.config.interaction
        return DialogueStateInteraction(
            self.dim,
            c.hops if c.sides in ("both", side) else 0,
            affine=c.map == "affine",
            temperature=c.temperature,
            start=start,
            scale=c.start_scale,
            attention=c.attention,
        )

    def load_text(self, encoder: nn.Module) -> None:
        words = self.turn_text.words
        if isinstance(words, ContextualWords):
            load_contextual(words, encoder, self.dim)
        else:
            load_tables(words, encoder, self.dim)

    @property
    def inputs(self) -> Inputs:
        found = super().inputs
        return replace(found, states="whole batch") if self.config.loss.state == "values" else found

    @property
    def whitening(self) -> WhitenedImageEncoder | None:
        return self.image if isinstance(self.image, WhitenedImageEncoder) else self.statistics

    @property
    def word_table(self) -> nn.Embedding:
        return self.turn_text.words.words

    def read_products(self, products: Products, words: BatchWords) -> Float[Tensor, "product 2 dim"]:
        features = self.image_features(products.photos)
        text = self.product_text(words, products.tokens, products.keep)
        if (guessed := self.guessed_words(products, features)) is not None:
            text = self._completed(text, products.keep.sum(1), words, *guessed)
        image = self._pool_photos(self.image(features).unsqueeze(1), products.has_photo.unsqueeze(1))
        return torch.stack([text, image], dim=1)

    def _completed(
        self,
        text: Float[Tensor, "product dim"],
        count: Int[Tensor, "product"],
        words: BatchWords,
        guessed: Float[Tensor, "product word"],
        guessed_words: Int[Tensor, "word"],
    ) -> Float[Tensor, "product dim"]:
        """p_T with the embeddings of guessed words, each as much as it is probable: added to a sum, weighed in with a mean."""
        added = guessed.to(text.dtype) @ words.table[words.at(guessed_words)]
        if self.config.pooling in ("sum", "leaky_sum"):
            return text + added
        total = (count + guessed.sum(1)).clamp(min=1).unsqueeze(1)
        return (count.unsqueeze(1) * text + added) / total

    def read_contexts(self, contexts: Contexts, words: BatchWords) -> ContextReading:
        tokens, token_keep = contexts.turn_tokens, contexts.turn_keep
        if isinstance(self.state.student.predictor, WordReader):
            vectors = self.turn_text.words_in_context(words, tokens, token_keep)
            texts, keep = contexts.each_turn(self.turn_text.pool(vectors, token_keep))
        else:
            texts, keep = contexts.each_turn(self.turn_text(words, tokens, token_keep))
        if self.turn_position is not None:
            texts = texts + self.turn_position[-texts.shape[1] :]
        c_text = self.context_text(texts, keep=keep)
        photos, shown = self.turn_photos(contexts, self.image(self.image_features(contexts.photos)))
        at, share = contexts.turns.clamp(min=0), None
        if isinstance(self.context_image, PhotoSelection):
            selected, share = self.context_image.select(c_text[:, -1], photos[at], shown[at] & keep.unsqueeze(-1))
            c_image = selected.unsqueeze(1)
        else:
            images, _ = contexts.each_turn(self._pool_photos(photos, shown))
            c_image = self.context_image(c_text, images, keep)
        evidence: TurnVectors | TurnWords = TurnVectors(c_text + c_image, keep)
        if isinstance(self.state.student.predictor, WordReader):
            evidence = TurnWords(tokens[at], token_keep[at] & keep.unsqueeze(-1), vectors[at])
        return ContextReading(c_text, c_image, evidence, share, self.read_shown(c_text[:, -1], contexts, words))

    def photo_weight(self, reading: ContextReading) -> Float[Tensor, "batch"] | None:
        if self.photo_gate is None or reading.photo_share is None:
            return None
        return self.photo_gate * reading.photo_share

    def _pool_photos(
        self, photos: Float[Tensor, "set photo dim"], keep: Bool[Tensor, "set photo"]
    ) -> Float[Tensor, "set dim"]:
        """v of sets of photos; a set without any gives zeros. Where photos are selected one by one, a set is one photo."""
        attention, pool = self.photo_attention, self.photo_pool
        if pool is None:
            return masked_sum(photos, keep)
        if attention is None:
            return pool(photos, keep)
        return by_length(lambda p, k: pool(attention(p, keep=k), k), photos, keep, photos)

    def state_terms(self, student: DialogueState, teacher: DialogueState, shard: Shard) -> dict[str, Tensor]:
        """MSE(S', S), or which of the whole batch's values each slot has."""
        loss = self.config.loss
        if not loss.state_weight:
            return {}
        if loss.state == "values":
            return {"state_values": loss.state_weight * self.value_term(student, teacher, shard)}
        return {"state_mse": loss.state_weight * state_loss(student.embeddings, teacher.embeddings, shard.counts)}

    def direct_form(self) -> DirectForm:
        # The bench alone needs it.
        from semantic.models.semantic.direct.paper import PaperDirectForm

        return PaperDirectForm(self)
