"""What may be asked of the hub: names. A path never is, whether or not there is something at it."""

import os
from pathlib import Path

from semantic.runtime.errors import UserError


def is_path(name: str | Path) -> bool:
    """Whether a name can only be meant as a path: a name of the hub is `model` or `owner/model`, in the letters it allows."""
    if isinstance(name, Path) or os.path.exists(name):
        return True
    return (
        os.path.isabs(name) or name.startswith((".", "~")) or name.count("/") > 1 or name.endswith("/") or "\\" in name
    )


def check_place(name: str | Path, what: str, fault: type[UserError]) -> None:
    """Raise `fault` where a name is a path, and no folder."""
    if is_path(name) and not os.path.isdir(name):
        try:
            os.stat(name)
            found = "a file"
        except (FileNotFoundError, NotADirectoryError):
            found = "none there"
        except OSError as error:
            found = error.strerror or str(error)
        raise fault(f"{what} {name}: expected a folder, found {found}")
