"""The documentation names what there is: files, rooms, imports, fields; and the notebook runs."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

import configuration
import floors
import pages
from semantic.config.loading import make_config
from semantic.config.registry import MODELS, find_model
from semantic.config.schema import TrainingConfig
from semantic.models.losses import Hinge, SampledSoftmax

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"`([\w.-]+(?:/[\w.-]+)+\.(?:py|yaml|md|ipynb))`")
MADE = {"docs/floors.svg"}
NOTEBOOK = REPOSITORY / "examples" / "quickstart.ipynb"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_of_the_repository(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        file = (page.parent / target.partition("#")[0]).resolve()
        if "://" not in target and not target.startswith("#"):
            assert file.exists() or str(file.relative_to(REPOSITORY)) in MADE, f"{page.name}: {target}"


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_files_that_are_named_exist(name):
    named = FILE.findall((REPOSITORY / name).read_text(encoding="utf-8"))

    assert named
    assert not [file for file in named if not (REPOSITORY / file).is_file()]


def test_contributing_lists_every_room_from_the_bottom_floor_up():
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")

    assert re.findall(r"^\| `(semantic[\w.]*)` \|", text, re.MULTILINE) == floors.read_house().rooms


def test_the_picture_shows_every_room_and_no_import_points_up(tmp_path):
    house = floors.read_house()
    floors.write_floors(tmp_path / "floors.svg")
    picture = (tmp_path / "floors.svg").read_text(encoding="utf-8")

    for room in house.rooms:
        assert f">{room.removeprefix('semantic.')}</text>" in picture
        assert house.modules[room], room
    assert all(floors.points_down(house, *pair) for pair in floors.imports_between_rooms(house))
    assert floors.UPWARD not in picture


@pytest.fixture
def small_house(tmp_path):
    """A repository of three rooms on two floors, the upper of which imports one of the lower."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.semantic]\nfloors = [["semantic.low", "semantic.side"], ["semantic.high"]]\n'
    )
    (tmp_path / "setup.cfg").write_text(
        "[options]\npackage_dir =\n    semantic = semantic\n    semantic.side = elsewhere\n"
    )
    files = {
        "semantic/low/__init__.py": "",
        "semantic/low/stone.py": "import json\n",
        "elsewhere/__init__.py": "",
        "elsewhere/wall.py": "",
        "semantic/high/__init__.py": "",
        "semantic/high/roof.py": "def lay():\n    from semantic.low.stone import json\n    return json\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def drawn(repository):
    floors.write_floors(repository / "out" / "floors.svg", repository)
    return (repository / "out" / "floors.svg").read_text(encoding="utf-8")


def test_imports_are_read_room_by_room(small_house):
    house = floors.read_house(small_house)

    assert {room: sorted(modules) for room, modules in house.modules.items()} == {
        "semantic.low": ["semantic.low", "semantic.low.stone"],
        "semantic.side": ["semantic.side", "semantic.side.wall"],
        "semantic.high": ["semantic.high", "semantic.high.roof"],
    }
    assert floors.imports_between_rooms(house) == {("semantic.high", "semantic.low"): ["semantic.high.roof"]}
    assert drawn(small_house) == drawn(small_house)


@pytest.mark.parametrize(
    ("file", "imported", "red"),
    [
        ("semantic/low/stone.py", "from semantic.high import roof", True),
        ("elsewhere/wall.py", "import semantic.low.stone", True),  # a room of the same floor
        ("semantic/high/roof.py", "from semantic.side import wall", False),
    ],
)
def test_another_import_changes_the_picture(small_house, file, imported, red):
    before = drawn(small_house)
    (small_house / file).write_text(imported + "\n")
    after = drawn(small_house)

    assert floors.UPWARD not in before
    assert after != before
    assert (floors.UPWARD in after) == red


def test_a_module_in_another_room_changes_the_picture(small_house):
    before = drawn(small_house)
    (small_house / "semantic/high/roof.py").rename(small_house / "elsewhere/roof.py")

    assert floors.UPWARD in drawn(small_house)
    assert drawn(small_house) != before


def test_an_import_for_type_checking_alone_is_no_arrow(small_house):
    (small_house / "semantic/low/stone.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import semantic.high.roof\n"
    )

    assert ("semantic.low", "semantic.high") not in floors.imports_between_rooms(floors.read_house(small_house))


def leaves(values, prefix=""):
    """The keys of nested values, joined by dots."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


@pytest.mark.parametrize("kind", [Hinge().kind, SampledSoftmax().kind])
@pytest.mark.parametrize("model", MODELS)
def test_the_configuration_page_names_every_field_with_its_default(model, kind):
    fields, ranking = find_model(model).Config.model_fields, {"ranking": {"kind": kind}}
    chosen = {"loss": ranking} if "loss" in fields else ranking if "ranking" in fields else {}
    config = make_config({"model": {"name": model, **chosen}})
    page = configuration.configuration_page()
    shared, _, rest = page.partition("## The model `")
    own = next(part for part in rest.split("\n## The model `") if part.startswith(f"{model}`"))
    rows = {}
    for line in f"{shared}\n{own}".splitlines():
        if line.startswith("| `"):
            key, kind_shown, default, text = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
            assert kind_shown
            assert text, key
            rows[key.strip("`")] = default

    for key in leaves(config.model_dump()):
        assert rows[key].startswith("`"), key
    assert yaml.safe_load(rows["training.learning_rate"].strip("`")) == TrainingConfig().learning_rate
    for preset in type(config.model).presets:
        assert f"### Preset `{preset}`" in own


def test_bounds_and_choices_are_said_in_words():
    page = configuration.configuration_page()

    assert "| `data.labelled_share` | number, >= 0, <= 1 | `1.0` |" in page
    assert "| `training.threads` | integer, > 0, <= 1000 or null | `null` |" in page
    assert "| `training.selection` | `ndcg@5` or `loss_or_ndcg@5` | `ndcg@5` |" in page


def test_every_module_is_on_one_page():
    house = floors.read_house()
    packages = [(room, package) for room in house.rooms for package in pages.packages_of(house, room)]
    texts = [pages.module_page(house, package) for _, package in packages]
    named = [line.removeprefix("::: ") for text in texts for line in text.splitlines() if line.startswith(":::")]

    assert len({pages.page_of(package) for _, package in packages}) == len(packages)
    assert sorted(named) == sorted(name for modules in house.modules.values() for name in modules)


def test_shapes_stay_strings_and_placeholders_stay_text(tmp_path):
    griffe = pytest.importorskip("griffe", reason="the tools of the site are not installed: make docs")
    (tmp_path / "shaped.py").write_text(
        "def f(a: Float[Tensor, 'product *row'] | None, b: Int[Tensor, '...']) -> tuple[Bool[Tensor, 'batch'], int]:\n"
        "    'In <root>/`<x>`, 1 < 2.'\n"
    )
    habits = griffe.Extensions(importlib.import_module("reading").Habits())
    function = griffe.load("shaped", search_paths=[tmp_path], extensions=habits)["f"]

    assert [str(parameter.annotation) for parameter in function.parameters] == [
        'Float[Tensor, "product *row"] | None',
        'Int[Tensor, "..."]',
    ]
    assert str(function.returns) == 'tuple[Bool[Tensor, "batch"], int]'
    assert function.docstring.value == "In &lt;root>/`<x>`, 1 < 2."


def test_markdown_of_the_root_becomes_a_page():
    links = (
        "[a](README.md#data) [b](docs/architecture.md) [c](dst/schema.py) [d](https://example.org) ![e](figures/e.svg)"
    )
    text = f"{links}\n\n<!-- include dst/__init__.py -->\n"
    fitted, code = pages.as_page(text).split("\n\n", 1)

    assert fitted == "[a](index.md#data) [b](architecture.md) c [d](https://example.org) ![e](figures/e.svg)"
    assert code == f"```python\n{(REPOSITORY / 'dst' / '__init__.py').read_text(encoding='utf-8').rstrip()}\n```\n"


def test_contributing_includes_a_whole_model():
    assert "class TwoTower(Model):" in pages.as_page((REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8"))


def test_hooks_before_a_commit_use_the_tools_that_are_installed():
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]

    assert [source["repo"] for source in hooks] == ["local"]
    assert {hook["language"] for hook in hooks[0]["hooks"]} == {"system"}


def test_the_notebook_is_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)

    for cell in notebook.cells:
        assert cell.cell_type == "markdown" or (not cell.outputs and cell.execution_count is None)


@pytest.mark.slow
def test_the_notebook_runs(shop_path, tmp_path):
    """In a process of its own: a kernel leaves sockets and threads behind."""
    code = (
        "import sys, nbformat, nbclient\n"
        "notebook = nbformat.read(sys.argv[1], as_version=4)\n"
        "nbclient.NotebookClient(notebook, timeout=300, kernel_name='python3').execute()\n"
        "nbformat.write(notebook, sys.argv[2])\n"
    )
    out = tmp_path / "out.ipynb"
    environment = os.environ | {
        "SEMANTIC_STORE": str(shop_path),
        "SEMANTIC_RUNS": str(tmp_path / "runs"),
        "SEMANTIC_EPOCHS": "1",
        "OMP_NUM_THREADS": "1",
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }
    command = [sys.executable, "-c", code, str(NOTEBOOK), str(out)]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr

    outputs = [output for cell in nbformat.read(out, as_version=4).cells for output in cell.get("outputs", ())]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    printed = "".join(output.get("text", "") for output in outputs)
    assert len(pictures) == 4  # photos of the store, two rankings, one explanation
    assert "'ndcg@5'" in printed
    assert "40 products" in printed
    errors = [output["text"] for output in outputs if output.get("name") == "stderr"]
    assert not [text for text in errors if "TqdmWarning" not in text]  # it misses a widget that is not needed
