"""The installed command in a process of its own, and a folder in which its commands were run in their usual order."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from semantic.datasets.store.store import open_store
from semantic.runs.folder import RunFolder
from tests.worlds import STATELESS, colour_features, tiny_values

COMMAND = Path(sys.executable).with_name("semantic")
RUN = "runs/tiny/base/seed_0"

# Newer Pythons warn of a fork beside threads, which numpy has; what is forked here does not touch them.
forking = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def environment() -> dict[str, str]:
    """A plain pipe of 80 columns, one thread, no network."""
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE")}
    return kept | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}


def semantic(*arguments: object, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the installed command; its exit code is checked, and what it printed comes back."""
    words = [str(COMMAND), *map(str, arguments)]
    done = subprocess.run(words, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, f"{arguments}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def answering_interrupts() -> None:
    """For a new process (`preexec_fn`): a shell's background jobs, tests among them, are started deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class Way:
    """A folder in which the commands were run in their usual order, and what each printed."""

    folder: Path
    said: dict[str, subprocess.CompletedProcess[str]]

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.folder / "runs" / "tiny" / "base" / "seed_0")


@pytest.fixture(scope="session")
def way(tmp_path_factory: pytest.TempPathFactory) -> Way:
    """The commands in their usual order. Nobody changes what they left."""
    folder, said = tmp_path_factory.mktemp("way"), {}

    def step(name: str, *arguments: object) -> None:
        said[name] = semantic(name, *arguments, cwd=folder)

    step("simulate", "data", "--dialogues", 12, "--products", 40, "--seed", 3, "--unlabelled", 4)
    step("prepare", "mmd", "data", "--out", "store")
    step("inspect", "store")
    colour_features(open_store(folder / "store"), folder / "features.npy")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(tiny_values(Path("store"), Path("features.npy"))))
    step("train", "tiny.yaml", "--set", "training.epochs=3", "--set", f"data.unlabelled=[{STATELESS}]")
    step("evaluate", "runs/tiny/base/seed_0", "--split", "valid", "--out", "on_valid", "--seen", "keep")
    step("report", "runs", "--out", "report", "--turns", 4)
    dialogue = [
        {"speaker": "user", "text": "show me a red dress"},
        {"speaker": "system", "text": "", "images": [open_store(folder / "store").product_names[3]]},
        {"speaker": "user", "text": "cheaper"},
    ]
    (folder / "dialogue.json").write_text(json.dumps(dialogue))
    step(
        "recommend", "runs/tiny/base/seed_0", "--dialogue", "dialogue.json", "--top", 7, "--html", "recommend.html",
        "--format", "json", "--explain",
    )  # fmt: skip
    return Way(folder, said)
