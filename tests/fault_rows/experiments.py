"""Rows of the fault table: files of experiments."""

from tests.fault_rows.of_configurations import BOMB, yaml

ROWS = (
    yaml(
        "binary",
        bytes(range(256)),
        "experiment tiny.yaml: expected a YAML file, got byte 0x80 at 128, which is no UTF-8",
    ),
    yaml(
        "an image",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "experiment tiny.yaml: expected a YAML file, got byte 0x89 at 0, which is no UTF-8",
    ),
    yaml(
        "Latin-1",
        "experiment: caf\u00e9".encode("latin-1"),
        "experiment tiny.yaml: expected a YAML file, got byte 0xe9 at 15, which is no UTF-8",
    ),
    yaml(
        "UTF-16",
        "experiment: tiny".encode("utf-16"),
        "experiment tiny.yaml: expected a YAML file, got byte 0xff at 0, which is no UTF-8",
    ),
    yaml("a null byte", "experiment: a\0b", "experiment tiny.yaml: expected YAML, got: ..."),
    yaml(
        "recursive",
        "a: &a [*a]",
        "experiment tiny.yaml: expected YAML, got: *a, which contains itself in line 1, where values of a finite size should be",
    ),
    yaml(
        "recursive in a section",
        "data: &d {store: *d}",
        "experiment tiny.yaml: expected YAML, got: *d, which contains itself in line 1, where values of a finite size should be",
    ),
    yaml(
        "a bomb of aliases",
        BOMB,
        "experiment tiny.yaml: expected YAML, got: more in line 4, where at most 10,000 values should be",
    ),
    yaml(
        "a merge bomb",
        "a: &a {x: 1}\n"
        + "".join(
            f"{b}: &{b} {{<<: [{', '.join(['*' + a] * 50)}]}}\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "experiment tiny.yaml: expected YAML, got: more in line 3, where at most 10,000 values should be",
    ),
    yaml(
        "thousands of brackets deep",
        "a: " + "[" * 5000,
        "experiment tiny.yaml: expected YAML, got: more in line 1, where at most 24 levels should be",
    ),
    yaml(
        "thousands of mappings deep",
        "a: " + "{a: " * 5000,
        "experiment tiny.yaml: expected YAML, got: more in line 1, where at most 24 levels should be",
    ),
    yaml(
        "hundreds of blocks deep",
        "".join(" " * n + "a:\n" for n in range(300)),
        "experiment tiny.yaml: expected YAML, got: more in line 25, where at most 24 levels should be",
    ),
    yaml(
        "too large",
        "# " + "x" * 30_000_000,
        "experiment tiny.yaml: expected a YAML file, got one of more than 262,144 bytes",
    ),
    yaml("a list", "- a\n- b", "experiment tiny.yaml: expected a mapping of sections, got list"),
    yaml("a word", "tiny", "experiment tiny.yaml: expected a mapping of sections, got str"),
    yaml("a number", "3", "experiment tiny.yaml: expected a mapping of sections, got int"),
    yaml(
        "two documents",
        "experiment: a\n---\nexperiment: b",
        "experiment tiny.yaml: expected YAML, got: a second one in line 2, where one document should be",
    ),
    yaml(
        "a key twice",
        "experiment: a\nexperiment: b",
        "tiny.yaml: 1 fault\n  the key 'experiment' twice, again in line 2",
    ),
    yaml(
        "a key twice in a section",
        "data: {store: a, store: b}",
        "tiny.yaml: 1 fault\n  the key 'store' twice, again in line 1",
    ),
    yaml(
        "a section twice",
        "data: {store: store}\nmodel: {dim: 16}\ndata: {test: valid}",
        "tiny.yaml: 1 fault\n  the key 'data' twice, again in line 3",
    ),
    yaml("indented by tabs", "data:\n\tstore: store", "experiment tiny.yaml: expected YAML, got: ..."),
    yaml("not closed", "data: {store: store", "experiment tiny.yaml: expected YAML, got: ..."),
    yaml(
        "a Python object",
        "data: !!python/object/apply:os.system ['touch owned']",
        "experiment tiny.yaml: expected YAML, got: the tag tag:yaml.org,2002:python/object/apply:os.system in...",
    ),
    yaml(
        "of an unknown tag",
        "data: !mine {store: store}",
        "experiment tiny.yaml: expected YAML, got: the tag !mine in line 1, where plain values should be",
    ),
    yaml(
        "keys that are no words",
        "1: 2\nnull: 3\ntrue: 4\n? [a]\n: 5",
        "experiment tiny.yaml: expected YAML, got: something else in line 4, where a word as key should be",
    ),
    yaml("a date where a word belongs", "variant: 2024-01-01", "", code=0),
    yaml(
        "a misspelt section",
        "trainning: {epochs: 3}",
        "tiny.yaml: 1 fault\n  trainning: no such key; did you mean 'training'?",
    ),
    yaml(
        "a misspelt field",
        "training: {epoch: 3}",
        "tiny.yaml: 1 fault\n  training.epoch: no such key; did you mean 'epochs'?",
    ),
    yaml(
        "a section that is a list",
        "training: [epochs]",
        "tiny.yaml: 1 fault\n  training: expected a section, a mapping of keys to values, got ['epochs']",
    ),
    yaml(
        "a section that is null",
        "training:",
        "tiny.yaml: 1 fault\n  training: expected a section, a mapping of keys to values, got None",
    ),
    yaml(
        "escape sequences",
        'experiment: "\\x1b[31mred"',
        "tiny.yaml: 1 fault\n  experiment: expected a name of letters, digits and _ . + - , =, which begins with ..., got '\\x1b[31mred'",
    ),
    yaml(
        "an environment's variable",
        "experiment: ${HOME}",
        "tiny.yaml: 1 fault\n  experiment: expected a name of letters, digits and _ . + - , =, which begins with a letter, a digit or _, "
        "got '${HOME}'",
    ),
    yaml(
        "a hundred faults",
        "".join(f"field{n}: 1\n" for n in range(100)),
        "tiny.yaml: 100 faults" + "\n  field...: no such key; ..." * 100,
    ),
)
