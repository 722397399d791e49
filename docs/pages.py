"""What the site shows beside docs/*.md: the README as its start page, the picture of the floors, every configuration field, every module.

MkDocs calls the functions `on_...`; see `hooks` in mkdocs.yml.
"""

import ast
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

sys.path.insert(0, str(Path(__file__).resolve().parent))  # MkDocs runs this file alone

from configuration import configuration_page
from floors import REPOSITORY, House, find_modules, read_house, write_floors

BUILD = REPOSITORY / "build" / "docs"
PACKAGE = BUILD / "package"
"""Copies of the folders as one package `semantic`: where mkdocstrings reads the sources."""

FROM_ROOT = {
    "README.md": "index.md",
    "experiments/README.md": "experiments.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Markdown of the repository outside docs/ -> its page."""

FIGURES = REPOSITORY / "experiments" / "figures"
"""Pictures that experiments/README.md shows, by the same relative address as its page."""

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")
INCLUDE = re.compile(r"^<!-- include (\S+) -->$", re.MULTILINE)


def on_startup(**_: Any) -> None:
    """Lay the package out, before mkdocstrings looks for it."""
    gather_package()


def on_config(config: "MkDocsConfig") -> "MkDocsConfig":
    """Set the navigation."""
    house = read_house()
    modules: list[Any] = [{"Floors": "api/index.md"}]
    for room in house.rooms:
        pages = {package: page_of(package) for package in packages_of(house, room)}
        if len(pages) == 1:
            modules.append({room: pages[room]})
        else:
            modules.append({room: [pages[room], *({name: page} for name, page in pages.items() if name != room)]})
    config.nav = [
        {"Start": "index.md"},
        {"Architecture": "architecture.md"},
        {"What is promised": "promises.md"},
        {"Reproduction notes": "experiments.md"},
        {"On a cluster": "cluster.md"},
        {"Configuration": "configuration.md"},
        {"Contributing": "contributing.md"},
        {"Changelog": "changelog.md"},
        {"Modules": modules},
    ]
    return config


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages that are made."""
    from mkdocs.structure.files import File  # the tests of this file need no MkDocs

    house = read_house()
    write_floors(BUILD / "floors.svg")
    pictures = {"floors.svg": BUILD / "floors.svg"} | {f"figures/{file.name}": file for file in FIGURES.iterdir()}
    for name, picture in pictures.items():
        files.append(File.generated(config, name, abs_src_path=str(picture)))
    texts = {"configuration.md": configuration_page(), "api/index.md": floors_page(house)}
    texts |= {page: as_page((REPOSITORY / name).read_text(encoding="utf-8")) for name, page in FROM_ROOT.items()}
    texts |= {page_of(name): module_page(house, name) for room in house.rooms for name in packages_of(house, room)}
    for name, text in texts.items():
        files.append(File.generated(config, name, content=text))
    return files


def gather_package() -> None:
    """Copy every module to its place in `PACKAGE`; griffe follows links to where a folder lies, not to where it belongs."""
    shutil.rmtree(PACKAGE, ignore_errors=True)
    for name, file in find_modules(REPOSITORY):
        place = PACKAGE.joinpath(*name.split("."))
        place = place / "__init__.py" if file.name == "__init__.py" else place.with_suffix(".py")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)


def as_page(text: str) -> str:
    """Markdown of the repository's root as a page: links to pages fitted, links to other files as their names alone.

    A line `<!-- include FILE -->` becomes the file's text, as code.
    """

    def fitted(match: re.Match[str]) -> str:
        name, target = match.groups()
        file, _, anchor = target.partition("#")
        if "://" in target or not file:
            return match[0]
        page = FROM_ROOT.get(file) or (file.removeprefix("docs/") if file.startswith("docs/") else None)
        return f"[{name}]({page}{'#' if anchor else ''}{anchor})" if page else name

    def included(match: re.Match[str]) -> str:
        return f"```python\n{(REPOSITORY / match[1]).read_text(encoding='utf-8').rstrip()}\n```"

    return INCLUDE.sub(included, LINK.sub(fitted, text))


def packages_of(house: House, room: str) -> list[str]:
    """A room, and the packages within it."""
    return [name for name, file in house.modules[room].items() if file.name == "__init__.py"]


def page_of(package: str) -> str:
    return f"api/{package.removeprefix('semantic.')}.md"


def module_page(house: House, package: str) -> str:
    """A package and the modules right in it; packages within have pages of their own."""
    modules = house.modules[house.room_of(package) or package]
    names = [name for name, file in modules.items() if file.parent == modules[package].parent and name != package]
    lines = [f"::: {package}", "    options:", "      heading_level: 1", ""]
    for name in names:
        lines += [f"::: {name}", ""]
    return "\n".join(lines)


def floors_page(house: House) -> str:
    """A list of the rooms from the bottom floor up, with what each holds."""
    return "\n".join(
        [
            "# Modules",
            "",
            "The floors from the bottom up. A room imports rooms of lower floors only; see [Architecture](../architecture.md).",
            "Names that begin with an underscore are left out.",
            "",
            "| floor | room | |",
            "|---:|---|---|",
            *_rows(house),
            "",
            "## The names at the top",
            "",
            "::: semantic",
            "    options:",
            "      show_root_heading: false",
            "      members: []",
            "",
        ]
    )


def _rows(house: House) -> Iterator[str]:
    for number, floor in enumerate(house.floors, 1):
        for room in floor:
            docstring = ast.get_docstring(ast.parse(house.modules[room][room].read_text(encoding="utf-8"))) or ""
            first = " ".join(docstring.split("\n\n")[0].split())
            yield f"| {number} | [`{room}`]({Path(page_of(room)).name}) | {first} |"
