"""What rows of the fault table about configurations share."""

from tests.faults import (
    row,
    write,
)  # fmt: skip

SHOW = "config tiny.yaml"
BOMB = (
    "a: &a ["
    + "x, " * 9
    + "x]\n"
    + "".join(f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
)


def yaml(name, content, says, **more):
    return row(f"YAML that is {name}", SHOW, says, write("tiny.yaml", content), **more)


def field(setting, says, **more):
    says = f"tiny.yaml: 1 fault\n  {says}" if says else says
    return row(f"--set {setting[:60]!r}", f"config tiny.yaml --set '{setting}'", says, **more)
