"""YAML that is read: plain values of a bounded size; anything else is one fault in one line."""

import resource
import time
import tracemalloc

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semantic.config.errors import ConfigError
from semantic.config.loading import load_config, make_config, read_config, read_slots
from semantic.config.values import MOST_BYTES, MOST_DEPTH, MOST_NODES, dump_yaml, read_yaml, read_yaml_file
from tests.configurations import faults_of, written

BOMB = "\n".join(
    [
        "a0: &a0 [x, x, x, x, x, x, x, x, x]",
        *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20)),
    ]
)
CHAIN = "\n".join(["a0: &a0 x", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 40))])


def refused(text: str) -> str:
    """What is said of a text that is no YAML of ours: one line."""
    with pytest.raises(ConfigError) as raised:
        read_yaml(text, "file.yaml")
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing", None),
        ("a: 1", {"a": 1}),
        ("a: {b: [1, 2.5, true, no, null, ~, word, '3', \"4\"]}", {"a": {"b": [1, 2.5, True, False, None, None, "word", "3", "4"]}}),
        ("a: |\n  1\nb: >\n  2", {"a": "1\n", "b": "2"}),
        ("[1e-3, 5E4, .5, +2., -7, 0]", [0.001, 50000.0, 0.5, 2.0, -7, 0]),
        ("[010, 1_000, 0x1f, 1:30, 2024-01-01]", ["010", "1_000", "0x1f", "1:30", "2024-01-01"]),
        ("no: 1\n3: 2\n~: 3", {"no": 1, "3": 2, "~": 3}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: " + "9" * 5000, {"a": "9" * 5000}),
    ],
)  # fmt: skip
def test_plain_values_are_read(text, value):
    assert read_yaml(text, "file.yaml") == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: 1\nseed: 2", "the key 'seed' twice, again in line 2"),
        ("a: {b: 1, b: 2}\na: 1", "the key 'b' twice, again in line 1; the key 'a' twice, again in line 2"),
        ("no: 1\n'no': 2", "the key 'no' twice, again in line 2"),
        ("a: !!python/object:os.system x", "the tag tag:yaml.org,2002:python/object:os.system in line 1, where plain"),
        ("a: !!binary aGk=", "the tag tag:yaml.org,2002:binary in line 1, where plain values should be"),
        ("a: !mine 3", "the tag !mine in line 1, where plain values should be"),
        ("a: &a [*a]", "*a, which contains itself in line 1, where values of a finite size should be"),
        ("a: *b", "*b in line 1, where an alias of something above should be"),
        ("? [a]\n: 1", "something else in line 1, where a word as key should be"),
        ("a: 1\n---\nb: 2", "a second one in line 2, where one document should be"),
        (BOMB, f"more in line 5, where at most {MOST_NODES:,} values should be"),
        (CHAIN, f"more in line {MOST_DEPTH + 1}, where at most {MOST_DEPTH} levels should be"),
        ("[" * 100_000, f"more in line 1, where at most {MOST_DEPTH} levels should be"),
        ("- " * 100_000, f"more in line 1, where at most {MOST_DEPTH} levels should be"),
        ("[" + "1," * 50_000 + "]", f"more in line 1, where at most {MOST_NODES:,} values should be"),
        ('a: "\\0"', "a character that no text has (NUL, or half a surrogate pair) in line 1, where text should be"),
        ('a: "\\ud800"', "a character that no text has (NUL, or half a surrogate pair) in line 1, where text"),
        ("a: [", "while parsing a flow node"),
        ("a: \x1b[31m", "unacceptable character #x001b"),
    ],
)
def test_anything_else_is_one_fault(text, said):
    started = time.perf_counter()

    assert refused(text).startswith(f"file.yaml: expected YAML, got: {said}")
    assert time.perf_counter() - started < 5


def test_a_text_that_is_too_long_is_not_read():
    assert refused("#" * (MOST_BYTES + 1)) == "file.yaml: expected YAML of at most 262,144 characters, got 262,145"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x93NUMPY\x01\x00\x76", "byte 0x93 at 0, which is no UTF-8"),
        ("data: {store: où}".encode("latin-1"), "byte 0xf9 at 15, which is no UTF-8"),
        ("a: 1".encode("utf-16"), "byte 0xff at 0, which is no UTF-8"),
        (b"#" * (MOST_BYTES + 1), "one of more than 262,144 bytes"),
    ],
)
def test_a_file_that_is_no_text_is_one_fault_whoever_reads_it(tmp_path, content, said):
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)

    for read in (
        lambda: load_config(str(file)),
        lambda: read_config(file),
        lambda: read_slots(file),
        lambda: read_yaml_file(file, str(file)),
    ):
        with pytest.raises(ConfigError, match=r"mine.yaml: expected a YAML file, got ") as raised:
            read()
        assert str(raised.value).endswith(said)


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "mine.yaml").mkdir()

    with pytest.raises(ConfigError, match=r"mine.yaml: expected a YAML file, got a folder"):
        load_config(str(tmp_path / "mine.yaml"))


def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    written(tmp_path, "seed: 1")
    monkeypatch.setattr("pathlib.Path.open", denied)
    with pytest.raises(ConfigError, match=r"got one that cannot be read \(Permission denied\)"):
        load_config(str(tmp_path / "mine.yaml"))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**39), 10**39) | st.floats(allow_nan=False) | st.text(max_size=8)
        | st.sampled_from(["1e-3", "010", "no", "~", "1:30", "0x1f", "2024-01-01", "<<", "=", ".inf", "1_0", "-", "5."]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )
)  # fmt: skip
@settings(deadline=None, max_examples=200)
def test_what_is_written_reads_back_the_same(value):
    texts = [value] if isinstance(value, str) else []
    if any("\0" in text for text in texts) or "\\0" in dump_yaml(value):
        return
    assert read_yaml(dump_yaml(value), "file.yaml") == value
    assert read_yaml(dump_yaml(value, default_flow_style=True), "file.yaml") == value


# Values of the wrong kind.


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("seed=true", "seed: expected a valid integer, got True"),
        ("seed='3'", "seed: expected a valid integer, got '3'"),
        ("seed=010", "seed: expected a valid integer, got '010'"),
        ("seed=3.0", "seed: expected a valid integer, got 3.0"),
        ("seed=-1", "seed: expected greater than or equal to 0, got -1"),
        ("seed=4294967296", "seed: expected less than or equal to 4294967295, got 4294967296"),
        ("data.subset_seed=true", "data.subset_seed: expected a valid integer, got True"),
        ("training.epochs=1000000000000", "training.epochs: expected less than or equal to 1000000, got 1000000000000"),
        ("training.learning_rate=.inf", "training.learning_rate: expected a finite number, got inf"),
        ("training.learning_rate=.nan", "training.learning_rate: expected a finite number, got nan"),
        ("training.learning_rate=1e999", "training.learning_rate: expected a finite number, got inf"),
        ("training.learning_rate='1'", "training.learning_rate: expected a valid number, got '1'"),
        ("training.learning_rate=yes", "training.learning_rate: expected a valid number, got True"),
        ("training.learning_rate=1e30", "training.learning_rate: expected less than or equal to 1000000, got 1e+30"),
        ("training.compile=1", "training.compile: expected a valid boolean, got 1"),
        ("training.compile='yes'", "training.compile: expected a valid boolean, got 'yes'"),
        ("training.threads=true", "training.threads: expected a valid integer, got True"),
        ("model.dim=1000000000", "model.dim: expected less than or equal to 65536, got 1000000000"),
        ("model.layers=1001", "model.layers: expected less than or equal to 1000, got 1001"),
        ("model.loss.ranking.margin=.inf", "model.loss.ranking.margin: expected a finite number, got inf"),
        ("model.loss.alpha=true", "model.loss.alpha: expected a valid number, got True"),
        ("data.unlabelled=[a, 3]", "data.unlabelled.1: expected a valid string, got 3"),
    ],
)
def test_a_value_of_another_kind_or_size_is_a_fault(override, fault):
    assert faults_of({}, [override]) == [fault]


@pytest.mark.parametrize("name", ["..", ".", ".hidden", "-rf", "+x", "", "a/b", "a\nb"])
@pytest.mark.parametrize("key", ["experiment", "variant"])
def test_a_name_that_is_no_folder_of_its_own_is_a_fault(key, name):
    (fault,) = faults_of({key: name})
    assert fault == (
        f"{key}: expected a name of letters, digits and _ . + - , =, which begins with a letter, a digit or _, got {name!r}"
    )


@pytest.mark.parametrize("name", ["a", "_1", "lr5e-4.seed+3", "été"])
def test_a_name_may_hold_signs_after_its_first_letter(name):
    assert make_config({"experiment": name, "variant": name}).variant == name


def test_a_name_has_a_length_that_a_folder_can_have():
    (fault,) = faults_of({"variant": "x" * 101})
    assert fault.startswith("variant: expected at most 100 characters, got 'xxx")


@pytest.mark.parametrize("override", ["a..b=1", "=1", ".=1", "seed", ".".join(["a"] * 5000) + "=1"])
def test_an_override_of_nothing_is_a_fault(override):
    (fault,) = faults_of({}, [override])
    assert fault.endswith(": expected a.b=c")
    assert len(fault) < 300


@pytest.mark.parametrize("value", [BOMB, "[" * 5000, "&a [*a]", "{a: 1, a: 2}", "!!binary aGk=", "\x1b"])
def test_an_override_reads_the_same_yaml(value):
    (fault,) = faults_of({}, [f"model.text={value}"])
    assert fault.startswith("--set model.text=")
    assert ": expected YAML, got: " in fault
    assert "\n" not in fault.split(": expected", 1)[1]


def test_a_value_of_any_length_is_named_by_its_beginning():
    (fault,) = faults_of({"preset": None, "seed": "9" * 5000})
    assert len(fault) < 300


# Mutations of an experiment.

EXPERIMENT = dump_yaml(
    make_config(
        {"experiment": "mine", "data": {"store": "store", "unlabelled": ["a"], "slot_words": {"hue": "colour"}}}
    ).model_dump(mode="json"),
    sort_keys=False,
)
TREE = yaml.safe_load(EXPERIMENT)


def places(values, path=()):
    for key, value in values.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))


strange = st.sampled_from(
    [None, True, False, -1, 0, 2**31, 2**63, 2**64, 10**39, 0.5, -0.0, 1e308, float("inf"), float("nan"), "", " ", "0",
     "nan", "..", "../..", "\x1b[2J", "\u202e", "a" * 3000, "no", [], {}, [[[]]], {"": {"": ""}}, {"kind": "hinge"}, ["a"] * 50]
)  # fmt: skip


def outcome(path: str) -> tuple[bool, str]:
    try:
        return True, load_config(path).experiment
    except ConfigError as error:
        return False, str(error)


def one_clear_outcome(path: str) -> bool:
    """Whether a Config is read, and not a ConfigError with lines raised; soon and in little memory."""
    started = time.perf_counter()
    tracemalloc.start()
    read, said = outcome(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    first, *lines = said.split("\n")
    assert first
    assert all(line.startswith("  ") for line in lines)
    assert len(said) < 60_000
    assert peak < 64 << 20
    assert time.perf_counter() - started < 20
    return read


many = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def wrong_bytes(draw):
    content = bytearray(EXPERIMENT.encode())
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        cut = draw(st.sampled_from([0, 0, 1, 1, 7, 10_000]))
        put = draw(st.binary(max_size=4) | st.sampled_from([b"[", b"{", b"&a ", b"*a", b"!!set ", b"- ", b"? ", b"<<: ", b"\n---\n", b'"\\ud800"', b"%"]))  # fmt: skip # noqa: E501
        content[start : start + cut] = put
    return bytes(content)


@st.composite
def wrong_values(draw):
    tree = yaml.safe_load(EXPERIMENT)
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(list(places(tree))))
        section = tree
        for key in parents:
            section = section[key]
        match draw(st.sampled_from(["value", "value", "rename", "drop", "move"])):
            case "value":
                section[last] = draw(strange)
            case "rename":
                section[f"{last}{draw(st.sampled_from(['s', ' ', '.', '', 'x' * 300]))}"] = section.pop(last)
            case "drop":
                del section[last]
            case "move":
                tree[last] = section.get(last)
    return yaml.safe_dump(tree).encode()


@pytest.mark.parametrize("wrong", [wrong_bytes(), wrong_values()], ids=["bytes", "keys and values"])
@many
@given(data=st.data())
def test_anything_may_be_wrong(tmp_path, wrong, data):
    (tmp_path / "mine.yaml").write_bytes(data.draw(wrong))
    one_clear_outcome(str(tmp_path / "mine.yaml"))


def test_a_bomb_takes_no_memory(tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    one_clear_outcome(written(tmp_path, BOMB))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB
