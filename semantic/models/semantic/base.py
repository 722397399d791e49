"""What the paper's method and the one for small data share: photos, interaction with the state, scoring, the joint loss."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from semantic.batching.inputs import Inputs
from semantic.batching.shards import Counts, Shard
from semantic.config.schema import NaturalInt, PositiveFloat, TextSource
from semantic.datasets.batches.builder import BatchBuilder
from semantic.datasets.batches.tensors import Batch, Contexts, Products
from semantic.dst.interaction import DialogueStateInteraction
from semantic.dst.state import DialogueState, GoldValues, StateEncoders, TurnVectors, TurnWords
from semantic.encoders.completion import TextCompletion
from semantic.encoders.image import WhitenedImageEncoder
from semantic.encoders.words import BatchWords
from semantic.models.interface import Explanation, Loss, ProductRows, full_precision
from semantic.models.losses import ranking_loss
from semantic.models.photos import PhotoConfig, PhotoModel
from semantic.models.semantic.catalogue import fit_completion, photo_blocks
from semantic.models.semantic.diagnostics import diagnose, signs_of_collapse
from semantic.models.semantic.joint import LossConfig, joint_loss, student_loss
from semantic.models.semantic.losses import state_value_loss
from semantic.models.semantic.neighbours import Neighbours, NeighboursConfig, read_examples
from semantic.models.semantic.pointing import Shown, ShownProducts
from semantic.models.semantic.scoring import Match, Query, Side, match
from semantic.models.text_checkpoints import to_unit_deviation


class TableSource(TextSource):
    """The word table, and its scale."""

    table_scale: Literal["checkpoint", "unit"] = Field(
        "checkpoint", description="the word table as it is, or scaled to deviation 1"
    )
    completion: bool = Field(
        False,
        description="guess the words that a product's text lacks from its photo and its other words; where product "
        "texts are hidden there is nothing to learn this from, and none is guessed",
    )
    completion_epochs: NaturalInt = Field(60, description="passes over the catalogue that teach the guessing")


class SemanticConfig(PhotoConfig):
    """What the configurations of both methods hold."""

    text: TableSource
    loss: LossConfig
    gate_learning_rate: PositiveFloat | None = Field(
        None,
        description="of gates, positions and sinks, which are few numbers with far to go; null: training.learning_rate",
    )
    pointer: bool = Field(
        False,
        description="products already shown, and those like them, are more or less relevant for it, by what is said; off in the paper",
    )
    neighbours: NeighboursConfig = NeighboursConfig()

    @property
    def uses_catalogue_words(self) -> bool:
        return self.text.completion


@dataclass(frozen=True)
class ContextReading:
    """A context: C_T and C_V, what the student reads the state from, and the share of attention on photos.

    The last turn of C_T and C_V are the context's vectors c_T and c_V; C_V may hold c_V alone.
    """

    text: Float[Tensor, "batch turn dim"]
    image: Float[Tensor, "batch photo_turn dim"]
    evidence: TurnVectors | TurnWords
    photo_share: Float[Tensor, "batch"] | None = None
    shown: Shown | None = None


class StateAwareModel(PhotoModel):
    """f(dialogue, product) = tanh(cos(x_CT, x_PT) + w cos(x_CV, x_PV) + r(p)), with the dialogue state in every x; r by `pointer`.

    A row of a product is [p_T, p_V]. The teacher encodes the state from gold slot values, the student infers it from the
    context; ranking uses the student alone. A subclass makes the modules declared here and reads contexts and products.
    """

    config: SemanticConfig
    gates: ClassVar[tuple[str, ...]] = ()
    """Names of its own parameters that are gates; its modules name theirs."""
    dim: int
    state: StateEncoders
    text_interaction: DialogueStateInteraction
    image_interaction: DialogueStateInteraction
    log_scale: nn.Parameter | None
    completion: TextCompletion | None
    pointer: ShownProducts | None
    neighbours: Neighbours | None

    @property
    @abstractmethod
    def whitening(self) -> WhitenedImageEncoder | None:
        """The whitening of the catalogue's features, where the model has a use for it."""

    @property
    @abstractmethod
    def word_table(self) -> nn.Embedding:
        """W_emb, which slot keys and values are read from."""

    @abstractmethod
    def read_products(self, products: Products, words: BatchWords) -> Float[Tensor, "product 2 dim"]:
        """[p_T, p_V] of products; a missing photo gives a zero vector."""

    @abstractmethod
    def read_contexts(self, contexts: Contexts, words: BatchWords) -> ContextReading:
        """The vectors of contexts, and what the student reads."""

    @abstractmethod
    def load_text(self, encoder: nn.Module) -> None:
        """Take over what the model keeps of a text checkpoint's encoder."""

    def photo_weight(self, reading: ContextReading) -> Float[Tensor, "batch"] | None:
        """w, the weight of the photo cosine; None: one."""
        del reading
        return None

    @abstractmethod
    def state_terms(self, student: DialogueState, teacher: DialogueState, shard: Shard) -> dict[str, Tensor]:
        """The terms of the loss that draw the student's state to the teacher's, weighed."""

    @property
    def inputs(self) -> Inputs:
        return replace(super().inputs, states="own")

    @property
    def product_shape(self) -> tuple[int, ...]:
        return (2, self.dim)

    def initialise(self, text_encoder: nn.Module | None) -> None:
        if text_encoder is not None:
            self.load_text(text_encoder)
        if self.config.text.table_scale == "unit":
            to_unit_deviation(self.word_table)
        self.load_photos()

    def fit_catalogue(self, builder: BatchBuilder, seed: int, advance: Callable[[int, int], None]) -> None:
        """Whiten the photos' features, and learn to guess the words that texts leave out, where the model does either."""
        device, completion, whitening = self.word_table.weight.device, self.completion, self.whitening
        if whitening is not None:
            whitening.fit(block.to(device) for block in photo_blocks(builder))
        if completion is None:
            return

        def read(ids: np.ndarray) -> tuple[Tensor, Tensor]:
            products = builder.products(ids).to(device)
            features = self.standard_features(self.image_features(products.photos), products.has_photo)
            return completion.present(products.tokens, products.keep), features

        self.train()
        epochs = self.config.text.completion_epochs
        fit_completion(completion, read, builder.store.num_products, epochs, seed, advance)

    def remember(self, builder: BatchBuilder, rows: np.ndarray) -> None:
        if self.neighbours is not None:
            self.neighbours.hold_nothing()  # it need not be asked for each of the examples
            self.neighbours.hold(*read_examples(self, builder, rows))

    def standard_features(
        self, features: Float[Tensor, "product feature"], has_photo: Bool[Tensor, "product"]
    ) -> Float[Tensor, "product feature"]:
        """Features with mean 0 and deviation 1 over the catalogue, the mean where there is no photo."""
        assert self.whitening is not None
        return self.whitening.standard(features).masked_fill(~has_photo.unsqueeze(1), 0.0)

    def guessed_words(
        self, products: Products, features: Float[Tensor, "product feature"]
    ) -> tuple[Float[Tensor, "product word"], Int[Tensor, "word"]] | None:
        """The probability of each word that a product's text lacks, and these words; None without completion."""
        if self.completion is None:
            return None
        present = self.completion.present(products.tokens, products.keep)
        return self.completion(present, self.standard_features(features, products.has_photo)), self.completion.words

    def encode_products(self, products: Products) -> Float[Tensor, "product 2 dim"]:
        return self.read_products(products, self.words())

    def encode_query(self, contexts: Contexts) -> Query:
        """The contexts in the spaces of the states that the student infers from them (or of gold ones: `reads_gold_states`)."""
        words = self.words()
        reading = self.read_contexts(contexts, words)
        if self.config.reads_gold_states:
            state = self.state.encode(words, GoldValues(contexts.state_tokens, contexts.state_keep))
        else:
            state = self.state.infer(words, reading.evidence)
        query = self.query(reading, state)
        if self.neighbours is None:
            return query
        return replace(query, recalled=self.neighbours.recall(query.text.vector[:, 0]))

    def score(self, query: Query, products: ProductRows) -> Float[Tensor, "query candidate"]:
        return self.match(query, products).relevance

    def ranking_loss(
        self,
        scores: Float[Tensor, "query candidate"],
        positive: Bool[Tensor, "query candidate"],
        keep: Bool[Tensor, "query candidate"],
        counts: Counts,
    ) -> Float[Tensor, ""]:
        """`model.loss.ranking` of the student's f; the cosines under a softmax's logits are atanh f."""
        logits = None
        if self.log_scale is not None:
            below_one = 1 - torch.finfo(scores.dtype).eps
            logits = self.log_scale.exp() * scores.clamp(-below_one, below_one).atanh()
        return ranking_loss(self.config.loss.ranking, scores, logits, positive, keep, counts)

    def loss(self, shard: Shard) -> Loss:
        """The joint loss of teacher and student on labelled examples, the student's alone on others."""
        batch = self.with_features(shard.batch)
        words = self.words(batch)
        rows = self.read_products(batch.products, words)
        reading = self.read_contexts(batch.contexts, words)
        inferred = self.state.infer(words, reading.evidence)
        matches = {"student": self.match(self.query(reading, inferred), ProductRows.of(rows, batch.candidates))}
        states = {"student": inferred.embeddings}
        if shard.labelled:
            gold = self.state.encode(words, GoldValues(batch.contexts.state_tokens, batch.contexts.state_keep))
            matches["teacher"] = self.match(self.query(reading, gold), ProductRows.of(rows, batch.candidates))
            states["teacher"] = gold.embeddings
            terms = self.state_terms(inferred, gold, shard)
            loss = joint_loss(matches["teacher"], matches["student"], terms, shard, self.config.loss)
        else:
            loss = student_loss(matches["student"], shard, self.config.loss)
        contexts = torch.cat([reading.text[:, -1:], reading.image[:, -1:]], dim=1)
        return replace(loss, diagnostics=diagnose(rows, contexts, states, matches, shard))

    def value_term(self, student: DialogueState, teacher: DialogueState, shard: Shard) -> Float[Tensor, ""]:
        """`state_value_loss` among the whole batch's gold values, for states that go by slot values."""
        tokens, gold, inferred = shard.batch.contexts.state_tokens, teacher.values, student.values
        own = slice(None)
        if shard.states is not None:
            tokens, own = shard.states.state_tokens, shard.own
            with torch.no_grad():
                gold = self.state.gold_values(self.words(), GoldValues(tokens, shard.states.state_keep))
        assert gold is not None
        assert inferred is not None
        same = (tokens[:, :, None] == tokens.transpose(0, 1)[None]).all(-1)  # [example, slot, example]
        with full_precision(tokens.device):
            return state_value_loss(inferred.values, gold.values, inferred.is_set, gold.is_set, same, own=own)

    def signs_of_collapse(self, means: Mapping[str, float]) -> Sequence[str]:
        return signs_of_collapse(means, self.config.loss.ranking)

    has_states = True

    def encode_states(self, contexts: Contexts) -> Float[Tensor, "query slot dim"]:
        gold = self.state.encode(self.words(), GoldValues(contexts.state_tokens, contexts.state_keep))
        return gold.embeddings if gold.values is None else gold.values.told_apart()

    def infer_states(self, contexts: Contexts) -> Float[Tensor, "query slot dim"]:
        words = self.words()
        inferred = self.state.infer(words, self.read_contexts(contexts, words).evidence)
        return inferred.embeddings if inferred.values is None else inferred.values.told_apart()

    def explain(self, query: Query, products: ProductRows) -> Sequence[Explanation]:
        """The attention of the last hop, a_K, of the dialogue and of each product over the slots."""
        found = self.match(query, products)
        return (
            Explanation(
                "Hop attention over the slots",
                self.spec.slots,
                {"dialogue text": found.context_text, "dialogue photos": found.context_image},
                {"text": found.product_text, "photo": found.product_image},
            ),
        )

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Gates may have a learning rate of their own: they are few numbers with far to go. Text completion is trained before,
        on the catalogue.
        """
        named = [getattr(module, name) for module in self.modules() for name in getattr(module, "gates", ())]
        gates = [gate for gate in named if gate is not None]
        apart = {id(p) for p in [*gates, *(self.completion.parameters() if self.completion is not None else ())]}
        others = [p for p in self.parameters() if p.requires_grad and id(p) not in apart]
        rate = self.config.gate_learning_rate
        return [{"params": others}, *([{"params": gates, **({} if rate is None else {"lr": rate})}] if gates else [])]

    def compilable(self) -> Iterable[nn.Module]:
        return [*super().compilable(), self.text_interaction, self.image_interaction]

    def query(self, reading: ContextReading, state: DialogueState) -> Query:
        """The context in the spaces of a state."""
        weight = self.photo_weight(reading)
        text = Side.of(self.text_interaction, state.embeddings, reading.text[:, -1:])
        image = Side.of(self.image_interaction, state.embeddings, reading.image[:, -1:])
        return Query(text, image, weight, reading.shown)

    def read_shown(self, text: Float[Tensor, "query dim"], contexts: Contexts, words: BatchWords) -> Shown | None:
        """The products that contexts show, as such; None without the pointer, or where none is shown."""
        if self.pointer is None or not len(contexts.photo_tokens):
            return None
        shown = torch.ones(len(contexts.photo_tokens), dtype=torch.bool, device=text.device)
        rows = self.read_products(Products(contexts.photo_tokens, contexts.photo_keep, contexts.photos, shown), words)
        at = contexts.turns.clamp(min=0)
        places = contexts.turn_photos[at]
        keep = (places >= 0) & (contexts.turns >= 0).unsqueeze(-1)
        return self.pointer.read(text, rows, places, keep)

    def match(self, query: Query, products: ProductRows) -> Match:
        interactions = self.text_interaction, self.image_interaction
        return match(query, products, *interactions, self.log_scale, self.pointer, self.neighbours)

    def words(self, batch: Batch | None = None) -> BatchWords:
        """The word table, or the rows of it that a batch needs."""
        table = self.word_table
        if batch is None:
            return BatchWords(table.weight, pad=self.spec.pad)
        contexts, products = batch.contexts, batch.products
        used = [contexts.turn_tokens, contexts.state_tokens, products.tokens, self.state.key_tokens]
        if self.config.pointer:
            used.append(contexts.photo_tokens)
        return BatchWords.of(table, *used, *self.other_words())

    def other_words(self) -> Sequence[Tensor]:
        """Words that every batch needs, whatever its texts."""
        return () if self.completion is None else (self.completion.words,)
