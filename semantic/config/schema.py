"""Every choice of a run, typed and documented at the field."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from typing_extensions import Self

PositiveInt = Annotated[int, Field(gt=0)]
NaturalInt = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Precision = Annotated[Literal["no", "bf16"], BeforeValidator(lambda value: "no" if value is False else value)]
"""YAML reads a bare `no` as false."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, protected_namespaces=())


class DataConfig(_Section):
    """Which examples a run sees."""

    store: str = Field("", description="folder of the prepared store")
    train: str = Field("train", description="split of D_F, and of D_P where only a share of its states is used")
    valid: str = Field("valid", description="split the best epoch is chosen on")
    test: str = Field("test", description="split of the final table")
    unlabelled: tuple[str, ...] = Field((), description="splits of stateless dialogues added to D_P")
    labelled_share: Share = Field(
        1.0, description="share of the training dialogues whose states are used, drawn by dialogue"
    )
    unlabelled_share: Share = Field(1.0, description="share of the dialogues of `unlabelled` that are used")
    partial: Literal["none", "stateless", "all"] = Field(
        "stateless",
        description="D_P: nothing; the dialogues whose states are not used; or those and D_F's with states hidden",
    )
    subset_seed: int = Field(0, description="seed of both shares; a smaller share lies inside a larger one")
    context_turns: PositiveInt = Field(5, description="merged turns before the recommendation")
    photos_per_turn: PositiveInt = Field(5, description="photos of a turn, the first ones")
    turn_tokens: PositiveInt = Field(30, description="word pieces of a turn")
    product_tokens: PositiveInt = Field(30, description="word pieces of a product text")
    value_tokens: PositiveInt = Field(6, description="word pieces of a slot value")
    slot_words: dict[str, str] = Field(
        default_factory=dict, description="own schema: slot -> words its key is embedded as"
    )


class TextConfig(_Section):
    """Where word vectors come from."""

    checkpoint: str | None = Field(
        None, description="BERT-family checkpoint, hub name or folder; null trains a vocabulary on the data's text"
    )
    encoder: Literal["tables", "contextual", "bag"] = Field(
        "tables",
        description="word and position tables under attention (paper), the whole encoder, or weighted words alone",
    )
    table_scale: Literal["checkpoint", "unit"] = Field(
        "checkpoint", description="the word table as it is, or to deviation 1"
    )
    word_dropout: Share = Field(0.0, description="bag: words of a turn left out in training")
    completion: bool = Field(False, description="bag: words a product's text lacks, guessed from photo and text")
    vocabulary: PositiveInt = Field(8000, description="pieces of the vocabulary trained when there is no checkpoint")
    layers: NaturalInt | None = Field(None, description="attention layers over word pieces; null: model.layers")
    product_encoder: Literal["shared", "separate"] = Field(
        "shared", description="product texts: the turns' encoder, or weights of their own"
    )


class ImageConfig(_Section):
    """Where photo vectors come from."""

    backbone: str = Field("resnet18", description="torchvision or timm model name")
    weights: str | None = Field(
        None, description="'pretrained' (hub), a safetensors file, or null for weights from scratch"
    )
    frozen: bool = Field(False, description="no gradient into the backbone")
    batch_norm: Literal["train", "eval"] = Field(
        "eval", description="BatchNorm by batch statistics, or by running statistics, in training"
    )
    projection: Literal["learned", "whitened"] = Field(
        "learned", description="the linear layer to dim: trained, or the catalogue's PCA whitening, never trained"
    )
    features: str | None = Field(
        None, description=".npy file [product, feature] in the store's order, read instead of running a backbone"
    )


class InteractionConfig(_Section):
    """Dialogue State Interaction."""

    hops: NaturalInt = Field(3, description="K")
    map: Literal["linear", "affine"] = Field("linear", description="W of a hop, without or with a bias")
    temperature: float = Field(
        1.0, gt=0, description="the softmax over slots is of cosine / temperature; 1 in the paper"
    )
    text_start: Literal["random", "identity", "zero"] = Field(
        "random", description="W of the text side before training"
    )
    image_start: Literal["random", "identity", "zero"] = Field(
        "random", description="W of the image side; zero: no-op at first"
    )


class ModelConfig(_Section):
    """The network."""

    dim: PositiveInt = Field(768, description="D_out; with a text checkpoint its width")
    heads: PositiveInt = Field(8, description="attention heads", validate_default=True)
    layers: NaturalInt = Field(3, description="layers of every attention stack")
    inner: PositiveInt | None = Field(None, description="inner size of a layer; null: dim")
    dropout: Share = Field(0.1, description="dropout of every attention stack")
    memory: Literal["updated", "input"] = Field(
        "updated", description="what self-attention layers after the first attend to"
    )
    pool: Literal["sum", "leaky_sum", "mean", "attentive"] = Field(
        "sum", description="word pieces (photos) of a turn into one vector"
    )
    photos: Literal["attention", "sum"] = Field(
        "attention", description="photos of a turn: self-attention then pool, or pool alone"
    )
    image_query: Literal["text", "image"] = Field(
        "text", description="image cross-attention: query C_T over V, or query V over C_T"
    )
    value_mean: Literal["pieces", "padded_sum"] = Field(
        "pieces", description="a slot value: mean over pieces, or pad rows included in the sum"
    )
    context: Literal["attention", "pooled"] = Field(
        "attention", description="turns into a context: attention layers (paper), or the last turn plus a weighted mean"
    )
    state: Literal["slots", "values"] = Field(
        "slots",
        description="S = Attn(K + V) with values from the turns (paper), or a scaled key + value read off the words",
    )
    state_scale: float = Field(0.3, gt=0, description="state values: S = scale (key weight K + V)")
    photo_weight: Literal["one", "attention"] = Field(
        "one", description="of cos(x_CV, x_PV): 1 (paper), or learned times the context's attention on photos"
    )
    score_scale: float | None = Field(
        None, gt=0, description="start of the learned scale on the sum of cosines in the softmax ranking loss"
    )
    text: TextConfig = TextConfig()
    image: ImageConfig = ImageConfig()
    interaction: InteractionConfig = InteractionConfig()

    @field_validator("heads")
    @classmethod
    def _divides_dim(cls, heads: int, info: ValidationInfo) -> int:
        if info.data.get("dim", heads) % heads:
            raise ValueError(f"a divisor of model.dim ({info.data['dim']})")
        return heads


class LossConfig(_Section):
    """What is minimised."""

    ranking: Literal["hinge", "softmax"] = Field(
        "hinge", description="margin over each negative (paper), or softmax over all candidates"
    )
    margin: float = Field(1.0, ge=0, description="of the ranking hinge")
    divergence: Literal["jensen_shannon", "symmetric_kl"] = Field(
        "jensen_shannon", description="distance between slot attentions"
    )
    divergence_weight: float = Field(1.0, ge=0, description="0 switches the term off")
    correlation: Literal["sum", "mean"] = Field("sum", description="over an example's products")
    correlation_weight: float = Field(1.0, ge=0, description="0 switches the term off")
    state: Literal["mse", "values"] = Field(
        "mse", description="MSE(S', S) (paper), or which of the batch's values each slot has, and whether any"
    )
    state_weight: float = Field(1.0, ge=0, description="of the state term; 0 switches it off")
    alpha: Share = Field(0.5, description="weight of the teacher's losses in the joint loss")


class TrainingConfig(_Section):
    """How it is minimised."""

    epochs: NaturalInt = Field(50, description="passes over the training examples")
    batch_size: PositiveInt = Field(64, description="examples a step, over all processes")
    learning_rate: float = Field(5e-4, gt=0, description="peak; linear decay to 0")
    warmup: Share = Field(0.01, description="share of the steps before the peak")
    gate_learning_rate: float | None = Field(
        None,
        gt=0,
        description="of gates, positions and scales, which are few numbers and far to go; null: learning_rate",
    )
    completion_epochs: NaturalInt = Field(
        60, description="text completion: passes over the catalogue before the first epoch"
    )
    weight_decay: float = Field(0.0, ge=0, description="decoupled (AdamW); 0 is Adam")
    average: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="decay of the moving average of the weights that is validated and kept; 0: the weights themselves",
    )
    clip: float | None = Field(None, gt=0, description="largest gradient norm; null: none")
    positives: PositiveInt = Field(1, description="positives drawn a turn and epoch")
    negatives: PositiveInt = Field(4, description="negatives drawn a turn and epoch")
    pool: NaturalInt = Field(
        0, description="products drawn a batch that, with all its positives, are every example's candidates; 0: off"
    )
    teacher_first: bool = Field(False, description="the first epoch trains the teacher alone when D_P is empty")
    validate_every: PositiveInt = Field(1, description="epochs between validations; the last epoch is always validated")
    selection: Literal["ndcg@5", "loss_or_ndcg@5"] = Field(
        "ndcg@5", description="what must improve on validation for weights to be kept"
    )
    precision: Precision = Field("no", description="autocast of the encoders; losses and scores stay float32")
    compile: bool = Field(
        False,
        description="torch.compile of attention layers, interactions and backbone; takes a minute or more at first",
    )
    workers: NaturalInt = Field(0, description="processes that build batches, for each that trains; 0: a thread")
    threads: PositiveInt | None = Field(None, description="CPU threads; null: torch's choice")


class EvaluationConfig(_Section):
    """How rankings are computed; the numbers depend on `precision` alone, and little."""

    batch_size: PositiveInt = Field(32, description="queries scored at once")
    product_batch_size: PositiveInt = Field(512, description="products encoded at once")
    precision: Precision = Field("no", description="autocast of the encoders; scores stay float32")


class Config(_Section):
    """One run."""

    experiment: str = Field("experiment", pattern=r"^[\w.+-]+$", description="first folder of the run")
    variant: str = Field("base", pattern=r"^[\w.+-]+$", description="second folder of the run")
    seed: NaturalInt = Field(0, description="initial weights, sampling, dropout")
    preset: Literal["paper", "released"] = Field("paper", description="where fields not given come from")
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """Options that need one another; each message names both fields."""
        model, loss, training = self.model, self.loss, self.training
        needs = [
            (loss.ranking == "softmax" and model.score_scale is None, "loss.ranking=softmax", "model.score_scale"),
            (model.score_scale is not None and loss.ranking != "softmax", "model.score_scale", "loss.ranking=softmax"),
            (
                model.text.word_dropout > 0 and model.text.encoder != "bag",
                "model.text.word_dropout",
                "model.text.encoder=bag",
            ),
            (
                model.text.table_scale == "unit" and model.text.encoder == "contextual",
                "model.text.table_scale=unit",
                "model.text.encoder=tables or bag",
            ),
            (loss.state == "values" and model.state != "values", "loss.state=values", "model.state=values"),
            (training.pool > 0 and loss.ranking != "softmax", "training.pool", "loss.ranking=softmax"),
            (
                model.photo_weight == "attention" and model.context != "pooled",
                "model.photo_weight=attention",
                "model.context=pooled",
            ),
            (
                model.text.completion and (model.text.encoder != "bag" or model.image.projection != "whitened"),
                "model.text.completion",
                "model.text.encoder=bag and model.image.projection=whitened",
            ),
            (
                model.image.projection == "whitened"
                and model.image.features is None
                and not (model.image.frozen and model.image.batch_norm == "eval"),
                "model.image.projection=whitened",
                "model.image.frozen=true with model.image.batch_norm=eval, or model.image.features",
            ),
            (
                model.state == "values" and model.text.encoder != "bag",
                "model.state=values",
                "model.text.encoder=bag",
            ),
        ]
        missing = [f"{what} needs {other}" for fault, what, other in needs if fault]
        if missing:
            raise ValueError("; ".join(missing))
        return self
