"""The fields of a run's configuration, typed and documented. A model adds its own: see `ModelConfig`."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)

from semantic.config.errors import ConfigError

MOST = 1_000_000
"""The largest number of a field: of things, or of anything measured. More is a slip, and would only fail much later."""

PositiveInt = Annotated[int, Field(gt=0, le=MOST)]
NaturalInt = Annotated[int, Field(ge=0, le=MOST)]
PositiveFloat = Annotated[float, Field(gt=0, le=MOST)]
NaturalFloat = Annotated[float, Field(ge=0, le=MOST)]
Width = Annotated[int, Field(gt=0, le=65_536)]
"""Of a layer: its weights are as many as its square."""
Depth = Annotated[int, Field(ge=0, le=1_000)]
"""Of layers over one another, or of processes beside one another."""
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
"""What every generator of random numbers takes."""
Name = Annotated[str, Field(pattern=r"^[\w][\w.+,=-]*$", max_length=100)]
"""Of a folder: neither hidden, nor an option, nor the folder above."""
Share = Annotated[float, Field(ge=0, le=1)]
Precision = Annotated[Literal["no", "bf16"], BeforeValidator(lambda value: "no" if value is False else value)]
"""YAML reads a bare `no` as false."""
Hidden = Literal["photos", "product_text", "dialogue_text"]
"""What an ablation can hide from every model."""


WITHOUT_EFFECT = frozenset({"training.workers", "evaluation.batch_size", "evaluation.product_batch_size"})
"""Fields that change no result, but for the last bits of a sum: they may differ where a run is resumed."""


SWEEP = ("seeds", "folds", "vary", "variants", "report", "search")
"""Keys of an experiment's file, beside `base` and the fields of a run: which runs it has and what becomes of them."""
SEVERAL = SWEEP[:4]
"""Those that make an experiment one of several runs."""


class Section(BaseModel):
    """A part of a configuration: unknown keys are faults, and nothing changes after it is made.

    Values are of the kind that is written: true is no number, and neither is a number in quotes. Numbers are finite.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    def replace(self, **changes: Any) -> Self:
        """A copy with other values, checked as any: `config.replace(seed=1, model={"dim": 64})`; a mapping changes those of a
        section that it names.

        Raises:
            ConfigError: every fault of a section at once; or another model, whose section starts anew (`load_config` with an override).
        """
        values = {name: getattr(self, name) for name in type(self).model_fields}
        name = changes.get("name", values.get("name"))
        if name != values.get("name"):
            raise ConfigError(
                f"name: expected {values['name']!r}, got {name!r}; load_config(..., {{'model.name': {name!r}}}) takes another model"
            )
        for key, value in changes.items():
            below = values.get(key)
            try:
                if isinstance(below, Section) and isinstance(value, Mapping):
                    values[key] = below.replace(**value)
                else:
                    values[key] = value
            except ConfigError as error:
                raise ConfigError("\n".join(f"{key}.{line}" for line in str(error).split("\n"))) from None
        try:
            return type(self).model_validate(values)
        except ValidationError as error:
            raise ConfigError("\n".join(map(_fault, error.errors()))) from None

    @model_validator(mode="before")
    @classmethod
    def _lists_as_tuples(cls, values: Any) -> Any:
        """YAML and JSON have lists alone."""
        if not isinstance(values, Mapping):
            return values
        tuples = {name for name, field in cls.model_fields.items() if get_origin(field.annotation) is tuple}
        return {
            name: tuple(value) if name in tuples and isinstance(value, list) else value
            for name, value in values.items()
        }


def _fault(error: Any) -> str:
    where = ".".join(map(str, error["loc"])) or "together"
    if error["type"] == "extra_forbidden":
        return f"{where}: no such key"
    return f"{where}: expected {error['msg'].removeprefix('Input should be ').removeprefix('Value error, ')}, got {error['input']!r}"


class FoldConfig(Section):
    """Cross-validation by dialogue: which fold of how many a run is."""

    count: NaturalInt = Field(0, description="folds, 3 or more; 0: the store's own splits")
    index: NaturalInt = Field(0, description="the fold tested on, counted from 0; the next one is validated on")
    seed: Seed = Field(0, description="seed that divides the dialogues")
    pooled: tuple[str, ...] = Field(
        (), description="splits whose dialogues are divided; none named: those of train, valid and test"
    )

    @model_validator(mode="after")
    def _fits(self) -> "FoldConfig":
        if self.count in (1, 2):
            raise ValueError(f"count: expected 0, or 3 or more (to test, to validate, to train), got {self.count}")
        if self.index >= max(1, self.count):
            raise ValueError(f"index: expected less than count, which is {self.count}, got {self.index}")
        return self


class DataConfig(Section):
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
    subset_seed: Seed | None = Field(
        0, description="seed of both shares, where a smaller one lies inside a larger; null: the run's own seed"
    )
    fold: FoldConfig = FoldConfig()
    overlap: Literal["refuse", "drop"] = Field(
        "refuse",
        description="dialogues that stand on two sides (training, validation, test): a fault, or left out of the first and counted",
    )
    unannotated: Literal["unlabelled", "unset"] = Field(
        "unlabelled",
        description="turns without a state in dialogues with states: examples of D_P, or of D_F with every slot unset",
    )
    context_turns: PositiveInt = Field(5, description="merged turns before the recommendation")
    photos_per_turn: PositiveInt = Field(5, description="photos of a turn, the first ones")
    turn_tokens: PositiveInt = Field(30, description="word pieces of a turn")
    product_tokens: PositiveInt = Field(30, description="word pieces of a product text")
    value_tokens: PositiveInt = Field(6, description="word pieces of a slot value")
    slot_words: dict[str, str] = Field(
        default_factory=dict, description="own schema: slot -> words its key is embedded as"
    )
    hidden: tuple[Hidden, ...] = Field(
        (),
        description="what no model is shown, for ablations: photos (of turns and products), product_text, dialogue_text",
    )

    dialogue_states: Literal["inferred", "appended"] = Field(
        "inferred",
        description="appended: the gold state, `slot value ...`, stands at the end of a context for every model "
        "(Figure 6 of the paper); the label is read then, and rows are marked",
    )

    @field_validator("hidden")
    @classmethod
    def _something_of_products_stays(cls, hidden: tuple[Hidden, ...]) -> tuple[Hidden, ...]:
        """Each once and in one order, so that equal settings are equal values."""
        if {"photos", "product_text"} <= {*hidden}:
            raise ValueError("photos or product_text to stay, as nothing else tells products apart")
        return tuple(name for name in get_args(Hidden) if name in hidden)


class TextSource(Section):
    """Where words come from: a checkpoint's vocabulary and tables, or a vocabulary trained on the data."""

    checkpoint: str | None = Field(
        None, description="BERT-family checkpoint, hub name or folder; null trains a vocabulary on the data's text"
    )
    vocabulary: PositiveInt = Field(8000, description="pieces of the vocabulary trained when there is no checkpoint")


class ModelConfig(Section):
    """What every model's own configuration holds; a model extends it by its choices."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Name -> values of a whole run's configuration that differ from the fields' defaults; the first is the default."""
    sources: ClassVar[tuple[str, ...]] = ("text.checkpoint", "text.vocabulary")
    """Fields that say what a model is fed, whichever it is: those of a base that two models share hold for another one over it."""

    name: str = Field(description="short name of a model, or its import path, module:Class")
    text: TextSource = TextSource()

    @property
    def features_file(self) -> str | None:
        """A .npy file [product, feature] that stands for photos; None: photos come from the store."""
        return None

    @property
    def reads_gold_states(self) -> bool:
        """Whether the model ranks by the gold state, which is the label: an upper bound, and no method."""
        return False

    @property
    def uses_catalogue_words(self) -> bool:
        """Whether the model must know, when it is built, which words the catalogue's texts hold."""
        return False


class TrainingConfig(Section):
    """How a model's loss is minimised."""

    epochs: NaturalInt = Field(50, description="passes over the training examples")
    batch_size: PositiveInt = Field(64, description="examples a step, over all processes")
    learning_rate: PositiveFloat = Field(5e-4, description="peak; linear decay to 0")
    warmup_ratio: Share = Field(0.01, description="share of the steps over which the learning rate rises to its peak")
    weight_decay: NaturalFloat = Field(0.0, description="decoupled (AdamW); 0 is Adam")
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="decay of the exponential moving average of the weights, which is validated and saved; 0: no average",
    )
    max_grad_norm: PositiveFloat | None = Field(None, description="gradients are clipped to this norm; null: never")
    positives: PositiveInt = Field(1, description="positives drawn a turn and epoch")
    negatives: PositiveInt = Field(4, description="negatives drawn a turn and epoch, where none are shared")
    shared_negatives: NaturalInt = Field(
        0,
        description="products drawn a batch that all its examples share as negatives, with one another's positives (in-batch negatives); "
        "0: each example has its own negatives",
    )
    validate_every: PositiveInt = Field(1, description="epochs between validations; the last epoch is always validated")
    patience: PositiveInt | None = Field(
        None, description="validations without an improvement after which training ends (early stopping); null: never"
    )
    selection: Literal["ndcg@5", "loss_or_ndcg@5"] = Field(
        "ndcg@5", description="what must improve on validation for weights to be kept"
    )
    precision: Precision = Field("no", description="autocast of the encoders; losses and scores stay float32")
    compile: bool = Field(
        False,
        description="torch.compile of the model's heaviest modules; takes a minute or more at first",
    )
    workers: Depth = Field(0, description="worker processes that build batches, for each training process; 0: a thread")
    threads: Annotated[int, Field(gt=0, le=1_000)] | None = Field(None, description="CPU threads; null: torch's choice")


class EvaluationConfig(Section):
    """How rankings are computed; the numbers depend on `precision` alone, and little."""

    batch_size: PositiveInt = Field(32, description="queries scored at once")
    product_batch_size: PositiveInt = Field(512, description="products encoded at once")
    precision: Precision = Field("no", description="autocast of the encoders; scores stay float32")


class Config(Section):
    """One run."""

    experiment: Name = Field("experiment", description="first folder of the run")
    variant: Name = Field("base", description="second folder of the run")
    seed: Seed = Field(0, description="initial weights, sampling, dropout")
    preset: str | None = Field(None, description="the model's preset that fields not given come from; null: its first")
    data: DataConfig = DataConfig()
    model: SerializeAsAny[ModelConfig]
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
