"""Weights of the code published with the paper, under this project's names.

A released checkpoint is a torch file whose entry `context_text_encoder` is the model's state dict. Its layers are the same
as those of the `released` preset; only names differ, and 1x1 convolutions stand for linear layers.
"""

import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from semantic.batching.inputs import InputSpec
from semantic.config.loading import make_config
from semantic.config.schema import Config
from semantic.dst.schema import MMD, SIMMC, SlotSchema
from semantic.models.semantic.paper import Semantic
from semantic.models.semantic.paper_config import PaperConfig
from semantic.models.text_checkpoints import load_tokenizer
from semantic.runs.folder import RunFolder
from semantic.runtime.claims import claim
from semantic.runtime.errors import UserError
from semantic.runtime.files import building
from semantic.runtime.reading import ReadingError, check_readable


class ReleasedError(UserError):
    """A file that is not a released checkpoint. The message says where, what was expected and what was found."""


ENTRY = "context_text_encoder"
UNUSED = ("get_state_aware.hidden_state",)  # a parameter the released forward never reads

STACKS = {
    "history_encoder": "turn_text.attention",
    "attrs_encoder": "product_text.attention",
    "state_encoder": "state.teacher.attention",
    "state_value_pred": "state.student.predictor",
    "state_learner": "state.student.attention",
    "context_text_self_attention": "context_text",
    "context_image_self_attention": "context_image",
}
LAYER = {
    "multi_attn.w_qs": "query",
    "multi_attn.w_ks": "key",
    "multi_attn.w_vs": "value",
    "multi_attn.fc": "out",
    "multi_attn.layer_norm": "attention_norm",
    "pos_ffn.w_1": "expand",
    "pos_ffn.w_2": "contract",
    "pos_ffn.layer_norm": "feedforward_norm",
}
MODULES = {
    "word_embeddings": "turn_text.words.words",
    "position_embeddings": "turn_text.words.positions",
    "image_encoder": "image.project",
    "get_state_aware.txt_layers": "text_interaction.maps",
    "get_state_aware.img_layers": "image_interaction.maps",
    # The released backbone is a Sequential of ResNet-18's children but the last.
    "pretrained_image_encoder.0": "backbone.network.conv1",
    "pretrained_image_encoder.1": "backbone.network.bn1",
    **{f"pretrained_image_encoder.{i + 3}": f"backbone.network.layer{i}" for i in (1, 2, 3, 4)},
}
KEY_IDS = {  # of the slot words in bert-base-uncased's vocabulary; the released code keeps them outside the state dict
    "mmd": (2287, 4696, 4435, 2946, 3091, 3609, 4906, 2806, 2729, 2828, 3430, 5907, 6140, 2066, 18959),
    "simmc": (3319, 4435, 3091, 2946, 5418, 3976, 3609, 3430, 3446, 2828),
}


def translate(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The released state dict under this project's names."""
    return {_name(name): _value(name, value) for name, value in state.items() if name not in UNUSED}


def _name(name: str) -> str:
    stack = re.match(r"(\w+)\.layer_stack\.(\d+)\.(\w+\.\w+)\.(weight|bias)$", name)
    if stack and stack[1] in STACKS and stack[3] in LAYER:
        return f"{STACKS[stack[1]]}.layers.{stack[2]}.{LAYER[stack[3]]}.{stack[4]}"
    for theirs, ours in MODULES.items():
        if name.startswith(theirs + "."):
            return ours + name[len(theirs) :]
    raise ReleasedError(f"released checkpoint: expected the tensors of the released model, got {name!r}")


def _value(name: str, value: Tensor) -> Tensor:
    return value.squeeze(-1) if ".pos_ffn.w_" in name and name.endswith("weight") else value


def load_released(file: Path, *, simmc: bool = False, heads: int = 8) -> tuple[Semantic, Config]:
    """The released model in the `released` preset, its sizes read off the tensors. Loads tensors only, never code.

    Raises:
        ReleasedError: no such file, no torch file of tensors, no such entry, or other tensors than the model's.
    """
    try:
        check_readable(file)
    except ReadingError as error:
        raise ReleasedError(f"released checkpoint {file}: expected a torch file, found {error}") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles, which it then refuses
            content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises pickle, zip and runtime errors alike
        raise ReleasedError(
            f"released checkpoint {file}: expected a torch file of tensors alone, got one that does not load so ({type(error).__name__})"
        ) from error
    state = content.get(ENTRY) if isinstance(content, dict) else None
    if not isinstance(state, dict):
        found = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ReleasedError(f"released checkpoint {file}: expected an entry {ENTRY!r} with the state dict, got {found}")
    strange = [name for name, value in state.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if strange:
        raise ReleasedError(
            f"released checkpoint {file}: expected names of tensors, got {strange[0]!r} for something else"
        )
    translated = translate(state)
    schema: SlotSchema = SIMMC if simmc else MMD
    try:
        words, positions = translated["turn_text.words.words.weight"], translated["turn_text.words.positions.weight"]
        expand = translated["context_text.layers.0.expand.weight"]
    except KeyError as error:
        raise ReleasedError(
            f"released checkpoint {file}: expected the released model's tensors, got none for {error}"
        ) from None
    if any(table.ndim != 2 for table in (words, positions, expand)):
        raise ReleasedError(f"released checkpoint {file}: expected word tables and layers with two axes, got others")
    layers = 1 + max(int(m[1]) for n in translated if (m := re.match(r"context_text\.layers\.(\d+)\.", n)))
    hops = sum(bool(re.match(r"text_interaction\.maps\.\d+\.weight", name)) for name in translated)
    model = {
        "dim": words.shape[1],
        "heads": heads,
        "layers": layers,
        "inner": expand.shape[0],
        "interaction": {"hops": hops},
    }
    model["image"] = {"frozen": simmc}
    config = make_config({"preset": "released", "experiment": "released", "model": model})
    spec = InputSpec(
        vocabulary=len(words),
        pad=0,
        positions=len(positions),
        slots=schema.slots,
        key_tokens=tuple((key,) for key in KEY_IDS[schema.name]),
    )
    assert isinstance(config.model, PaperConfig)
    ours = Semantic(config.model, spec)
    # A module used twice under two names (the shared word tables) appears twice in our state dict.
    expected = {name: value.shape for name, value in ours.state_dict().items()}
    shared = {n: n.replace("product_text.words", "turn_text.words") for n in expected}
    faults = [n for n in expected if shared[n] not in translated or translated[shared[n]].shape != expected[n]]
    if faults:
        raise ReleasedError(
            f"released checkpoint {file}: expected {len(expected)} tensors, "
            f"got {len(faults)} missing or of another shape (first {faults[0]})"
        )
    ours.load_state_dict({name: translated[shared[name]] for name in expected})
    return ours, config


def import_released(file: Path, run: Path, *, slots: str = "mmd", tokenizer: str | None = None) -> int:
    """Write a released checkpoint as a run's folder, with its model and configuration; returns the number of parameters.

    Raises:
        ReleasedError: as `load_released`; or something is there already, or the slots are of no known schema.
        BusyError: another process writes there.
        CheckpointError: the tokenizer cannot be had.
    """
    if slots not in KEY_IDS:
        raise ReleasedError(f"slots: expected {' or '.join(KEY_IDS)}, got {slots!r}")
    with claim(run):
        if run.exists() and not (run.is_dir() and not any(run.iterdir())):
            raise ReleasedError(
                f"{run}: expected a new or an empty folder, found {'files in it' if run.is_dir() else 'a file'}"
            )
        model, config = load_released(file, simmc=slots == "simmc")
        if tokenizer is not None:
            schema = SIMMC if slots == "simmc" else MMD
            model.tokenizer = load_tokenizer(tokenizer, model.spec.vocabulary, schema.words)
        with building(run) as new:
            model.save_pretrained(RunFolder(new).model)
            RunFolder(new).start(config)
    return sum(p.numel() for p in model.parameters())
