"""A model on disk: weights in safetensors, configuration and tokenizer in JSON; from a folder or from the hub."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import ModelHubMixin, snapshot_download
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from tokenizers import Tokenizer
from torch import nn

from semantic.config.schema import ModelConfig
from semantic.runtime.errors import UserError
from semantic.runtime.files import replacing, write_text

FORMAT, VERSION = "semantic-model", 1


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
    unset_tokens: tuple[int, ...] = ()  # the pieces of "none", a slot's value where nothing was said
    completed_words: tuple[int, ...] = ()  # words of the catalogue's texts, where the model guesses missing ones


class ModelError(UserError):
    """A saved model that cannot be read. The message says where, what was expected and what was found."""


class SavedModel(nn.Module, ModelHubMixin, library_name="semantic", tags=["conversational-recommendation"]):
    """A module built from a `ModelConfig` and `Sizes`, with `save_pretrained`, `from_pretrained` and `push_to_hub`."""

    config: ModelConfig
    sizes: Sizes
    tokenizer: Tokenizer | None

    def _save_pretrained(self, save_directory: Path) -> None:
        """The files of `save_pretrained`; each is whole at any moment, the weights last."""
        description = {
            "format": FORMAT,
            "version": VERSION,
            "model": self.config.model_dump(mode="json"),
            "data": asdict(self.sizes),
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
    ) -> "SavedModel":
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
        sizes = description["data"]
        sizes["slots"] = tuple(sizes["slots"])
        sizes["key_tokens"] = tuple(map(tuple, sizes["key_tokens"]))
        sizes["unset_tokens"], sizes["completed_words"] = tuple(sizes["unset_tokens"]), tuple(sizes["completed_words"])
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
