"""SeMANTIC: encoders, state, interaction, relevance. A reader follows `forward` from top to bottom."""

import math
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers import PretrainedConfig

from semantic.config.schema import ModelConfig
from semantic.datasets.batches.builder import Batch, Contexts, Products
from semantic.dst.interaction import (
    DialogueStateInteraction,
    Enhanced,
    cosine,
    cross_cosine,
    products_of_pairs,
    rows_of,
)
from semantic.dst.state import SlotValues, StudentLearner, TeacherEncoder, ValueState, WordReader, embed_keys
from semantic.encoders.attention import Attention
from semantic.encoders.bag import BagEncoder
from semantic.encoders.completion import TextCompletion
from semantic.encoders.context import PooledContext, identity_linear
from semantic.encoders.image import Backbone, ImageEncoder, WhitenedImageEncoder
from semantic.encoders.masking import masked_mean
from semantic.encoders.packing import by_length
from semantic.encoders.pooling import Pool
from semantic.encoders.text import ContextualWords, TextEncoder
from semantic.encoders.words import BatchWords, WordTables
from semantic.models.saving import SavedModel, Sizes
from semantic.models.semantic.vectors import ContextVectors, Match, Output, ProductVectors, Query, Side


class Semantic(SavedModel):
    """f(dialogue, product) = tanh(cos(x_CT, x_PT) + cos(x_CV, x_PV)); section 3 of the paper.

    Every vector x is what the Dialogue State Interaction makes of a base vector and the dialogue's state embeddings, which
    the teacher encodes from gold slot values and the student infers from the context. Inference uses the student only.
    `save_pretrained(folder)` and `from_pretrained(folder or hub name)` write and read weights (safetensors), configuration
    (JSON) and tokenizer (JSON).
    """

    gates = ("photo_gate",)
    key_tokens: Tensor
    key_keep: Tensor

    def __init__(self, config: ModelConfig, sizes: Sizes) -> None:
        super().__init__()
        self.config = config
        self.sizes = sizes
        self.tokenizer = None
        dim, text = config.dim, config.text

        words: WordTables | ContextualWords
        if sizes.text_encoder is not None:
            words = ContextualWords(PretrainedConfig.from_dict(sizes.text_encoder))
        else:
            words = WordTables(sizes.vocabulary, sizes.positions, dim, sizes.pad)
        self.turn_text: TextEncoder | BagEncoder
        self.product_text: TextEncoder | BagEncoder
        if text.encoder == "bag":
            assert isinstance(words, WordTables)
            self.turn_text = BagEncoder(words, text.word_dropout, config.dropout)
            self.product_text = BagEncoder(words, 0.0, config.dropout)
        else:
            self.turn_text = TextEncoder(words, self._attention(text.layers), Pool(config.pool, dim))
            separate = text.product_encoder == "separate"
            self.product_text = (
                TextEncoder(words, self._attention(text.layers), Pool(config.pool, dim)) if separate else self.turn_text
            )
        self.product_projection = identity_linear(dim) if text.encoder == "bag" else nn.Identity()

        self.backbone: Backbone | None = None
        features = sizes.image_features
        if features is None:
            image = config.image
            self.backbone = Backbone(image.backbone, frozen=image.frozen, batch_norm=image.batch_norm)
            features = self.backbone.features
        whitened = config.image.projection == "whitened"
        self.image = WhitenedImageEncoder(features, dim) if whitened else ImageEncoder(features, dim)
        self.photo_attention = self._attention() if config.photos == "attention" else None
        self.photo_pool = Pool(config.pool, dim)
        self.completion: TextCompletion | None = None
        if text.completion and sizes.completed_words:
            self.completion = TextCompletion(sizes.completed_words, sizes.vocabulary, features)

        if config.context == "pooled":
            self.context = PooledContext(dim, sizes.context_turns)
        else:
            self.context_text = self._attention()
            self.context_image = self._attention()
        self.teacher: TeacherEncoder | ValueState
        self.student: StudentLearner | WordReader
        if config.state == "values":
            self.teacher = ValueState(config.state_scale)
            self.student = WordReader(len(sizes.slots), dim, sizes.context_turns)
        else:
            self.teacher = TeacherEncoder(self._attention(), config.value_mean)
            self.student = StudentLearner(self._attention(), self._attention())
        self.text_interaction = self._interaction(config.interaction.text_start)
        self.image_interaction = self._interaction(config.interaction.image_start)
        self.photo_gate = nn.Parameter(torch.tensor(2.0)) if config.photo_weight == "attention" else None
        scale = config.score_scale
        self.log_scale = None if scale is None else nn.Parameter(torch.tensor(math.log(scale)))

        width = max(len(key) for key in sizes.key_tokens)
        keys = torch.tensor([[*key, *[-1] * (width - len(key))] for key in sizes.key_tokens])
        self.register_buffer("key_tokens", keys.clamp(min=0), persistent=False)
        self.register_buffer("key_keep", keys >= 0, persistent=False)

    def _attention(self, layers: int | None = None) -> Attention:
        c = self.config
        layers = c.layers if layers is None else layers
        return Attention(c.dim, c.heads, c.inner or c.dim, layers, c.dropout, c.memory)

    def _interaction(self, start: str) -> DialogueStateInteraction:
        c = self.config.interaction
        return DialogueStateInteraction(
            self.config.dim, c.hops, affine=c.map == "affine", temperature=c.temperature, start=start
        )

    def forward(self, batch: Batch, *, teacher: bool = False, text_image: bool = False) -> Output:
        """Match a batch's contexts with its candidates, by the student and, where asked, by the teacher too."""
        batch = self._through_backbone(batch)
        words = self._words(batch)
        products = self.encode_products(batch.products, words)
        context = self.encode_contexts(batch.contexts, words)
        student_state = self.student_state(context, words)
        student = self.match(student_state, context, products, batch.candidates, text_image=text_image)
        if not teacher:
            return Output(student, student_state)
        teacher_values = self.gold_values(batch.contexts, words) if self.config.state == "values" else None
        teacher_state = self.teacher_state(batch.contexts, words)
        gold = self.match(teacher_state, context, products, batch.candidates, text_image=text_image)
        return Output(student, student_state, gold, teacher_state, context.values, teacher_values)

    def _words(self, batch: Batch | None = None) -> BatchWords:
        """The word table, or the part of it that a batch needs."""
        table = self.turn_text.words.words
        if batch is None:
            return BatchWords(table.weight, pad=self.sizes.pad)
        contexts, products = batch.contexts, batch.products
        used = [contexts.turn_tokens, contexts.state_tokens, products.tokens, self.key_tokens]
        return BatchWords.of(table, *used, *([self.completion.words] if self.completion else []))

    def encode_products(self, products: Products, words: BatchWords | None = None) -> ProductVectors:
        """p_T and p_V of unique products; a missing photo gives a zero vector."""
        words = words or self._words()
        features = self.image_features(products.photos)
        if self.completion is not None:
            present = self.completion.present(products.tokens, products.keep)
            guessed = self.completion(present, self.standard_features(features, products.has_photo))
            text = self.product_text(words, products.tokens, products.keep, guessed, self.completion.words)
        else:
            text = self.product_text(words, products.tokens, products.keep)
        image = self._pool_photos(self.image(features).unsqueeze(1), products.has_photo.unsqueeze(1))
        return ProductVectors(self.product_projection(text), image)

    def standard_features(
        self, features: Float[Tensor, "product feature"], has_photo: Bool[Tensor, "product"]
    ) -> Float[Tensor, "product feature"]:
        """Features with mean 0 and deviation 1 over the catalogue, the mean where there is no photo."""
        assert isinstance(self.image, WhitenedImageEncoder)
        return self.image.standard(features).masked_fill(~has_photo.unsqueeze(1), 0.0)

    def encode_contexts(self, contexts: Contexts, words: BatchWords | None = None) -> ContextVectors:
        """C_T = Attn(U) and C_V = CrossAttn(query C_T, keys and values V) over the turns of each context; or pooled."""
        words = words or self._words()
        text = self.turn_text(words, contexts.turn_tokens, contexts.turn_keep)
        keep = contexts.turns >= 0
        at = contexts.turns.clamp(min=0)
        turns = text[at].masked_fill(~keep.unsqueeze(-1), 0.0)
        if self.config.context == "pooled":
            photos, shown = self._photos(contexts)
            vectors = self.context(turns, keep, photos[at], shown[at] & keep.unsqueeze(-1))
            values = self._read_values(contexts, keep, words) if self.config.state == "values" else None
            whole = keep.new_ones(len(keep), 1)
            return ContextVectors(vectors[0].unsqueeze(1), vectors[1].unsqueeze(1), whole, vectors[2], values)
        images = self._turn_images(contexts)[at].masked_fill(~keep.unsqueeze(-1), 0.0)
        c_text = self.context_text(turns, keep=keep)
        if self.config.image_query == "text":
            c_image = self.context_image(c_text, images, keep)
        else:
            c_image = self.context_image(images, c_text, keep)
        values = self._read_values(contexts, keep, words) if self.config.state == "values" else None
        return ContextVectors(c_text, c_image, keep, None, values)

    def student_state(
        self, context: ContextVectors, words: BatchWords | None = None
    ) -> Float[Tensor, "batch slot dim"]:
        """S', inferred from the context."""
        if context.values is not None:
            return self.teacher(self._keys(words), context.values.values)
        return self.student(self._keys(words), context.text + context.image, context.keep)

    def teacher_state(self, contexts: Contexts, words: BatchWords | None = None) -> Float[Tensor, "batch slot dim"]:
        """S, encoded from the gold slot values."""
        words = words or self._words()
        if self.config.state == "values":
            return self.teacher(self._keys(words), self.gold_values(contexts, words).values)
        return self.teacher(self._keys(words), words(contexts.state_tokens), contexts.state_keep)

    def gold_values(self, contexts: Contexts, words: BatchWords | None = None) -> SlotValues:
        """The gold value of each slot, the mean of its words, and which slots have one."""
        words = words or self._words()
        unset = torch.full_like(contexts.state_tokens[0, 0], self.sizes.pad)
        unset[: len(self.sizes.unset_tokens)] = torch.tensor(self.sizes.unset_tokens[: len(unset)], device=unset.device)
        is_set = (contexts.state_tokens != unset).any(-1)
        values = masked_mean(words(contexts.state_tokens), contexts.state_keep)
        return SlotValues(values.masked_fill(~is_set.unsqueeze(-1), 0.0), is_set.to(values.dtype))

    def _read_values(self, contexts: Contexts, keep: Bool[Tensor, "batch turn"], words: BatchWords) -> SlotValues:
        at = contexts.turns.clamp(min=0)
        kept = contexts.turn_keep[at] & keep.unsqueeze(-1)
        return self.student(self._keys(words), words, contexts.turn_tokens[at], kept)

    def match(
        self,
        state: Float[Tensor, "batch slot dim"],
        context: ContextVectors,
        products: ProductVectors,
        candidates: Tensor | None = None,
        *,
        text_image: bool = False,
    ) -> Match:
        """Relevance of candidates; `candidates` [batch, candidate] points into `products`, None means all of them."""
        query = self.query(state, context)
        if candidates is None:
            start = ProductVectors(products.text.unsqueeze(0), products.image.unsqueeze(0))
        else:
            start = ProductVectors(*(v[candidates.clamp(min=0)] for v in (products.text, products.image)))
        text, image = self._enhance(query, start)
        score = self._score(query, text, image)
        return Match(
            torch.tanh(score),
            query.text.attention,
            query.image.attention,
            text.attention,
            image.attention,
            cross_cosine(text, image, query.text.space, query.image.space) if text_image else None,
            None if self.log_scale is None else self.log_scale.exp() * score,
        )

    def query(self, state: Float[Tensor, "batch slot dim"], context: ContextVectors) -> Query:
        """The context in the spaces of its state: all that the relevance of any product needs."""
        weight = None
        if self.photo_gate is not None:
            assert context.photo_share is not None
            weight = self.photo_gate * context.photo_share
        text = self._side(self.text_interaction, state, context.text)
        return Query(text, self._side(self.image_interaction, state, context.image), weight)

    @staticmethod
    def _side(interaction: DialogueStateInteraction, state: Tensor, context: Tensor) -> Side:
        space = interaction.expand(state)
        last = interaction(context[:, -1:], space)
        return Side(space, last.formed(space), last.norm, last.attention.squeeze(1))

    def relevance(
        self, query: Query, pairs: Float[Tensor, "#batch item 2 dim"], squared: Float[Tensor, "#batch item 2"]
    ) -> Float[Tensor, "batch item"]:
        """f of products by their base vectors, text and image side by side, and the squares of their norms: for ranking."""
        text, image = query.text, query.image
        products = products_of_pairs(rows_of(text.space, text.vector), rows_of(image.space, image.vector), pairs)
        found = (
            interaction.enhance(pairs[:, :, i], products[i], squared[..., i], side.space, side.vector)
            for i, (interaction, side) in enumerate(((self.text_interaction, text), (self.image_interaction, image)))
        )
        return torch.tanh(self._score(query, *found))

    def _enhance(self, query: Query, start: ProductVectors) -> tuple[Enhanced, Enhanced]:
        text = self.text_interaction(start.text, query.text.space, query.text.vector)
        return text, self.image_interaction(start.image, query.image.space, query.image.vector)

    def _score(self, query: Query, text: Enhanced, image: Enhanced) -> Float[Tensor, "batch item"]:
        photo = cosine(query.image.norm, image)
        if query.photo_weight is not None:
            photo = photo * query.photo_weight.unsqueeze(1)
        return cosine(query.text.norm, text) + photo

    def image_features(self, photos: Tensor) -> Float[Tensor, "photo feature"]:
        """Backbone features of pictures; features computed beforehand pass through."""
        if photos.dtype != torch.uint8:
            return photos.to(self.turn_text.words.words.weight.dtype)
        if self.backbone is None:
            raise ValueError("photos: expected features [photo, feature], as this model was trained on, got pictures")
        if not len(photos):
            return torch.zeros(0, self.backbone.features, device=photos.device)
        return self.backbone(photos)

    def _through_backbone(self, batch: Batch) -> Batch:
        """The batch with features for pictures, in one call: statistics over processes need as many calls on each of them."""
        products, contexts = batch.products, batch.contexts
        own, shown = self.image_features(torch.cat([products.photos, contexts.photos])).split(
            [len(products.photos), len(contexts.photos)]
        )
        return replace(batch, products=replace(products, photos=own), contexts=replace(contexts, photos=shown))

    def _photos(self, contexts: Contexts) -> tuple[Float[Tensor, "turn photo dim"], Bool[Tensor, "turn photo"]]:
        """The vectors of the photos each turn shows, and which places hold one."""
        shown, keep = contexts.turn_photos, contexts.turn_photos >= 0
        if not bool(keep.any()):
            return self.turn_text.words.words.weight.new_zeros(*shown.shape, self.config.dim), keep
        return self.image(self.image_features(contexts.photos))[shown.clamp(min=0)], keep

    def _turn_images(self, contexts: Contexts) -> Float[Tensor, "turn dim"]:
        """v_t of each turn; a turn without photos gives zeros."""
        return self._pool_photos(*self._photos(contexts))

    def _pool_photos(
        self, photos: Float[Tensor, "set photo dim"], keep: Bool[Tensor, "set photo"]
    ) -> Float[Tensor, "set dim"]:
        attention = self.photo_attention
        if attention is None:
            return self.photo_pool(photos, keep)
        return by_length(lambda p, k: self.photo_pool(attention(p, keep=k), k), photos, keep, photos)

    def _keys(self, words: BatchWords | None = None) -> Float[Tensor, "slot dim"]:
        return embed_keys(words or self._words(), self.key_tokens, self.key_keep)
