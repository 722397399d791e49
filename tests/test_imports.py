"""DESIGN section 1: imports point one way, and nobody's `datasets` is shadowed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDERS = {
    "semantic": "semantic",
    "datasets": "semantic.datasets",
    "encoders": "semantic.encoders",
    "dst": "semantic.dst",
}
ALLOWED = {
    "datasets": {"semantic.datasets"},
    "encoders": {"semantic.encoders"},
    "dst": {"semantic.dst", "semantic.encoders"},
}
LIBRARIES_OF_DATASETS = {"numpy", "pyarrow", "PIL", "torch", "sklearn", "jaxtyping", "typing_extensions"}
# Inside semantic/ a module imports its own line and the lines above; a module not named stands on the last line.
LINES = (
    {"files", "match", "losses", "metrics", "settings", "progress", "parallel", "compilation"},
    {"config", "saving", "cache"},
    {"model", "objective", "features", "pieces"},
    {"building", "data", "floors", "vectors"},
    {"evaluation", "catalogue"},
    {"runs", "summary", "recommend", "optimiser", "epoch_log"},
    {"trainer"},
)
READERS_OF_RUNS_ONLY = ("report", "result_table", "curves", "comparison", "finished")


def modules():
    for folder, package in FOLDERS.items():
        for file in sorted((REPOSITORY / folder).rglob("*.py")):
            parts = file.relative_to(REPOSITORY / folder).with_suffix("").parts
            yield folder, ".".join([package, *(part for part in parts if part != "__init__")]), file


def imported(file):
    """Absolute names a module imports anywhere, `from a import b` as both a and a.b; relative imports are a fault."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name} line {node.lineno}: a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = {name: (folder, set(imported(file))) for folder, name, file in modules()}


def within(name, package):
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("name", MODULES)
def test_no_module_imports_a_folder_as_a_top_level_name(name):
    assert not {n for n in MODULES[name][1] if n.split(".")[0] in ("datasets", "encoders", "dst", "experiments")}


@pytest.mark.parametrize("name", [name for name, (folder, _) in MODULES.items() if folder in ALLOWED])
def test_folders_import_only_what_lies_before_them(name):
    folder, names = MODULES[name]
    ours = {n for n in names if within(n, "semantic") and n != "semantic"}

    assert not {n for n in ours if not any(within(n, package) for package in ALLOWED[folder])}


@pytest.mark.parametrize("name", [name for name, (folder, _) in MODULES.items() if folder == "datasets"])
def test_datasets_know_no_network_and_no_yaml(name):
    libraries = {n.split(".")[0] for n in MODULES[name][1]} - {"semantic"}

    assert libraries <= LIBRARIES_OF_DATASETS | set(sys.stdlib_module_names)
    assert not {n for n in MODULES[name][1] if within(n, "torch.nn")}


def test_batches_never_enter_encoders_or_state():
    for name, (folder, _) in MODULES.items():
        if folder in ("encoders", "dst"):
            path = REPOSITORY / folder / f"{name.split('.')[-1]}.py"
            source = path if path.is_file() else REPOSITORY / folder / "__init__.py"
            names = {node.id for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Name)}
            assert "Batch" not in names, name


def test_only_the_configuration_knows_yaml():
    assert {name for name, (_, names) in MODULES.items() if any(within(n, "yaml") for n in names)} == {
        "semantic.config.loading"
    }


def line(module):
    return next((i for i, names in enumerate(LINES) if module in names), len(LINES))


@pytest.mark.parametrize("name", [name for name, (folder, _) in MODULES.items() if folder == "semantic"])
def test_inside_semantic_imports_point_up(name):
    own = line(name.removeprefix("semantic."))
    for other in MODULES[name][1]:
        if other in MODULES and MODULES[other][0] == "semantic" and other != "semantic":
            assert line(other.removeprefix("semantic.")) <= own, f"{name} imports {other}"


@pytest.mark.parametrize("name", [f"semantic.{n}" for n in READERS_OF_RUNS_ONLY if f"semantic.{n}" in MODULES])
def test_the_report_reads_files_and_runs_no_model(name):
    seen, open_ = set(), {name}
    while open_:
        module = open_.pop()
        seen.add(module)
        open_ |= {n for n in MODULES[module][1] if n in MODULES and n != "semantic"} - seen

    assert not seen & {
        "semantic.models.semantic.paper",
        "semantic.training.loop",
        "semantic.evaluation.ranking",
        "semantic.models.building",
    }


def python(code, cwd):
    """Run code in a fresh interpreter, away from the checkout, as one that has only the installed package."""
    ran = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


def test_importing_everything_leaves_the_name_datasets_free(tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("whose = 'another package'\n")
    every = ", ".join(name for name in MODULES if not name.endswith("__main__"))
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
