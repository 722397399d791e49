"""The README's Python, run as it stands there but for its paths; and names that wait for torch until they are used."""

import contextlib
import io
import re
import subprocess
import sys

import pytest
import yaml

import semantic
from tests.worlds import tiny_values


def test_the_readmes_lines_train_and_evaluate(repository, shop_path, shop_features, tmp_path, monkeypatch):
    block = re.findall(r"```python\n(.*?)```", (repository / "README.md").read_text(encoding="utf-8"), re.DOTALL)[0]
    experiment = tmp_path / "shop.yaml"
    experiment.write_text(yaml.safe_dump(tiny_values(shop_path, shop_features)))
    assert '"quickstart"' in block
    lines = block.replace('"quickstart"', repr(str(experiment))).replace("data/quickstart/store", str(shop_path))
    monkeypatch.chdir(tmp_path)
    printed, names = io.StringIO(), {}

    with contextlib.redirect_stdout(printed):
        exec(compile(lines, "README.md", "exec"), names)

    assert len(block.splitlines()) <= 10
    assert (tmp_path / "runs" / "tiny" / "base" / "seed_1" / "summary.json").is_file()  # seed=1 is in the lines
    standard, released = map(float, printed.getvalue().split())
    protocols = names["result"].protocols
    assert (standard, released) == (protocols["standard"]["ndcg@5"], protocols["released"]["ndcg@5"])
    assert 0 <= standard <= 1
    assert repr(names["result"]) == (
        f"Evaluation({len(names['result'].table)} queries, NDCG@5 standard {100 * standard:.1f}%, released {100 * released:.1f}%)"
    )
    assert repr(names["store"]).startswith(f"Store('{shop_path}': {names['store'].num_products} products; examples of ")
    assert names["store"].num_products == len(names["store"].product_names)


def test_all_names_are_there_and_no_other():
    assert sorted(semantic.__all__) == [
        "Model",
        "Recommender",
        "evaluate",
        "evaluate_scores",
        "load_config",
        "load_store",
        "train",
    ]
    for name in semantic.__all__:
        assert callable(getattr(semantic, name))
        assert name in dir(semantic)  # what a shell completes
    with pytest.raises(AttributeError, match="module 'semantic' has no attribute 'Semantics'"):
        semantic.Semantics  # noqa: B018 (the access is the test)


def test_the_help_does_not_wait_for_torch():
    code = (
        "import sys, semantic.cli.app; sys.argv = ['semantic', '--help']; semantic.cli.app.main(); "
        "sys.exit(str({'torch', 'numpy', 'pyarrow', 'transformers', 'accelerate'} & sys.modules.keys() or 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "0"
    assert "Usage: " in done.stdout


def test_the_version_is_the_packages_wherever_it_is_written(repository):
    """setup.cfg takes it from the package, which also a wheel and an editable install do; CITATION.cff repeats it."""
    code = "from setuptools.config.setupcfg import read_configuration; print(read_configuration('setup.cfg')['metadata']['version'])"
    built = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    cited = yaml.safe_load((repository / "CITATION.cff").read_text(encoding="utf-8"))["version"]
    assert built.stdout.split() == [semantic.__version__]
    assert cited == semantic.__version__
