"""A model on disk: weights in safetensors, configuration and tokenizer in JSON; from a folder or from the hub."""

import hashlib
import json
import stat
from dataclasses import asdict, fields
from os import PathLike
from pathlib import Path
from typing import Annotated, Any

from huggingface_hub import ModelCard, PyTorchModelHubMixin, snapshot_download
from pydantic import Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_model, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from typing_extensions import Self

from semantic.batching.inputs import InputSpec
from semantic.config.errors import ConfigError
from semantic.config.registry import find_model
from semantic.config.schema import MOST, ModelConfig
from semantic.models.hub import check_place
from semantic.runtime.digests import SEAL, file_digest, is_broken, with_seal, with_text_seal
from semantic.runtime.errors import UserError
from semantic.runtime.files import replacing, write_text
from semantic.runtime.reading import ReadingError, check_readable, parse_json, read_text

FORMAT, VERSION = "semantic-model", 2
WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
MOST_BYTES = 1 << 28
"""Of a description or a tokenizer; those of large vocabularies take some tens of MB."""


class ModelError(UserError):
    """A saved model that cannot be read. The message says where, what was expected and what was found."""


CARD = """
---
{{ card_data }}
---

Weights of `semantic`, which load by `semantic.Model.from_pretrained`, given this folder or its name on the hub.

`semantic card RUN` writes in the place of this file what a run's model is, what it learned from, and how it ranks.
"""
"""What lies beside weights as README.md until somebody writes a card of them."""


class SavedModel(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="semantic",
    tags=["conversational-recommendation"],
    model_card_template=CARD,
):
    """A module made from a `ModelConfig` and an `InputSpec`, with `save_pretrained`, `from_pretrained` and `push_to_hub`."""

    config: ModelConfig
    spec: InputSpec
    tokenizer: Tokenizer | None

    def _save_pretrained(self, save_directory: Path) -> None:
        """The files of `save_pretrained`; each is whole at any moment, the weights last.

        config.json has the digest of each of the others, and a seal of its own.
        """
        tokenizer = None if self.tokenizer is None else self.tokenizer.to_str(pretty=False)
        with replacing(save_directory / WEIGHTS) as partial:
            partial.touch()  # with the mode of any new file; safetensors lets the owner alone read what it writes
            mode = stat.S_IMODE(partial.stat().st_mode)
            save_file(self._tensors(), str(partial), metadata={"format": "pt"})
            partial.chmod(mode)
            description = {
                "format": FORMAT,
                "version": VERSION,
                "model": self.config.model_dump(mode="json"),
                "inputs": asdict(self.spec),
                "tokenizer": None if tokenizer is None else _digest(tokenizer),
                "weights": file_digest(partial),
            }
            write_text(save_directory / "config.json", json.dumps(with_seal(description), indent=1))
            if tokenizer is not None:
                write_text(save_directory / TOKENIZER, tokenizer)

    def generate_model_card(self, *arguments: Any, **named: Any) -> ModelCard:
        """The card of weights alone, by its seal known as one that may be replaced."""
        return ModelCard(with_text_seal(str(super().generate_model_card(*arguments, **named))))

    def _tensors(self) -> dict[str, Tensor]:
        """The state, a tensor that has several names under its first.

        safetensors' own save_model writes the others down in an order drawn anew each time: no two files would be equal.
        """
        names: dict[Any, str] = {}
        for name, value in self.state_dict().items():
            names.setdefault((value.data_ptr(), value.shape) if value.numel() else name, name)
        return {name: value.contiguous() for name, value in self.state_dict().items() if name in names.values()}

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        pretrained_model_name_or_path: str | PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> Self:
        """A saved model as the class that was saved, in evaluation mode: from its folder or that of a run, or from the hub by
        its name there.

        The digests that config.json has of the weights, the tokenizer and itself are compared; those that it lacks are not.

        Raises:
            ModelError: no such folder or name, a file that cannot be read, or that is not the one that was saved.
        """
        name = pretrained_model_name_or_path
        name = name if isinstance(name, str) else Path(name)
        check_place(name, "model", ModelError)
        folder = Path(name)
        if not (folder / "config.json").exists() and (folder / "model" / "config.json").is_file():
            folder = folder / "model"
        if not folder.is_dir():
            try:
                folder = Path(
                    snapshot_download(
                        str(name), revision=revision, cache_dir=cache_dir, force_download=force_download,
                        local_files_only=local_files_only, token=token,
                    )
                )  # fmt: skip
            except Exception as error:  # the hub's own errors, those of the network below it, and of the name's form
                first = [*str(error).strip().splitlines(), type(error).__name__][0]
                raise ModelError(
                    f"model {name}: expected a folder or a hub name that can be downloaded, got: {first}"
                ) from error
        description = _read_description(folder / "config.json")
        model = cls._described(folder / "config.json", description)
        weights = folder / WEIGHTS
        try:
            check_readable(weights)
            digest = file_digest(weights)
            load_model(model, str(weights), strict=True, device="cpu")
        except (OSError, SafetensorError, RuntimeError, ReadingError) as error:
            first = " ".join(str(error).split())[:300]
            raise ModelError(
                f"{weights}: expected the weights that config.json beside it describes, got: {first}"
            ) from None
        model.tokenizer = _read_tokenizer(folder / TOKENIZER, description.get("tokenizer"), model.spec)
        if is_broken(description):
            raise ModelError(
                f"{folder / 'config.json'}: expected the description that was saved, found one changed since; without its "
                f'"{SEAL}" it is taken as it is'
            )
        if description.get("weights", digest) != digest:
            raise ModelError(
                f"{weights}: expected the weights that were saved with config.json beside it, found others or damaged ones"
            )
        return model.eval()

    @classmethod
    def _described(cls, file: Path, description: dict[str, Any]) -> Self:
        """A model as a description says, its weights not yet set."""
        try:
            found = find_model(description["model"]["name"])
            if not issubclass(found, cls):
                raise ModelError(f"{file.parent}: expected a {cls.__name__}, found a {found.__name__}")
            config, spec = found.Config.model_validate(description["model"]), _input_spec(description["inputs"])
        except ConfigError as error:
            raise ModelError(f"{file}: {error}") from None
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"]))
            raise ModelError(f"{file}: expected the description of a model, found at {where}: {fault['msg']}") from None
        except (KeyError, TypeError, AttributeError):
            raise ModelError(f"{file}: expected the description of a model, found no model or inputs in it") from None
        try:
            return found(config, spec)
        except (ValueError, TypeError, KeyError, AssertionError) as error:
            first = [*str(error).strip().splitlines(), type(error).__name__][0]
            raise ModelError(f"{file}: expected a model that can be made, found: {first}") from error


def _read_description(file: Path) -> dict[str, Any]:
    try:
        description = parse_json(read_text(file, MOST_BYTES))
    except ReadingError as error:
        raise ModelError(f"{file.parent}: expected a saved model with its config.json, found {error}") from None
    if not isinstance(description, dict) or "format" not in description:
        raise ModelError(f"{file}: expected the description of a model, found other JSON")
    found = (description["format"], description.get("version"))
    if found != (FORMAT, VERSION):
        raise ModelError(f"{file}: expected {FORMAT} version {VERSION}, found {found[0]} version {found[1]}")
    return description


_Size = Annotated[int, Field(gt=0, le=MOST)]
_Sizes = TypeAdapter(dict[str, _Size])


def _input_spec(values: dict[str, Any]) -> InputSpec:
    """An `InputSpec` out of JSON; ValidationError where a value is of another kind or size."""
    kept = {field.name: values[field.name] for field in fields(InputSpec) if field.name in values}
    spec = TypeAdapter(InputSpec).validate_json(json.dumps(kept), strict=True)
    sizes = (
        "vocabulary",
        "positions",
        "context_turns",
        "photos_per_turn",
        "turn_tokens",
        "product_tokens",
        "value_tokens",
    )
    _Sizes.validate_python({name: getattr(spec, name) for name in sizes})
    return spec


def _read_tokenizer(file: Path, digest: str | None, spec: InputSpec) -> Tokenizer | None:
    """The tokenizer of a saved model; None where it was saved without one, and none was added."""
    if digest is None and not file.exists():
        return None
    try:
        text = read_text(file, MOST_BYTES)
    except ReadingError as error:
        raise ModelError(f"{file}: expected the model's tokenizer, found {error}") from None
    if digest is not None and _digest(text) != digest:
        raise ModelError(
            f"{file}: expected the tokenizer that the model was saved with, found another one or a damaged one"
        )
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # tokenizers raises nothing more particular
        raise ModelError(f"{file}: expected a tokenizer, found a file that does not read: {error}") from error
    largest = max(tokenizer.get_vocab().values(), default=0)
    if largest >= spec.vocabulary:
        raise ModelError(
            f"{file}: expected the {spec.vocabulary} word pieces of the model's weights, found piece {largest}"
        )
    return tokenizer


def _digest(text: str) -> str:
    return hashlib.sha256(text.rstrip("\n").encode()).hexdigest()
