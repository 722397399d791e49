"""Files of a valid run, damaged at random: each gives a report, or one line that says what is wrong. Never another exception."""

import io
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from semantic.report.exporting import to_csv, to_latex, to_markdown
from semantic.report.figures import write_figures
from semantic.report.pages import report_page
from semantic.report.printing import print_table
from semantic.report.tables import table
from semantic.runs.reading import load_runs, unfinished_runs
from semantic.runtime.errors import UserError
from semantic.runtime.terminal import visible
from tests.report_files import IDENTITY, write_run, write_store

EXPLAINED = [{"title": "parts", "labels": ["hem", "fit"], "query": ["words"], "products": ["text"]}]
WEIGHTS = {"explain/parts/query/words": [0.75, 0.25], "explain/parts/top/text": [[0.5, 0.5]] * 3}
FILES = ["data.json", "summary.json", "metrics.jsonl", "config.yaml", "environment.json", "queries.parquet"]

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -1, 0, 2**31, 2**63])
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=9)
    | st.sampled_from(["\x1b[2J", "../../x", "\x00", "\ud800", "a" * 5000, "\u202e", "[bold]", "$x$", "{{1}}"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    return make_valid(tmp_path_factory.mktemp("valid"))


def make_valid(folder):
    """Two runs, which are compared, and their store."""
    for variant in ("best", "paper"):
        run = write_run(folder / "runs", variant, explained=EXPLAINED, columns=WEIGHTS)
        (run / "data.json").write_text(json.dumps({"identity": IDENTITY, "train": ["0d" * 32], "valid": []}))
    return folder / "runs", write_store(folder / "shop")


@st.composite
def damaged_bytes(draw, content):
    """Some bytes flipped, left out or put in, the end cut off, or something else altogether."""
    content = bytearray(content)
    kind = draw(st.sampled_from(["flip", "flip", "cut", "insert", "remove", "other"]))
    at = draw(st.integers(0, max(0, len(content) - 1)))
    if kind == "flip":
        for place in draw(st.lists(st.integers(0, max(0, len(content) - 1)), min_size=1, max_size=5)):
            if content:
                content[place] ^= draw(st.integers(1, 255))
    elif kind == "cut":
        del content[at:]
    elif kind == "insert":
        content[at:at] = draw(st.binary(min_size=1, max_size=9))
    elif kind == "remove":
        del content[at : at + draw(st.integers(1, 9))]
    else:
        content = draw(st.binary(max_size=40))
    return bytes(content)


@st.composite
def damaged_json(draw, value):
    """A value of it replaced, or a key left out, at any depth."""
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 9)) == 0:
        return draw(VALUES)
    value = value.copy()
    key = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
    kind = draw(st.sampled_from(["deeper", "deeper", "deeper", "remove", "add"]))
    if kind == "remove":
        del value[key]
    elif kind == "add" and isinstance(value, dict):
        value[draw(st.text(max_size=5))] = draw(VALUES)
    else:
        value[key] = draw(damaged_json(value[key]))
    return value


@st.composite
def damaged_columns(draw, table):
    """A column left out or of other values, or rows left out."""
    columns = table.to_pydict()
    name = draw(st.sampled_from(sorted(columns)))
    kind = draw(st.sampled_from(["remove", "rows", "values", "values", "values"]))
    if kind == "remove":
        del columns[name]
    elif kind == "rows":
        kept = draw(st.integers(0, table.num_rows))
        columns = {name: values[:kept] for name, values in columns.items()}
    else:
        numbers = st.none() | st.integers(-3, 9) | st.just(2**31) | st.floats()
        one = draw(
            st.sampled_from(
                [
                    st.integers(-3, 2**40),
                    st.none(),
                    st.floats(),
                    st.text(max_size=3),
                    st.booleans(),
                    st.lists(st.integers(-1, 9), max_size=3),
                    st.lists(st.floats(), max_size=3),
                    st.lists(st.none() | st.booleans(), max_size=3),
                    st.lists(st.lists(st.floats(), max_size=2), max_size=3),
                    st.binary(max_size=3),
                    numbers.map(lambda value: None if value is None else float(value)),
                ]
            )
        )
        columns[name] = draw(st.lists(one, min_size=table.num_rows, max_size=table.num_rows))
    return pa.table(columns)


@st.composite
def damage(draw, folder):
    """A function that damages a copy of a run's folder."""
    file = draw(st.sampled_from([*FILES, "summary.json"]))
    kind = draw(st.sampled_from(["bytes", "value", "value", "value", "gone", "folder"]))
    if kind == "gone":
        return lambda run: (run / file).unlink()
    if kind == "folder":
        return lambda run: ((run / file).unlink(), (run / file).mkdir())
    if kind == "value" and file == "queries.parquet":
        columns = draw(damaged_columns(pq.read_table(folder / file)))
        return lambda run: pq.write_table(columns, run / file)
    if kind == "value" and file.endswith(".json"):
        text = json.dumps(draw(damaged_json(json.loads((folder / file).read_text()))))
        return lambda run: (run / file).write_text(text)
    if kind == "value" and file == "metrics.jsonl":
        lines = [json.loads(line) for line in (folder / file).read_text().splitlines()]
        lines = draw(damaged_json(lines))
        text = "".join(json.dumps(line) + "\n" for line in (lines if isinstance(lines, list) else [lines]))
        return lambda run: (run / file).write_text(text)
    if kind == "value":
        yaml = json.dumps({"data": draw(VALUES), "model": draw(VALUES)})  # JSON is YAML, or damaged YAML
        return lambda run: (run / file).write_text(yaml)
    content = draw(damaged_bytes((folder / file).read_bytes()))
    return lambda run: (run / file).write_bytes(content)


def report(runs, store, out, page=True):
    """All that a report does, without a terminal; the page and the figures take most of the time."""
    result = table(load_runs([runs]), unfinished_runs([runs]))
    for encoding in ("ascii", "utf-8"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        print_table(result, Console(file=stream, width=80))
        stream.flush()
    for text in (to_markdown(result), to_latex(result), to_csv(result)):
        text.encode("utf-8")
    if page:
        report_page(result, store, 3).encode("utf-8")
        write_figures(result.groups, out)


@pytest.mark.slow
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_run_gives_a_report_or_one_line(valid, tmp_path_factory, data):
    trial(data, valid, tmp_path_factory.mktemp("damaged"))


def trial(data, valid, folder):
    """Whether a report is made of a damaged copy in `folder`; where it is not, one line says why."""
    runs, store = valid
    change = data.draw(damage(runs / "demo" / "best" / "seed_0"))
    try:
        shutil.copytree(runs, folder / "runs")
        change(folder / "runs" / "demo" / "best" / "seed_0")
        report(folder / "runs", store, folder / "figures", page=data.draw(st.integers(0, 3)) == 0)
    except UserError as error:
        said = str(error)
        assert "expected" in said
        assert said == visible(said)  # one line, and no escape sequence in it
        return False
    finally:
        shutil.rmtree(folder)
    return True


def test_the_valid_run_gives_a_report(valid, tmp_path):
    report(*valid, tmp_path)
