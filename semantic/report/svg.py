"""Figures of matplotlib as SVG inside a page, and as files. The same figure gives the same bytes."""

import io
import re
import warnings
from pathlib import Path
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.figure import Figure

from semantic.report.drawing import CARD, COLOURS, GRID, SOFT
from semantic.runtime.files import replacing

VARIABLES = {colour: f"--c{number}" for number, colour in enumerate(COLOURS)} | {
    SOFT: "--soft",
    GRID: "--line",
    CARD: "--card",
}
"""The colours of figures, by the names that style.css gives them in light and in dark."""

RESOLUTION = 200  # dots an inch of the PNG files


def inline_svg(figure: Figure, label: str, name: str) -> str:
    """The figure as an `svg` element of a page, as wide as its place, read to those who cannot see it as `label`.

    Text stays text, in the page's font. Colours are the page's variables, so that they follow its light or dark style.
    `name` stands before every id: two figures on a page need different ones.
    """
    root = ElementTree.fromstring(_svg(figure))
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {_local(key): _of_page(_local(key), value, name) for key, value in element.attrib.items()}
        if element.tag == "text":  # size, font and colour are the page's
            anchor = re.search(r"text-anchor: \w+", element.get("style", ""))
            element.set("style", anchor[0] if anchor else "")
        for child in list(element):
            if _local(child.tag) in ("metadata", "style"):  # a style in an SVG would be one of the whole page
                element.remove(child)
    kept = {"viewBox": root.attrib["viewBox"], "style": "stroke-linejoin: round; stroke-linecap: butt"}
    root.attrib = {**kept, "role": "img", "aria-label": label}
    return ElementTree.tostring(root, encoding="unicode")


def write_figure(figure: Figure, path: Path) -> tuple[Path, Path]:
    """Write the figure as `path`.svg (transparent) and `path`.png (on white); their paths."""
    files = path.with_name(path.name + ".svg"), path.with_name(path.name + ".png")
    with warnings.catch_warnings():
        # Names may be in letters that matplotlib's font lacks: boxes in the PNG; an SVG is shown in the reader's fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        _write(figure, *files)
    return files


def _write(figure: Figure, vector: Path, pixels: Path) -> None:
    with replacing(vector) as partial:
        partial.write_text(_svg(figure), encoding="utf-8")
    with replacing(pixels) as partial:
        figure.savefig(partial, format="png", dpi=RESOLUTION, facecolor="white", metadata={"Software": None})


def _svg(figure: Figure) -> str:
    # Without a salt of our own ids are drawn at random, and without fonttype "none" letters are drawn as curves.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "semantic"}), io.StringIO() as stream:
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
        return stream.getvalue()


def _local(name: str) -> str:
    """A tag or attribute without its namespace: a page has no need of it."""
    return name.rpartition("}")[2]


def _of_page(attribute: str, value: str, name: str) -> str:
    if attribute == "id":
        return f"{name}-{value}"
    if attribute == "href":
        return value.replace("#", f"#{name}-")
    value = value.replace("url(#", f"url(#{name}-")  # clip paths, and the hatches of bars
    for colour, variable in VARIABLES.items():
        value = value.replace(colour, f"var({variable})")
    return value
