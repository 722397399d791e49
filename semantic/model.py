"""SeMANTIC: encoders, state, interaction, relevance. A reader follows `forward` from top to bottom."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import ModelHubMixin, snapshot_download
from jaxtyping import Bool, Float
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import PretrainedConfig

from semantic.config import ModelConfig
from semantic.datasets.batches import Batch, Contexts, Products
from semantic.dst.interaction import DialogueStateInteraction, Enhanced, StateSpace, cosine, cross_cosine
from semantic.dst.state import StudentLearner, TeacherEncoder, embed_keys
from semantic.encoders.attention import Attention
from semantic.encoders.image import Backbone, ImageEncoder
from semantic.encoders.pooling import Pool
from semantic.encoders.text import ContextualWords, TextEncoder, WordTables
from semantic.files import replacing, write_text
from semantic.match import Match

FORMAT, VERSION = "semantic-model", 1


@dataclass(frozen=True)
class ProductVectors:
    """p_T and p_V, the base vectors of products; they depend on no dialogue."""

    text: Float[Tensor, "product dim"]
    image: Float[Tensor, "product dim"]


@dataclass(frozen=True)
class ContextVectors:
    """C_T and C_V; the last turn of each is the context's vector."""

    text: Float[Tensor, "batch turn dim"]
    image: Float[Tensor, "batch turn dim"]
    keep: Bool[Tensor, "batch turn"]


@dataclass(frozen=True)
class Output:
    """The student's match and state, and the teacher's where it was asked for."""

    student: Match
    student_state: Float[Tensor, "batch slot dim"]
    teacher: Match | None = None
    teacher_state: Float[Tensor, "batch slot dim"] | None = None


@dataclass(frozen=True)
class Sizes:
    """What of the model comes from the data and the checkpoints, and the windows its inputs are cut to."""

    vocabulary: int
    positions: int
    pad: int
    slots: tuple[str, ...]
    key_tokens: tuple[tuple[int, ...], ...]
    image_features: int | None = None  # width of features read from a file; None where a backbone makes them
    text_encoder: dict[str, Any] | None = None  # the contextual encoder's own configuration
    context_turns: int = 5
    photos_per_turn: int = 5
    turn_tokens: int = 30
    product_tokens: int = 30
    value_tokens: int = 6


class ModelError(ValueError):
    """A saved model that cannot be read. The message says where, what was expected and what was found."""

    exit_code = 2  # of the command line


class Semantic(nn.Module, ModelHubMixin, library_name="semantic", tags=["conversational-recommendation"]):
    """f(dialogue, product) = tanh(cos(x_CT, x_PT) + cos(x_CV, x_PV)); section 3 of the paper.

    Every vector x is what the Dialogue State Interaction makes of a base vector and the dialogue's state embeddings, which
    the teacher encodes from gold slot values and the student infers from the context. Inference uses the student only.
    `save_pretrained(folder)` and `from_pretrained(folder or hub name)` write and read weights (safetensors), configuration
    (JSON) and tokenizer (JSON).
    """

    key_tokens: Tensor
    key_keep: Tensor

    def __init__(self, config: ModelConfig, sizes: Sizes) -> None:
        super().__init__()
        self.config = config
        self.tokenizer: Tokenizer | None = None
        self.sizes = sizes
        dim, text = config.dim, config.text

        words: WordTables | ContextualWords
        if sizes.text_encoder is not None:
            words = ContextualWords(PretrainedConfig.from_dict(sizes.text_encoder))
        else:
            words = WordTables(sizes.vocabulary, sizes.positions, dim, sizes.pad)
        self.turn_text = TextEncoder(words, self._attention(text.layers), Pool(config.pool, dim))
        if text.product_encoder == "separate":
            self.product_text = TextEncoder(words, self._attention(text.layers), Pool(config.pool, dim))
        else:
            self.product_text = self.turn_text

        self.backbone: Backbone | None = None
        features = sizes.image_features
        if features is None:
            image = config.image
            self.backbone = Backbone(image.backbone, frozen=image.frozen, batch_norm=image.batch_norm)
            features = self.backbone.features
        self.image = ImageEncoder(features, dim)
        self.photo_attention = self._attention() if config.photos == "attention" else None
        self.photo_pool = Pool(config.pool, dim)

        self.context_text = self._attention()
        self.context_image = self._attention()
        self.teacher = TeacherEncoder(self._attention(), config.value_mean)
        self.student = StudentLearner(self._attention(), self._attention())
        self.text_interaction = self._interaction()
        self.image_interaction = self._interaction()

        width = max(len(key) for key in sizes.key_tokens)
        keys = torch.tensor([[*key, *[-1] * (width - len(key))] for key in sizes.key_tokens])
        self.register_buffer("key_tokens", keys.clamp(min=0), persistent=False)
        self.register_buffer("key_keep", keys >= 0, persistent=False)

    def _attention(self, layers: int | None = None) -> Attention:
        c = self.config
        layers = c.layers if layers is None else layers
        return Attention(c.dim, c.heads, c.inner or c.dim, layers, c.dropout, c.memory)

    def _interaction(self) -> DialogueStateInteraction:
        c = self.config.interaction
        return DialogueStateInteraction(self.config.dim, c.hops, affine=c.map == "affine", temperature=c.temperature)

    def forward(self, batch: Batch, *, teacher: bool = False, text_image: bool = False) -> Output:
        """Match a batch's contexts with its candidates, by the student and, where asked, by the teacher too."""
        products = self.encode_products(batch.products)
        context = self.encode_contexts(batch.contexts)
        student_state = self.student_state(context)
        student = self.match(student_state, context, products, batch.candidates, text_image=text_image)
        if not teacher:
            return Output(student, student_state)
        teacher_state = self.teacher_state(batch.contexts)
        gold = self.match(teacher_state, context, products, batch.candidates, text_image=text_image)
        return Output(student, student_state, gold, teacher_state)

    def encode_products(self, products: Products) -> ProductVectors:
        """p_T and p_V of unique products; a missing photo gives a zero vector."""
        text = self.product_text(products.tokens, products.keep)
        photos = self.image(self.image_features(products.photos))
        return ProductVectors(text, self._pool_photos(photos.unsqueeze(1), products.has_photo.unsqueeze(1)))

    def encode_contexts(self, contexts: Contexts) -> ContextVectors:
        """C_T = Attn(U) and C_V = CrossAttn(query C_T, keys and values V) over the turns of each context."""
        text = self.turn_text(contexts.turn_tokens, contexts.turn_keep)
        image = self._turn_images(contexts)
        keep = contexts.turns >= 0
        text_turns = text[contexts.turns.clamp(min=0)].masked_fill(~keep.unsqueeze(-1), 0.0)
        image_turns = image[contexts.turns.clamp(min=0)].masked_fill(~keep.unsqueeze(-1), 0.0)
        c_text = self.context_text(text_turns, keep=keep)
        if self.config.image_query == "text":
            c_image = self.context_image(c_text, image_turns, keep)
        else:
            c_image = self.context_image(image_turns, c_text, keep)
        return ContextVectors(c_text, c_image, keep)

    def student_state(self, context: ContextVectors) -> Float[Tensor, "batch slot dim"]:
        """S', inferred from the context."""
        return self.student(self._keys(), context.text + context.image, context.keep)

    def teacher_state(self, contexts: Contexts) -> Float[Tensor, "batch slot dim"]:
        """S, encoded from the gold slot values."""
        values = self.turn_text.words.words(contexts.state_tokens)
        return self.teacher(self._keys(), values, contexts.state_keep)

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
        text = self._enhance(self.text_interaction, state, context.text, products.text, candidates)
        image = self._enhance(self.image_interaction, state, context.image, products.image, candidates)
        relevance = torch.tanh(cosine(text[1], text[2], text[0]) + cosine(image[1], image[2], image[0]))
        return Match(
            relevance,
            text[1].attention.squeeze(1),
            image[1].attention.squeeze(1),
            text[2].attention,
            image[2].attention,
            cross_cosine(text[2], image[2], text[0], image[0]) if text_image else None,
        )

    def _enhance(
        self,
        interaction: DialogueStateInteraction,
        state: Tensor,
        context: Tensor,
        products: Tensor,
        candidates: Tensor | None,
    ) -> tuple[StateSpace, Enhanced, Enhanced]:
        space = interaction.expand(state)
        start = products.unsqueeze(0) if candidates is None else products[candidates.clamp(min=0)]
        return space, interaction(context[:, -1:], space), interaction(start, space)

    def image_features(self, photos: Tensor) -> Float[Tensor, "photo feature"]:
        """Backbone features of pictures; features computed beforehand pass through."""
        if photos.dtype != torch.uint8:
            return photos.to(self.image.project.weight.dtype)
        if self.backbone is None:
            raise ValueError("photos: expected features [photo, feature], as this model was trained on, got pictures")
        if not len(photos):
            return self.image.project.weight.new_zeros(0, self.backbone.features)
        return self.backbone(photos)

    def _turn_images(self, contexts: Contexts) -> Float[Tensor, "turn dim"]:
        """v_t of each turn; a turn without photos gives zeros."""
        shown, keep = contexts.turn_photos, contexts.turn_photos >= 0
        if not bool(keep.any()):
            return self.image.project.weight.new_zeros(len(shown), self.config.dim)
        photos = self.image(self.image_features(contexts.photos))
        return self._pool_photos(photos[shown.clamp(min=0)], keep)

    def _pool_photos(
        self, photos: Float[Tensor, "set photo dim"], keep: Bool[Tensor, "set photo"]
    ) -> Float[Tensor, "set dim"]:
        if self.photo_attention is not None:
            photos = self.photo_attention(photos, keep=keep)
        return self.photo_pool(photos, keep)

    def _keys(self) -> Float[Tensor, "slot dim"]:
        return embed_keys(self.turn_text.words.words, self.key_tokens, self.key_keep)

    def _save_pretrained(self, save_directory: Path) -> None:
        """The files of `save_pretrained`; each is whole at any moment, the weights last."""
        description = {
            "format": FORMAT,
            "version": VERSION,
            "model": self.config.model_dump(mode="json"),
            "sizes": asdict(self.sizes),
        }
        write_text(save_directory / "config.json", json.dumps(description, indent=1))
        if self.tokenizer is not None:
            write_text(save_directory / "tokenizer.json", self.tokenizer.to_str(pretty=False))
        with replacing(save_directory / "model.safetensors") as partial:
            save_model(self, str(partial))

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        token: str | bool | None = None,
        **_: Any,
    ) -> "Semantic":
        """The files of `from_pretrained`, from a folder or from the hub."""
        if Path(model_id).is_dir():
            folder = Path(model_id)
        else:
            try:
                folder = Path(
                    snapshot_download(
                        model_id, revision=revision, cache_dir=cache_dir, force_download=force_download,
                        local_files_only=local_files_only, token=token,
                    )
                )  # fmt: skip
            except (OSError, ValueError) as error:
                first = str(error).strip().splitlines()[0]
                raise ModelError(
                    f"model {model_id}: expected a folder or a hub name that can be downloaded, got: {first}"
                ) from None
        description = _read_description(folder)
        sizes = description["sizes"]
        sizes["slots"] = tuple(sizes["slots"])
        sizes["key_tokens"] = tuple(map(tuple, sizes["key_tokens"]))
        model = cls(ModelConfig.model_validate(description["model"]), Sizes(**sizes))
        weights = folder / "model.safetensors"
        try:
            load_model(model, str(weights))
        except (OSError, SafetensorError, RuntimeError) as error:
            first = " ".join(str(error).split())[:300]
            raise ModelError(
                f"{weights}: expected the weights that config.json beside it describes, got: {first}"
            ) from None
        if (folder / "tokenizer.json").is_file():
            model.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return model.eval()


def _read_description(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
        found = (description["format"], description["version"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ModelError(f"{folder}: expected a saved model with its config.json, found none") from None
    if found != (FORMAT, VERSION):
        raise ModelError(f"{file}: expected {FORMAT} version {VERSION}, found {found[0]} version {found[1]}")
    return description
