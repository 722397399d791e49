"""What every test file may ask for."""

from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

# Shape annotations of what is imported after this line are executed.
install_import_hook(
    [
        "semantic.encoders",
        "semantic.dst",
        "semantic.datasets.batches",
        "semantic.batching.shards",
        "semantic.models.interface",
        "semantic.models.losses",
        "semantic.models.semantic",
        "semantic.models.compared",
        "semantic.models.floors",
        "semantic.metrics.ranking",
        "semantic.evaluation.product_index",
    ],
    "beartype.beartype",
)

pytest_plugins = ["tests.worlds", "tests.commands", "tests.slurm"]

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real dialogues beside the checkout; tests that need it skip where it is absent."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder ../shared with real dialogues is not here")
    return folder


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(autouse=True)
def _threads() -> None:
    """One thread a process: sums come out in one order, and parallel workers do not fight over two cores."""
    torch.set_num_threads(1)
