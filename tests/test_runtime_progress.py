"""Progress as a person sees it: in a pipe, on a terminal, and not at all in a library."""

import io

import pytest
from rich.console import Console

from semantic.runtime import progress as module
from semantic.runtime.progress import Progress, TerminalProgress, steps


@pytest.fixture
def pipe() -> Console:
    return Console(file=io.StringIO(), width=80)


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_library_prints_nothing(capsys):
    progress = Progress()
    progress.say("a line")
    with progress.bar("step", 2) as advance:
        advance(1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_line_is_printed_as_it_is(pipe):
    TerminalProgress(pipe).say("runs/a[b]: " + "1.5 " * 30)
    assert printed(pipe) == ["runs/a[b]: " + "1.5 " * 30]


def test_in_a_pipe_a_long_step_is_a_line_every_ten_seconds_and_its_end_none(pipe, monkeypatch):
    seconds = iter([0.0, 9.9, 10.0, 10.0, 19.9, 20.0, 20.0])  # the start; then one reading a call, two where it prints
    monkeypatch.setattr(module.time, "monotonic", lambda: next(seconds))
    with TerminalProgress(pipe).bar("photos", 7) as advance:
        for done in range(1, 5):
            advance(done, 7)
    assert printed(pipe) == ["photos: 2/7", "photos: 4/7"]

    monkeypatch.setattr(module.time, "monotonic", iter([0.0, 60.0]).__next__)
    with TerminalProgress(pipe).bar("photos", 7) as advance:
        advance(7, 7)
    assert len(printed(pipe)) == 2


def test_on_a_terminal_a_step_is_a_bar_with_its_count():
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    with TerminalProgress(console).bar("photos", 7) as advance:
        advance(3, 7)
    text = "\n".join(printed(console))
    assert "photos" in text
    assert "3/7" in text


class Recorded(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple] = []

    def bar(self, what: str, total: int):
        seen = self.seen

        class Bar:
            def __enter__(self):
                seen.append(("open", what, total))
                return lambda done, total: seen.append((what, done, total))

            def __exit__(self, *_: object):
                seen.append(("close", what))

        return Bar()


def test_steps_open_a_bar_for_each_step_and_close_the_one_before():
    progress = Recorded()
    with steps(progress) as report:
        report("dialogues", 1, 2)
        report("dialogues", 2, 2)
        report("photos", 1, 3)
    assert progress.seen == [
        ("open", "dialogues", 2), ("dialogues", 1, 2), ("dialogues", 2, 2), ("close", "dialogues"),
        ("open", "photos", 3), ("photos", 1, 3), ("close", "photos"),
    ]  # fmt: skip


def test_an_error_within_a_step_closes_its_bar():
    progress = Recorded()

    def interrupted() -> None:
        with steps(progress) as report:
            report("photos", 1, 3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert progress.seen[-1] == ("close", "photos")


def test_a_line_stays_one_line_whatever_a_name_holds(pipe):
    TerminalProgress(pipe).say("runs/a\n\x1b[2Jb")
    assert printed(pipe) == ["runs/a\\n\\x1b[2Jb"]
