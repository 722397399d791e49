"""The house: imports point one way, floor by floor, and nobody's `datasets` is shadowed."""

import re
import subprocess
import sys
from collections import Counter

import pytest

from floors import REPOSITORY, find_modules, imported_names, read_house

HOUSE = read_house()
FLOOR = {room: HOUSE.floor_of(room) for room in HOUSE.rooms}
OUTSIDE = {"semantic", "semantic.__main__", "semantic.datasets", "semantic.experiments"}
"""Modules that are in no room: the package itself, what starts it, and two docstrings."""
FOLDERS = {"datasets", "encoders", "dst", "experiments"}
FILES_A_ROOM = 12

FILES = dict(find_modules(REPOSITORY))
IMPORTS = {
    name: {part for found in imported_names(file) for part in (found, found.rpartition(".")[0]) if part}
    for name, file in FILES.items()
}
"""Names a module imports when it is run, `from a import b` as both a and a.b."""


def within(name, package):
    return name == package or name.startswith(package + ".")


room = HOUSE.room_of


def faults(name, others):
    """What a module may not import of these."""
    own = room(name)
    for other in others:
        there = room(other)
        if other in FILES and there is not None and there != own and FLOOR[there] >= FLOOR[own]:
            yield f"{name} ({own}, floor {FLOOR[own]}) imports {other} ({there}, floor {FLOOR[there]})"


@pytest.mark.parametrize("name", FILES)
def test_a_room_imports_only_what_lies_below_it(name):
    assert (room(name) is None) == (name in OUTSIDE)
    if room(name) is not None:
        assert not list(faults(name, IMPORTS[name]))


def test_the_contract_sees_a_fault():
    assert list(faults("semantic.batching.steps", {"semantic.models.interface"}))
    assert list(faults("semantic.training.loop", {"semantic.serving.recommend"}))  # the same floor
    assert not list(faults("semantic.training.loop", {"semantic.models.interface", "semantic.training.ema"}))


def test_no_modules_import_each_other_in_a_circle():
    """Take away, again and again, the modules that import none of those left: a circle is what stays."""
    left = {name: {other for other in IMPORTS[name] if other in FILES and other != name} for name in FILES}
    while done := {name for name, others in left.items() if not others}:
        left = {name: others - done for name, others in left.items() if name not in done}

    assert not left


@pytest.mark.parametrize("name", [name for name in FILES if not within(name, "semantic.models.semantic")])
def test_only_the_command_that_imports_checkpoints_names_a_model(name):
    named = {other for other in IMPORTS[name] if within(other, "semantic.models.semantic")}

    assert named <= {"semantic.models.semantic.released", "semantic.models.semantic.released.import_released"}
    assert not named or name == "semantic.cli.experiments"


@pytest.mark.parametrize("name", [name for name in FILES if within(name, "semantic.batching")])
def test_choosing_examples_imports_no_model(name):
    seen, open_ = set(), {name}
    while open_:
        module = open_.pop()
        seen.add(module)
        open_ |= {other for other in IMPORTS[module] if other in FILES and other != "semantic"} - seen

    assert not {other for other in seen if within(other, "semantic.models")}


@pytest.mark.parametrize("name", [name for name in FILES if within(name, "semantic.report")])
def test_the_report_reads_files_and_loads_no_torch(name):
    assert "torch" not in {other.split(".")[0] for other in IMPORTS[name]}


@pytest.mark.parametrize("name", [n for n in FILES if within(n, "semantic.encoders") or within(n, "semantic.dst")])
def test_batches_never_enter_encoders_or_states(name):
    assert not {other for other in IMPORTS[name] if within(other, "semantic.datasets")}


DATASETS_KNOW = {"numpy", "pyarrow", "PIL", "torch", "sklearn", "jaxtyping", "semantic", *sys.stdlib_module_names}


@pytest.mark.parametrize("name", [name for name in FILES if within(name, "semantic.datasets")])
def test_datasets_know_no_network_and_no_yaml(name):
    tops = {other.split(".")[0] for other in IMPORTS[name]}

    assert tops <= DATASETS_KNOW
    assert "torch.nn" not in IMPORTS[name]


def test_no_room_is_too_full():
    held = Counter(file.parent for name, file in FILES.items() if file.name != "__init__.py")

    assert {str(folder): count for folder, count in held.items() if count > FILES_A_ROOM} == {}


@pytest.mark.parametrize("name", FILES)
def test_no_module_imports_a_folder_as_a_top_level_name_or_a_relative_one(name):
    assert not {other for other in IMPORTS[name] if other.split(".")[0] in FOLDERS}
    assert not re.search(r"^ *from \.", FILES[name].read_text(encoding="utf-8"), re.MULTILINE)


def python(code, cwd):
    """Run code in a fresh interpreter, away from the checkout, as one that has only the installed package."""
    ran = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


@pytest.mark.slow
def test_importing_everything_leaves_the_name_datasets_free(tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("whose = 'another package'\n")
    every = ", ".join(name for name in FILES if not name.endswith("__main__"))
    code = (
        f"import sys\nimport {every}\n"
        "print(*sorted({'datasets', 'encoders', 'dst', 'experiments'} & set(sys.modules)))\n"
        "import datasets\nimport semantic.datasets.reading.records\n"
        "assert datasets.whose == 'another package'\nassert datasets is not semantic.datasets"
    )

    assert python(code, tmp_path) == []


def test_importing_the_package_loads_no_torch_and_writes_nothing(tmp_path):
    heavy = "{'torch', 'transformers', 'torchvision', 'timm', 'pyarrow'}"
    code = f"import sys, semantic\nprint(*sorted({heavy} & set(sys.modules)))"

    assert python(code, tmp_path) == []
    assert list(tmp_path.iterdir()) == []
