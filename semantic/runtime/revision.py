"""The git revision of the checkout that `semantic` is imported from."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds the package: the checkout's root, or `site-packages` where a wheel is installed."""

SECONDS = 10.0
"""Git is given up after this long; it reads every file of a changed checkout on a slow disk."""


@dataclass(frozen=True)
class Revision:
    """A commit, and whether tracked files differ from it."""

    commit: str
    changed: bool


def revision(root: Path = ROOT) -> Revision | None:
    """The revision of the checkout at `root`; None where there is none, or git does not answer. Never raises."""
    # An environment inside some other project's checkout must not be taken for ours: git itself would look upwards.
    if not (root / ".git").exists():
        return None
    # Inside a git hook GIT_DIR names another repository. No lock: two runs may ask at once.
    outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=root,
            env=outside | {"GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    commit, _, mark = said.partition("-")
    return Revision(commit, mark == "dirty")
