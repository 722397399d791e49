"""The installed command apart from its work: version, completion, its words, and how errors end it."""

import os
import shutil
import subprocess
import sys

import pytest

import semantic as package
from semantic.cli import app as cli
from semantic.cli.console import print_line
from semantic.runtime.errors import DataError, FailedError, UserError
from semantic.runtime.revision import Revision, revision
from tests.commands import COMMAND, environment, semantic

# Version.


def test_the_version_names_the_revision_of_a_checkout(tmp_path):
    said = semantic("--version", cwd=tmp_path)
    source = revision()
    assert said.stderr == ""
    if source is None:
        assert said.stdout == f"semantic {package.__version__}\n"
    else:
        assert said.stdout.startswith(f"semantic {package.__version__}, revision {source.commit[:12]}")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (None, ""),
        (Revision("0123456789abcdef" * 2 + "01234567", changed=False), ", revision 0123456789ab"),
        (Revision("0123456789abcdef" * 2 + "01234567", changed=True), ", revision 0123456789ab with changes"),
    ],
)
def test_the_version_says_whether_the_checkout_was_changed(monkeypatch, capsys, source, expected):
    monkeypatch.setattr("semantic.runtime.revision.revision", lambda: source)
    monkeypatch.setattr(sys, "argv", ["semantic", "--version"])
    cli.main()
    assert capsys.readouterr().out == f"semantic {package.__version__}{expected}\n"


# Shell completion.

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")


def in_bash(line: str, cwd, **variables: str) -> subprocess.CompletedProcess[str]:
    """A line in bash, which typer finds among the parents of the command; `true` keeps bash from becoming the command."""
    return subprocess.run(
        ["bash", "-c", f"{line}; code=$?; true; exit $code"],
        cwd=cwd, env=environment() | variables, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip


@needs_bash
def test_show_completion_prints_a_script_of_bash(tmp_path):
    said = in_bash(f"'{COMMAND}' --show-completion bash", tmp_path)
    assert "complete -o default -F _semantic_completion semantic" in said.stdout
    assert said.stderr == ""
    subprocess.run(["bash", "-n"], input=said.stdout, text=True, check=True)  # bash can read it


@needs_bash
def test_install_completion_adds_the_script_to_the_persons_shell(tmp_path):
    in_bash(f"'{COMMAND}' --install-completion", tmp_path, HOME=str(tmp_path))
    (script,) = tmp_path.rglob("semantic.sh")
    assert "_semantic_completion" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()


@pytest.mark.parametrize(("words", "expected"), [("semantic in", {"inspect"}), ("semantic train --res", {"--resume"})])
def test_completion_offers_commands_and_options(tmp_path, words, expected):
    asked = {"_SEMANTIC_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    said = subprocess.run(
        [COMMAND], cwd=tmp_path, env=environment() | asked, capture_output=True, text=True, check=True
    )
    assert set(said.stdout.split()) == expected


# Its words.


def test_no_word_at_all_is_answered_by_the_help_and_nothing_else(tmp_path):
    done = subprocess.run([COMMAND], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode in (0, 2)  # releases of typer differ
    assert "Usage: semantic" in done.stdout + done.stderr
    assert "semantic: " not in done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nonsense"], "semantic: no such command 'nonsense'"),
        (["train"], "semantic: missing argument 'experiment'"),
        (["train", "tiny.yaml", "--fold", "3"], "semantic: no such option: --fold"),
        (["train", "tiny.yaml", "--folds", "-1"], "semantic: invalid value for '--folds': "),
        (["recommend", "run", "--dialogue", "d.json", "--top", "0"], "semantic: invalid value for '--top': "),
    ],
)
def test_wrong_words_are_one_line_that_names_them(monkeypatch, capsys, words, expected):
    monkeypatch.setattr(sys, "argv", ["semantic", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert said.lower().startswith(expected)
    assert said.count("\n") == 1


# Errors.


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("size: expected [1], got 2"), 2),
        (DataError("size: expected [1], got 2"), 2),
        (FailedError("size: expected [1], got 2"), 1),
        (OSError("size: expected [1], got 2"), 1),
    ],
)
def test_a_known_error_is_printed_as_it_is_and_gives_the_exit_code(capsys, error, code):
    assert cli.report_error(error) == code
    assert capsys.readouterr().err == "semantic: size: expected [1], got 2\n"


def test_any_other_error_keeps_its_traceback(capsys):
    class Disguised(ValueError):
        exit_code = 2

    for error in (ValueError("a bug"), Disguised("a bug")):
        with pytest.raises(ValueError, match="a bug"):
            cli.report_error(error)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("rank", "printed"), [("0", "line\n"), ("1", "")])
def test_of_several_processes_the_main_one_prints(monkeypatch, capsys, rank, printed):
    monkeypatch.setattr(cli.out, "quiet", False)  # put back afterwards
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr(cli, "app", lambda **_: print_line("line"))
    cli.main()
    assert capsys.readouterr().out == printed


def test_an_interruption_says_how_to_go_on(monkeypatch, capsys):
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    for pressed in (interrupted, lambda **_: 130):
        monkeypatch.setattr(cli, "app", pressed)
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert stopped.value.code == 130
        assert capsys.readouterr().err.startswith("interrupted; what was finished is saved")


def test_a_reader_that_closes_the_pipe_gets_no_traceback(tmp_path):
    """`semantic config quickstart | head -1`."""
    read, write = os.pipe()
    os.close(read)
    words = [COMMAND, "config", "quickstart"]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment(), stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
