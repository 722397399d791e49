"""The installed command apart from its work: version, completion, its words, and how errors end it."""

import errno
import io
import os
import resource
import shutil
import signal
import subprocess
import sys

import pytest
import torch
import typer
from rich.table import Table

import semantic as package
from semantic import __main__ as entry
from semantic.cli import app as cli
from semantic.cli.console import VisibleConsole, print_line
from semantic.runtime.errors import DataError, FailedError, UserError
from semantic.runtime.progress import TerminalProgress
from semantic.runtime.revision import Revision, revision
from tests.commands import COMMAND, answering_interrupts, environment, semantic

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


def test_without_a_word_the_command_says_what_it_can(tmp_path):
    alone, asked = semantic(cwd=tmp_path), semantic("--help", cwd=tmp_path)

    assert alone.stdout == asked.stdout
    assert "recommend" in alone.stdout
    assert alone.stderr == ""


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
    assert done.returncode == 141  # as if SIGPIPE had ended it
    assert done.stderr == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_output_that_cannot_be_written_is_one_line(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [COMMAND, "config", "quickstart"],
            cwd=tmp_path, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "semantic: disk: expected room to write, found the disk full\n"


# Errors of the machine.


class SafetensorError(Exception):
    """As safetensors raises it."""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk: expected room to write, found the disk full"),
        (OSError(errno.ENOSPC, "No space", "runs/x"), "runs/x: expected room to write, found the disk full"),
        (OSError(errno.EDQUOT, "Quota", "x"), "x: expected room to write, found the quota used up"),
        (OSError(errno.EFBIG, "Too large", "x"), "x: expected room to write, found the largest size that a file may"),
        (OSError(errno.EACCES, "Permission denied", "x"), "x: expected to read or write it, found: Permission denied"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory: expected enough for this work, found too little: "),
        (MemoryError(), "memory: expected enough for this work, found too little; smaller training.batch_size"),
        (MemoryError("Unable to allocate 8 TiB"), "memory: expected enough for this work, found too little: Unable to"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried"),
            "memory: expected enough for this work, found too little: [enforce fail",
        ),
        (RuntimeError("CUDA out of memory. Tried"), "memory: expected enough for this work, found too little: CUDA"),
        (
            RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"),
            "disk: expected room to write, found that a file could not be written whole",
        ),
        (
            SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
            "disk: expected room to write, found the disk full",
        ),
        (RuntimeError("can't start new thread"), "threads: expected to start another, found as many as a user may"),
    ],
)
def test_what_the_machine_lacks_is_one_line_and_exit_code_1(capsys, error, line):
    assert cli.report_error(error) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"semantic: {line}")
    assert said.count("\n") == 1


def test_a_model_too_large_for_memory_is_one_line(capsys):
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60)
    assert cli.report_error(raised.value) == 1
    assert capsys.readouterr().err.startswith("semantic: memory: expected enough for this work, found too little: ")


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="files have no limit here")
@pytest.mark.parametrize(
    "saver", ["torch.save({'a': torch.zeros(9999)}, 'f')", "save_file({'a': torch.zeros(9999)}, 'f')"]
)
def test_a_limit_on_the_size_of_files_is_one_line(tmp_path, saver):
    """SIGXFSZ would end the process; Python ignores it, and the write fails."""
    lines = (
        "import resource, torch",
        "from safetensors.torch import save_file",
        "from semantic.cli import app",
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))",
        f"app.app = lambda **_: {saver}",
        "app.main()",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("semantic: disk: expected room to write, found ")
    assert done.stderr.count("\n") == 1


def test_an_empty_file_is_no_interrupt(monkeypatch):
    """click takes EOFError for the end of a terminal's input."""

    def command() -> None:
        raise EOFError("No data left in file")

    app = typer.Typer()
    app.command()(cli._carrying(command))
    monkeypatch.setattr(cli, "app", app)
    monkeypatch.setattr(sys, "argv", ["semantic"])
    with pytest.raises(EOFError, match="No data left"):
        cli.main()


def test_a_broken_pipe_to_another_process_is_not_the_readers(monkeypatch, capsys):
    monkeypatch.setattr(cli, "reader_is_gone", lambda: False)
    assert cli.report_error(BrokenPipeError(errno.EPIPE, "Broken pipe")) == 1
    assert capsys.readouterr().err == "semantic: [Errno 32] Broken pipe\n"


# What is printed.


def test_control_characters_of_a_name_do_not_reach_the_terminal(tmp_path):
    name = "a\x1b[2J\x9b31m\u202egpj\r\nb.yaml"
    said = semantic("config", name, cwd=tmp_path, code=2).stderr
    shown = "a\\x1b[2J\\x9b31m\\u202egpj\\r\\nb.yaml"
    assert said == f"semantic: experiment {shown}: expected a YAML file, got none there\n"


def test_tables_and_lines_show_control_characters():
    stream = io.StringIO()
    console = VisibleConsole(file=stream, width=80, force_terminal=True, color_system="standard")
    grid = Table("a\x1b[2J")
    grid.add_row("\u202eb\x07")
    console.print(grid)
    console.print("[red]r[/red]\x1b]0;title\x07", highlight=False)
    said = stream.getvalue()
    assert "a\\x1b[2J" in said
    assert "\\u202eb" in said
    assert "\\x1b]0;title" in said
    assert "\x1b[31mr" in said  # its own colours are there
    assert not {"\x07", "\u202e"} & set(said)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_lacks_a_character_gets_an_escape(tmp_path, encoding):
    (tmp_path / "\u4e2d.yaml").write_text("{seed: 1, data: {store: \u4e2d}}", encoding="utf-8")
    done = subprocess.run(
        [COMMAND, "config", "\u4e2d.yaml", "--set", "variant=\u4e2d"],
        cwd=tmp_path, env=environment() | {"PYTHONIOENCODING": encoding}, capture_output=True, check=True,
    )  # fmt: skip
    assert b"4E2D" in done.stdout.upper()
    said = subprocess.run(
        [COMMAND, "config", "\u4e2e.yaml"],
        cwd=tmp_path, env=environment() | {"PYTHONIOENCODING": encoding}, capture_output=True, check=False,
    )  # fmt: skip
    assert said.returncode == 2
    assert said.stderr == b"semantic: experiment \\u4e2e.yaml: expected a YAML file, got none there\n"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_bars_and_tables_suit_the_encoding(encoding):
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding=encoding, errors="backslashreplace")
    console = VisibleConsole(file=stream, width=60, force_terminal=True)
    with TerminalProgress(console).bar("caf\xe9", 3) as advance:
        advance(2, 3)
    grid = Table("\xe9")
    grid.add_row("1")
    console.print(grid)
    stream.flush()
    assert b"2/3" in buffer.getvalue()
    assert "\xe9".encode(encoding, "backslashreplace") in buffer.getvalue()


# Interrupts.


def test_an_interrupt_while_modules_are_imported_ends_at_once(tmp_path):
    """C code may make an ImportError of it."""
    (tmp_path / "typer.py").write_text(
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\n    while True: pass\n"
        "except KeyboardInterrupt:\n    raise ImportError('numpy failed')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", "from semantic.__main__ import main\nprint('first')\nmain()"],
        cwd=tmp_path, env=environment() | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
        preexec_fn=answering_interrupts,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "first\n", "interrupted\n")


def test_an_interrupt_of_work_is_an_exception():
    with pytest.raises(KeyboardInterrupt):
        entry._interrupted(signal.SIGINT, None)


def test_a_job_started_deaf_to_interrupts_stays_so(monkeypatch):
    monkeypatch.setattr("semantic.cli.app.main", lambda: None)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        entry.main()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_entry_imports_nothing_that_takes_long(tmp_path):
    said = subprocess.run(
        [sys.executable, "-c", "import sys, semantic.__main__; print('numpy' in sys.modules, 'typer' in sys.modules)"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said == "False False\n"
