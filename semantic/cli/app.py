"""The command line: its commands, and how an error ends one.

A fault of what the user gave is one line on standard error and exit code 2; a failure that is not the user's, exit code 1.
"""

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from semantic import __version__
from semantic.cli import bench, cards, cases, data, experiments, results, sweeping, tuning
from semantic.cli.console import err, out, print_any_character, print_line
from semantic.cli.failures import PIPE_CLOSED, drop_output, failure, reader_is_gone
from semantic.runtime.errors import INTERRUPTED

app = typer.Typer(
    name="semantic",
    help="SeMANTIC: train and evaluate sample-efficient multimodal conversational recommendation.\n\n"
    "The usual order: simulate (or bring MMD or SIMMC data), prepare, inspect, train, report, recommend.",
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
COMMANDS: tuple[Callable[..., None], ...] = (
    data.simulate,
    data.prepare,
    data.verify,
    data.inspect,
    experiments.train,
    sweeping.sweep,
    tuning.tune,
    experiments.evaluate,
    results.report,
    cases.analyse,
    cases.compare,
    cases.judge,
    results.recommend,
    cards.card,
    experiments.import_released,
    experiments.config,
    bench.bench,
)
"""In the order of the help."""


class Carried(Exception):
    """An error of a command, past click: it takes EOFError for an interrupt, and every broken pipe for the terminal's."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(repr(error))
        self.error = error


def _carrying(command: Callable[..., None]) -> Callable[..., None]:
    """The command, whose errors that click would interpret come as `Carried`."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except (OSError, EOFError, KeyboardInterrupt) as error:
            raise Carried(error) from None

    return run


for command in COMMANDS:
    app.command()(_carrying(command))


def _print_version(asked: bool) -> None:
    if not asked:
        return
    from semantic.runtime.revision import revision

    source = revision()
    text = f"semantic {__version__}"
    if source is not None:
        text += f", revision {source.commit[:12]}" + (" with changes" if source.changed else "")
    print_line(text)
    raise typer.Exit


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version, and the git revision of a source checkout.",
        ),
    ] = False,
) -> None:
    # A docstring here would take the place of the help above; the callback of --version does what it asks for.
    del version
    if context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """Run a command. Of the processes that torchrun or accelerate launch started, the main one prints."""
    out.quiet = os.environ.get("RANK", "0") != "0"
    print_any_character()
    code, error = _run()
    try:
        code = code if error is None else report_error(error)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as unprinted:
        code = code or report_error(unprinted)
        drop_output()
    if code:
        sys.exit(code)


def _run() -> tuple[int, BaseException | None]:
    """The exit code of the command that `sys.argv` names, and the error that ended it."""
    try:
        code = app(standalone_mode=False)
        # Newer releases of typer catch an interrupt and return its code.
        return (code, KeyboardInterrupt()) if code == INTERRUPTED else (code, None)
    except typer.Exit as stop:
        return stop.exit_code, None
    except typer.Abort:
        return INTERRUPTED, None
    except Carried as carried:
        return 0, carried.error
    except (Exception, KeyboardInterrupt) as error:
        return 0, error


def report_error(error: BaseException) -> int:
    """The exit code of a known error, whose message is printed in one line; any other is a bug and keeps its traceback."""
    if isinstance(error, KeyboardInterrupt):
        print_line("interrupted; what was finished is saved, the same command (train: with --resume) goes on", err)
        return INTERRUPTED
    if isinstance(error, BrokenPipeError) and reader_is_gone():
        drop_output()
        return PIPE_CLOSED
    found = failure(error)
    if found is None:
        raise error
    message, code = found
    for line in f"semantic: {message}".split("\n"):
        print_line(line, err)
    return code
