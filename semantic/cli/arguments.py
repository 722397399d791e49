"""Arguments and options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

Store = Annotated[Path, typer.Argument(help="Folder of a prepared store.", show_default=False)]
Run = Annotated[Path, typer.Argument(help="Folder of a run, the one that holds config.yaml.", show_default=False)]
Experiment = Annotated[
    str, typer.Argument(help="A YAML file, or the name of a shipped experiment.", show_default=False)
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="Override a field of the experiment; may be repeated."),
]
