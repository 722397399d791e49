"""Every choice of a run, typed and documented at the field; the one module that knows YAML."""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from typing_extensions import Self

PositiveInt = Annotated[int, Field(gt=0)]
NaturalInt = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class ConfigError(ValueError):
    """Faults of an experiment's configuration: all of them, one a line, each with where, expected and found."""

    exit_code = 2  # of the command line


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
    precision: Literal["no", "bf16"] = Field(
        "no", description="autocast of the encoders; losses and scores stay float32"
    )
    workers: NaturalInt = Field(0, description="processes that build batches")
    threads: PositiveInt | None = Field(None, description="CPU threads; null: torch's choice")


class EvaluationConfig(_Section):
    """How rankings are computed; the numbers do not depend on it."""

    batch_size: PositiveInt = Field(32, description="queries scored at once")
    product_batch_size: PositiveInt = Field(512, description="products encoded at once")


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


PRESETS: Mapping[str, Mapping[str, Any]] = {
    # The fields' defaults are the paper's.
    "paper": {},
    # Where the code published with the paper differs from the paper.
    "released": {
        "model": {
            "pool": "leaky_sum",
            "photos": "sum",
            "memory": "input",
            "value_mean": "padded_sum",
            "text": {"product_encoder": "separate"},
            "image": {"batch_norm": "train"},
            "interaction": {"map": "affine"},
        },
        "loss": {"divergence": "symmetric_kl", "correlation": "mean"},
        "training": {"teacher_first": True, "selection": "loss_or_ndcg@5"},
    },
}


class _Loader(yaml.SafeLoader):
    """YAML 1.2 numbers: `1e-3` is a float."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)$"),
    list("-+.0123456789"),
)


def experiments() -> tuple[str, ...]:
    """Names of the shipped experiments."""
    files = resources.files("semantic.experiments").iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


def load_config(experiment: str, overrides: Sequence[str] = ()) -> Config:
    """The configuration of a YAML file, or of a shipped experiment by name, with `a.b=c` overrides on top.

    Raises:
        ConfigError: every fault at once.
    """
    path = Path(experiment)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise ConfigError(f"experiment {experiment}: expected a YAML file, found none there")
        text, name = path.read_text(encoding="utf-8"), path.stem
    elif experiment in experiments():
        text, name = (
            (resources.files("semantic.experiments") / f"{experiment}.yaml").read_text(encoding="utf-8"),
            experiment,
        )
    else:
        raise ConfigError(f"experiment {experiment!r}: expected a YAML file or one of {', '.join(experiments())}")
    try:
        values = yaml.load(text, _Loader) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"experiment {experiment}: expected YAML, got: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"experiment {experiment}: expected a mapping of sections, got {type(values).__name__}")
    return make_config({"experiment": name, **values}, overrides, where=experiment)


def make_config(values: Mapping[str, Any], overrides: Sequence[str] = (), *, where: str = "configuration") -> Config:
    """A configuration from nested values laid over their preset, then `a.b=c` overrides (values are YAML)."""
    values = _merge({}, values)
    faults = []
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            faults.append(f"--set {override}: expected a.b=c")
            continue
        try:
            _assign(values, key.strip().split("."), yaml.load(text, _Loader))
        except (yaml.YAMLError, TypeError):
            faults.append(f"--set {override}: expected a value for a field, got none that fits {key!r}")
    preset = values.get("preset", "paper")
    merged = _merge(PRESETS[preset], values) if isinstance(preset, str) and preset in PRESETS else values
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        faults += [_fault(e) for e in error.errors()]
    if faults:
        raise ConfigError(
            f"{where}: {len(faults)} fault{'s' * (len(faults) > 1)}\n" + "\n".join(f"  {f}" for f in faults)
        )
    return config


def read_values(text: str) -> dict[str, Any]:
    """The values of a configuration's text as they stand, unchecked; none where it holds something else."""
    values = yaml.load(text, _Loader)
    return values if isinstance(values, dict) else {}


def read_config(file: Path) -> Config:
    """A configuration as `dump_config` wrote it.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    try:
        values = yaml.load(file.read_text(encoding="utf-8"), _Loader)
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: expected a configuration, got: {' '.join(str(error).split())}") from None
    return make_config(values, where=str(file))


def dump_config(config: Config) -> str:
    """The resolved configuration as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)


def describe_config(config: Config) -> str:
    """The resolved configuration as YAML, each field with its description as a comment."""
    return "\n".join(_described(config))


def _described(section: BaseModel, indent: str = "") -> Iterator[str]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:"
            yield from _described(value, indent + "  ")
        else:
            shown = yaml.safe_dump(value if not isinstance(value, tuple) else list(value), default_flow_style=True)
            yield f"{f'{indent}{name}: {shown.splitlines()[0]}':<36}  # {field.description}"


def read_slots(path: Path) -> dict[str, str]:
    """A user's own slot schema: a YAML mapping {slot: words its key is embedded as}.

    Raises:
        ConfigError: no such file, or something else in it.
    """
    try:
        slots = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"slots {path}: expected a YAML file, got: {' '.join(str(error).split())}") from None
    if not isinstance(slots, dict) or not slots or not all(isinstance(w, str) for item in slots.items() for w in item):
        raise ConfigError(f"slots {path}: expected a mapping of slots to words, both strings, got {slots!r}")
    return slots


def _merge(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        merged[key] = (
            _merge(below if isinstance(below, Mapping) else {}, value) if isinstance(value, Mapping) else value
        )
    return merged


def _assign(values: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise TypeError(key)
    values[path[-1]] = value


def _fault(error: Any) -> str:
    """One pydantic error as a line: where, expected, got, and the nearest key for an unknown one."""
    where = ".".join(str(part) for part in error["loc"]) or "together"
    if error["type"] == "extra_forbidden":
        section: Any = Config
        for part in error["loc"][:-1]:
            section = section.model_fields[part].annotation
        near = get_close_matches(str(error["loc"][-1]), section.model_fields, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; the keys here are {', '.join(section.model_fields)}"
        return f"{where}: no such key{hint}"
    if error["type"] == "value_error" and not error["loc"]:
        return f"{where}: {error['ctx']['error']}"
    expected = error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{where}: expected {expected}, got {error['input']!r}"
