"""What a run's numbers depend on beside its configuration and data: machine, packages, revision, command."""

import os
import platform
import re
from dataclasses import asdict
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from semantic import __version__
from semantic.runtime.revision import revision
from semantic.runtime.terminal import command_line

DISTRIBUTION = "semantic-crs"


def environment(seed: int, processes: int = 1) -> dict[str, Any]:
    """The machine (of several processes, the main one's), the versions and the command, for a run's environment.json.

    `git` is the revision of the source checkout and whether its files were changed; null where `semantic` is installed
    from a wheel.
    """
    source = revision()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "processes": processes,
        "packages": {"semantic": __version__, **_dependencies()},
        "git": None if source is None else asdict(source),
        "seed": seed,
        "command": command_line("semantic"),
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _dependencies() -> dict[str, str | None]:
    """Versions of the packages that `semantic` requires, by its own metadata; null for one without metadata."""
    required = [text for text in metadata.requires(DISTRIBUTION) or () if "extra ==" not in text]
    names = (re.match(r"[\w.-]+", text) for text in required)
    return {name.group(): _version(name.group()) for name in names if name}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    """The processor's model; `platform` knows it on macOS and Windows alone."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
