"""From facts to the text of a card, and to its file."""

import re
from importlib import resources
from pathlib import Path
from typing import Any

from huggingface_hub import CardData
from jinja2 import Environment, FunctionLoader, StrictUndefined

from semantic import __version__
from semantic.report.exporting import MARKDOWN
from semantic.report.pages import duration, percent
from semantic.runtime.claims import claim
from semantic.runtime.digests import has_text_seal, with_text_seal
from semantic.runtime.errors import DataError
from semantic.runtime.files import remove_leftovers, write_text
from semantic.runtime.reading import ReadingError, read_text
from semantic.runtime.terminal import visible

NAME = "README.md"
"""The file of a folder that the hub shows."""

MOST_BYTES = 1 << 20
"""Of a card; a file with more is none."""

LIVELY = str.maketrans({character: f"\\{character}" for character in "[]_~&"})
"""What Markdown would read as links, stress or letters, beside `MARKDOWN`."""

HUBS = ("This model has been pushed to the Hub using the [PytorchModelHubMixin]", "[More Information Needed]")
"""What stands in the card that huggingface_hub leaves beside weights, as long as nobody filled it in."""


def render(template: str, front_matter: CardData, **values: Any) -> str:
    """A card: its facts as YAML between lines of dashes, then the template with these values."""
    environment = Environment(
        loader=FunctionLoader(read_template),
        autoescape=False,  # Markdown: text from files goes through `md` or `code`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "md": markdown,
        "code": code,
        "percent": percent,
        "duration": duration,
        "number": number,
        "identity": id,
    }
    body = environment.get_template(template).render(**values, version=__version__)
    text = f"---\n{front_matter.to_yaml()}\n---\n\n{body}"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_card(out: Path, text: str) -> Path:
    """Write a card and return its path. A card that is there already is replaced, unless somebody changed it.

    Raises:
        DataError: something else is there, or a card that was changed since it was written.
        BusyError: another process writes it.
    """
    with claim(out):
        remove_leftovers(out)
        check_card(out)
        write_text(out, with_text_seal(text))
    return out


def check_card(out: Path) -> None:
    """DataError where a file is not a card as it was written, by this or by huggingface_hub."""
    if not out.exists():
        return
    try:
        text = read_text(out, MOST_BYTES)
    except ReadingError as error:
        raise DataError(f"{out}: expected no file there or a card that semantic wrote, found {error}") from None
    if not has_text_seal(text) and not all(said in text for said in HUBS):
        raise DataError(
            f"{out}: expected no file there or a card as semantic wrote it, found another or one that was changed since; "
            "give another --out"
        )


def markdown(text: Any) -> str:
    """Text as Markdown shows it letter for letter, in one line."""
    return visible(str(text)).translate(MARKDOWN).translate(LIVELY)


def code(text: Any) -> str:
    """Text as code within a line, or within a table's cell."""
    shown = visible(str(text)).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    gap = " " if len(fence) > 1 else ""
    return f"{fence}{gap}{shown}{gap}{fence}"


def number(value: Any) -> str:
    """1234567 -> "1,234,567"; a fraction with one decimal."""
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"


def read_template(name: str) -> str:
    """The text of a template of this package."""
    return resources.files("semantic.report").joinpath("templates", name).read_text(encoding="utf-8")
