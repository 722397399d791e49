"""The command that describes a run or a store to others: card."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semantic.cli.console import print_line, steps

if TYPE_CHECKING:
    from semantic.report.cards.runs import ModelFacts, Trained


def card(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|STORE",
            help="Folder of a run, of a variant's runs (seeds, folds), or of a prepared store.",
            show_default=False,
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Markdown file; one that somebody wrote or changed is never replaced.",
            show_default="RUN/model/README.md, else README.md in the folder",
        ),
    ] = None,
) -> None:
    """Write a model card or a dataset card: Markdown with the YAML that Hugging Face's hub reads. Nothing is uploaded."""
    from semantic.datasets.store.store import MANIFEST, open_store
    from semantic.report.cards.rendering import NAME, check_card, write_card
    from semantic.report.cards.runs import card_place, read_trained, run_card
    from semantic.report.cards.stores import store_card

    if (path / MANIFEST).is_file():
        file = file or path / NAME
        check_card(file)
        store = open_store(path)
        with steps() as step:
            store.verify_once(step)
        text = store_card(store)
    else:
        trained = read_trained(path)
        file = file or card_place(path)
        check_card(file)
        text = run_card(trained, _facts(trained))
    print_line(f"card: {write_card(file, text)}")


def _facts(trained: "Trained") -> "ModelFacts":
    """What the runs' model is, by its class."""
    from semantic.config.registry import find_model
    from semantic.report.cards.runs import ModelFacts

    found = find_model(trained.model)
    says = " ".join((found.__doc__ or "").split("\n\n")[0].split())
    return ModelFacts(
        f"{found.__module__}:{found.__qualname__}", trained.preset or next(iter(found.Config.presets), None), says
    )
