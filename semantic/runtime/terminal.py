"""Text on a terminal: what a file name or a message holds is shown, and never carried out."""

import re
import sys

ESCAPED = (
    *range(0x20),  # C0: ESC begins sequences that move the cursor, and change title or clipboard
    *range(0x7F, 0xA0),  # DEL and C1
    0x061C, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A),  # direction and line breaks
    0xFEFF,
    *range(0xD800, 0xE000),  # halves of surrogate pairs, as Python reads file names that are no UTF-8
)  # fmt: skip
"""Code points that change what is around them, or cannot be encoded."""

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_TABLE = {code: _SHORT.get(chr(code)) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}") for code in ESCAPED}
_IN_LINES = {code: text for code, text in _TABLE.items() if chr(code) not in "\n\t"}


def visible(text: str) -> str:
    """`text` in one line, with control characters and marks of direction written as escapes."""
    return text.translate(_TABLE)


def visible_lines(text: str) -> str:
    """`visible` of text whose lines and tabs are meant."""
    return text.translate(_IN_LINES)


def command_line(program: str) -> str:
    """The command of this process, to be kept in files; a password in a URL of it is left out."""
    return re.sub(r"(://[^\s:/@]*):[^\s/@]*@", r"\1:***@", " ".join([program, *sys.argv[1:]]))
