"""The rooms of the package in their floors, and the imports between them, as a picture: `python docs/floors.py OUT.svg`.

The order of the floors is `[tool.semantic] floors` in pyproject.toml, the folders of the packages are `package_dir` in
setup.cfg, and the imports are read from the source files, none of which is run.
"""

import ast
import configparser
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parent.parent
COLOURS = ("#1f77b4", "#9467bd", "#17827f", "#8c564b", "#4c6a2f", "#b8860b", "#5b5b9a", "#7f4f7f")
UPWARD = "#d62728"
WIDTH, HEIGHT, GAP, MARGIN = 2.7, 0.52, 0.16, 0.22  # of a box, between boxes, of a floor around its boxes; inches


@dataclass(frozen=True)
class House:
    """The floors with the names of their rooms, bottom first, and the modules of each room."""

    floors: list[list[str]]
    modules: dict[str, dict[str, Path]]  # room -> name of a module -> its file

    @property
    def rooms(self) -> list[str]:
        return [room for floor in self.floors for room in floor]

    def floor_of(self, room: str) -> int:
        return next(number for number, floor in enumerate(self.floors) if room in floor)

    def room_of(self, name: str) -> str | None:
        """The room that a module, or a name in it, belongs to; None: none."""
        within = [room for room in self.rooms if name == room or name.startswith(f"{room}.")]
        return max(within, key=len, default=None)


def read_house(repository: Path = REPOSITORY) -> House:
    """The house as pyproject.toml, setup.cfg and the folders say it is."""
    settings = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    house = House(settings["tool"]["semantic"]["floors"], {})
    house.modules.update({room: {} for room in house.rooms})
    for name, file in find_modules(repository):
        room = house.room_of(name)
        if room is not None:
            house.modules[room][name] = file
    return house


def find_modules(repository: Path) -> Iterator[tuple[str, Path]]:
    """The name and the file of every module of the packages that setup.cfg maps to folders."""
    parser = configparser.ConfigParser()
    parser.read(repository / "setup.cfg", encoding="utf-8")
    for line in parser["options"]["package_dir"].strip().splitlines():
        package, folder = (part.strip() for part in line.split("="))
        for file in sorted((repository / folder).rglob("*.py")):
            parts = file.relative_to(repository / folder).with_suffix("").parts
            yield ".".join([package, *(part for part in parts if part != "__init__")]), file


def imported_names(file: Path) -> set[str]:
    """The names that a module imports anywhere in it, when it is run: not under `if TYPE_CHECKING`."""
    names: set[str] = set()
    for node in _executed(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from _executed(node)


def imports_between_rooms(house: House) -> dict[tuple[str, str], list[str]]:
    """(importing room, imported room) -> the modules of the first that import from the second."""
    found: dict[tuple[str, str], list[str]] = {}
    for room, modules in house.modules.items():
        for name, file in modules.items():
            others = {house.room_of(imported) for imported in imported_names(file)} - {None, room}
            for other in others:
                found.setdefault((room, str(other)), []).append(name)
    return {pair: sorted(found[pair]) for pair in sorted(found)}


def points_down(house: House, importer: str, imported: str) -> bool:
    """Whether an import goes to a lower floor, as all must."""
    return house.floor_of(imported) < house.floor_of(importer)


def draw_floors(house: House) -> Figure:
    """The picture: boxes with the number of a room's modules; arrows on the right point down, on the left (red) they do not."""
    places = _places(house)
    imports = imports_between_rooms(house)
    top = max(places.values()) + HEIGHT + MARGIN
    reach = 0.3 * top
    left = reach if any(not points_down(house, *pair) for pair in imports) else 0.5
    figure = Figure(figsize=(left + WIDTH + reach, top))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-left, WIDTH + reach)
    axes.set_ylim(-MARGIN, top)
    axes.set_axis_off()
    for number, floor in enumerate(house.floors):
        low = min(places[room] for room in floor) - GAP / 2
        band = len(floor) * (HEIGHT + GAP)
        shade = "#f2f2f5" if number % 2 else "#e6e8ee"
        axes.add_patch(Rectangle((-0.42, low), WIDTH + 0.84, band, color=shade, linewidth=0, zorder=0))
        axes.text(-0.22, low + band / 2, str(number + 1), ha="center", va="center", fontsize=9, color="#777777")
    for room, y in places.items():
        box = FancyBboxPatch(
            (0, y), WIDTH, HEIGHT, "round,pad=0,rounding_size=0.08", fc="white", ec=_colour(house, room)
        )
        axes.add_patch(box)
        name, count = room.removeprefix("semantic."), len(house.modules[room])
        axes.text(WIDTH / 2, y + HEIGHT * 0.62, name, ha="center", va="center", fontsize=11, color="#222222")
        said = f"{count} module{'s' * (count != 1)}"
        axes.text(WIDTH / 2, y + HEIGHT * 0.24, said, ha="center", va="center", fontsize=7, color="#777777")
    for importer, imported in imports:
        _arrow(axes, house, places, imports, importer, imported)
    return figure


def _places(house: House) -> dict[str, float]:
    """The lower edge of each room's box; rooms of one floor stand above one another, so that no arrow crosses a box."""
    places, y = {}, 0.0
    for floor in house.floors:
        for room in reversed(floor):
            places[room] = y
            y += HEIGHT + GAP
    return places


def _colour(house: House, room: str) -> str:
    return COLOURS[house.rooms.index(room) % len(COLOURS)]


def _arrow(
    axes: Axes,
    house: House,
    places: Mapping[str, float],
    imports: Mapping[tuple[str, str], list[str]],
    importer: str,
    imported: str,
) -> None:
    """An arc from the lower half of the importing room to the upper half of the imported one, in the latter's colour."""
    down, count = points_down(house, importer, imported), len(imports[importer, imported])
    side = WIDTH if down else 0.0
    out = sorted((pair for pair in imports if pair[0] == importer), key=lambda pair: -places[pair[1]])
    into = sorted((pair for pair in imports if pair[1] == imported), key=lambda pair: places[pair[0]])
    start = places[importer] + HEIGHT * (0.50 - 0.42 * (out.index((importer, imported)) + 1) / (len(out) + 1))
    stop = places[imported] + HEIGHT * (0.98 - 0.42 * (into.index((importer, imported)) + 1) / (len(into) + 1))
    bend = -0.55 if (start > stop) == down else 0.55
    axes.add_patch(
        FancyArrowPatch(
            (side, start), (side, stop), connectionstyle=f"arc3,rad={bend}", arrowstyle="-|>", mutation_scale=7,
            linewidth=0.6 + 0.25 * min(count, 8), color=_colour(house, imported) if down else UPWARD, alpha=0.75,
            shrinkA=0, shrinkB=0,
        )
    )  # fmt: skip


def write_floors(out: Path, repository: Path = REPOSITORY) -> None:
    """Write the picture; the same files give the same bytes."""
    house = read_house(repository)
    out.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.hashsalt": "floors", "svg.fonttype": "none", "font.family": "sans-serif"}):
        draw_floors(house).savefig(out, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/floors.py OUT.svg")
    write_floors(Path(sys.argv[1]))
