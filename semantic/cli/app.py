"""The command line: its commands, and how an error ends one.

A fault of what the user gave is one line on standard error and exit code 2; a failure that is not the user's, exit code 1.
"""

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from semantic import __version__
from semantic.cli import bench, data, experiments, results
from semantic.cli.console import err, out, print_line
from semantic.runtime.errors import FailedError, UserError

INTERRUPTED = 130
"""Exit code, as of a shell."""

CLICK_ERROR: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""Base class of the errors in a command's words; newer releases of typer carry a click of their own, and export no name."""

app = typer.Typer(
    name="semantic",
    help="SeMANTIC: train and evaluate sample-efficient multimodal conversational recommendation.\n\n"
    "The usual order: simulate (or bring MMD or SIMMC data), prepare, inspect, train, report, recommend.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
COMMANDS: tuple[Callable[..., None], ...] = (
    data.simulate,
    data.prepare,
    data.verify,
    data.inspect,
    experiments.train,
    experiments.evaluate,
    results.report,
    results.recommend,
    experiments.import_released,
    experiments.config,
    bench.bench,
)
"""In the order of the help."""
for command in COMMANDS:
    app.command()(command)


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


@app.callback()
def options(
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
    # The callback of --version does all there is; a docstring here would take the place of the help above.
    del version


def main() -> None:
    """Run a command: the console script. Of the processes that torchrun or accelerate launch started, the main one prints."""
    out.quiet = os.environ.get("RANK", "0") != "0"
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # newer releases of typer catch the interrupt and return its code
            raise KeyboardInterrupt
    except typer.Abort:
        code = INTERRUPTED
    except typer.Exit as stop:
        code = stop.exit_code
    except KeyboardInterrupt:
        print_line("interrupted; what was finished is saved, the same command (train: with --resume) goes on", err)
        code = INTERRUPTED
    except Exception as error:
        code = report_error(error)
    if code:
        sys.exit(code)


def report_error(error: Exception) -> int:
    """The exit code of a known error, whose message is printed in one line; any other is a bug and keeps its traceback."""
    if isinstance(error, CLICK_ERROR):
        message, code = error.format_message(), error.exit_code
    elif isinstance(error, UserError | FailedError):
        message, code = str(error), error.exit_code
    elif isinstance(error, OSError):
        message, code = str(error), FailedError.exit_code
    else:
        raise error
    if message:  # without any word, newer releases of typer print the help and raise an error without a message
        print_line(f"semantic: {message}", err)
    return code
