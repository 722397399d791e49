"""Texts of files and folders, made safe to show."""

import reprlib


def printable(text: str) -> str:
    """The text with every character that is not printable as its escape: a name cannot steer a terminal, nor stop UTF-8.

    "\\x1b[2J" gives "\\\\x1b[2J"; a lone surrogate, as of a file name that is no UTF-8, gives "\\\\udcff".
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def found(value: object) -> str:
    """A value as an error message shows it: its representation, cut to a few words."""
    return printable(reprlib.repr(value))
