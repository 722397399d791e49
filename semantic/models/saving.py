"""A model on disk: weights in safetensors, configuration and tokenizer in JSON; from a folder or from the hub."""

import json
import tempfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from huggingface_hub import PyTorchModelHubMixin, snapshot_download
from safetensors import SafetensorError
from tokenizers import Tokenizer
from torch import nn
from typing_extensions import Self

from semantic.batching.inputs import InputSpec
from semantic.config.errors import ConfigError
from semantic.config.registry import find_model
from semantic.config.schema import ModelConfig
from semantic.runtime.errors import UserError
from semantic.runtime.files import write_text

FORMAT, VERSION = "semantic-model", 2
WEIGHTS = "model.safetensors"


class ModelError(UserError):
    """A saved model that cannot be read. The message says where, what was expected and what was found."""


class SavedModel(nn.Module, PyTorchModelHubMixin, library_name="semantic", tags=["conversational-recommendation"]):
    """A module made from a `ModelConfig` and an `InputSpec`, with `save_pretrained`, `from_pretrained` and `push_to_hub`."""

    config: ModelConfig
    spec: InputSpec
    tokenizer: Tokenizer | None

    def _save_pretrained(self, save_directory: Path) -> None:
        """The files of `save_pretrained`; each is whole at any moment, the weights last."""
        description = {
            "format": FORMAT,
            "version": VERSION,
            "model": self.config.model_dump(mode="json"),
            "inputs": asdict(self.spec),
        }
        write_text(save_directory / "config.json", json.dumps(description, indent=1))
        if self.tokenizer is not None:
            write_text(save_directory / "tokenizer.json", self.tokenizer.to_str(pretty=False))
        with tempfile.TemporaryDirectory(dir=save_directory, prefix=".weights-") as partial:
            super()._save_pretrained(Path(partial))
            (Path(partial) / WEIGHTS).replace(save_directory / WEIGHTS)

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
    ) -> Self:
        """The files of `from_pretrained`, from a folder or from the hub, as the class that was saved."""
        folder = Path(model_id)
        if not folder.is_dir():
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
        try:
            found = find_model(description["model"]["name"])
        except ConfigError as error:
            raise ModelError(f"{folder / 'config.json'}: {error}") from None
        if not issubclass(found, cls):
            raise ModelError(f"{folder}: expected a {cls.__name__}, found a {found.__name__}")
        model = found(found.Config.model_validate(description["model"]), _input_spec(description["inputs"]))
        weights = folder / WEIGHTS
        try:
            cls._load_as_safetensor(model, str(weights), map_location="cpu", strict=True)
        except (OSError, SafetensorError, RuntimeError) as error:
            first = " ".join(str(error).split())[:300]
            raise ModelError(
                f"{weights}: expected the weights that config.json beside it describes, got: {first}"
            ) from None
        if (folder / "tokenizer.json").is_file():
            model.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return model.eval()


def _input_spec(values: dict[str, Any]) -> InputSpec:
    """An `InputSpec` out of JSON, whose lists were tuples."""
    kept = {field.name: values[field.name] for field in fields(InputSpec) if field.name in values}
    return InputSpec(**{name: _tuples(value) for name, value in kept.items()})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


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
