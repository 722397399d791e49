"""Rows of the fault table: YAML files, fields, and the words of a command line."""

from tests.faults import (
    ascii_output,
    copy,
    full_output,
    link,
    make,
    mode,
    no_reader,
    ordinary_user,
    pipe,
    remove,
    row,
    write,
)  # fmt: skip

SHOW = "config tiny.yaml"
BOMB = (
    "a: &a ["
    + "x, " * 9
    + "x]\n"
    + "".join(f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
)


def yaml(name, content, says, **more):
    return row(f"YAML that is {name}", SHOW, says, write("tiny.yaml", content), **more)


def field(setting, says, **more):
    says = f"tiny.yaml: 1 fault\n  {says}" if says else says
    return row(f"--set {setting[:60]!r}", f"config tiny.yaml --set '{setting}'", says, **more)


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
        "experiment tiny.yaml: expected YAML, got: the key 'experiment' twice, again in line 2",
    ),
    yaml(
        "a key twice in a section",
        "data: {store: a, store: b}",
        "experiment tiny.yaml: expected YAML, got: the key 'store' twice, again in line 1",
    ),
    yaml(
        "a section twice",
        "data: {store: store}\nmodel: {dim: 16}\ndata: {test: valid}",
        "experiment tiny.yaml: expected YAML, got: the key 'data' twice, again in line 3",
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
        "tiny.yaml: 1 fault\n  experiment: expected a name of letters, digits and _ . + -, which begins with ..., got '\\x1b[31mred'",
    ),
    yaml(
        "an environment's variable",
        "experiment: ${HOME}",
        "tiny.yaml: 1 fault\n  experiment: expected a name of letters, digits and _ . + -, which begins with none of . + -, got '${HOME}'",
    ),
    yaml(
        "a hundred faults",
        "".join(f"field{n}: 1\n" for n in range(100)),
        "tiny.yaml: 100 faults" + "\n  field...: no such key; ..." * 100,
    ),
    row(
        "a YAML file that is a folder",
        SHOW,
        "experiment tiny.yaml: expected a YAML file, got a folder",
        remove("tiny.yaml"),
        make("tiny.yaml"),
    ),
    row(
        "a YAML file that is a pipe",
        SHOW,
        "experiment tiny.yaml: expected a YAML file, got something that is no file",
        pipe("tiny.yaml"),
    ),
    row(
        "a YAML file that is a device",
        SHOW,
        "experiment tiny.yaml: expected a YAML file, got something that is no file",
        link("tiny.yaml", "/dev/zero"),
    ),
    row(
        "a YAML file that is a broken link",
        SHOW,
        "experiment tiny.yaml: expected a YAML file, got none there",
        link("tiny.yaml", "nowhere.yaml"),
    ),
    row(
        "a YAML file that is a link to itself",
        SHOW,
        "experiment tiny.yaml: expected a YAML file, got one that cannot be read (Too many levels of symbolic links)",
        link("tiny.yaml", "tiny.yaml"),
    ),
    row(
        "a YAML file without permission",
        SHOW,
        "experiment tiny.yaml: expected a YAML file, got one that cannot be read (Permission denied)",
        mode("tiny.yaml", 0),
        inside=ordinary_user,
    ),
    row(
        "a YAML file that is not there",
        "config nothing.yaml",
        "experiment nothing.yaml: expected a YAML file, got none there",
    ),
    row(
        "an experiment that is not shipped",
        "config nothing",
        "experiment 'nothing': expected a YAML file or one of quickstart, simmc2_fashion",
    ),
    row(
        "an experiment's name with a slash",
        "config ../quickstart",
        "experiment '../quickstart': expected a YAML file or one of quickstart, simmc2_fashion",
    ),
    row(
        "an experiment's name that is empty",
        "config ''",
        "experiment '': expected a YAML file or one of quickstart, simmc2_fashion",
    ),
    row(
        "an experiment's name with an escape",
        "config $'x\\x1b[31m'",
        "experiment '$x\\\\x1b[31m': expected a YAML file or one of quickstart, simmc2_fashion",
    ),
    row(
        "a YAML file of another ending",
        "config tiny.json",
        "experiment 'tiny.json': expected a YAML file or one of quickstart, simmc2_fashion",
        copy("tiny.yaml", "tiny.json"),
    ),
    field("seed=true", "seed: expected a valid integer, got True"),
    field("seed=-1", "seed: expected greater than or equal to 0, got -1"),
    field("seed=1.5", "seed: expected a valid integer, got 1.5"),
    field("seed=1e3", "seed: expected a valid integer, got 1000.0"),
    field("seed=99999999999", "seed: expected less than or equal to 4294967295, got 99999999999"),
    field('seed="3"', "seed: expected a valid integer, got '3'"),
    field(
        "seed=" + "9" * 5000,
        "seed: expected a valid integer, got '9999999999999999999999999999999999999999999999999999999999999...",
    ),
    field("seed=0x10", "seed: expected a valid integer, got '0x10'"),
    field("seed=.nan", "seed: expected a valid integer, got nan"),
    field("training.learning_rate=.inf", "training.learning_rate: expected a finite number, got inf"),
    field("training.learning_rate=-.inf", "training.learning_rate: expected a finite number, got -inf"),
    field("training.learning_rate=.nan", "training.learning_rate: expected a finite number, got nan"),
    field("training.learning_rate=1e999", "training.learning_rate: expected a finite number, got inf"),
    field("training.learning_rate=0", "training.learning_rate: expected greater than 0, got 0"),
    field("training.learning_rate=-1", "training.learning_rate: expected greater than 0, got -1"),
    field("training.learning_rate=1e-3x", "training.learning_rate: expected a valid number, got '1e-3x'"),
    field("training.learning_rate=true", "training.learning_rate: expected a valid number, got True"),
    field("training.epochs=1.0", "training.epochs: expected a valid integer, got 1.0"),
    field("training.epochs=ten", "training.epochs: expected a valid integer, got 'ten'"),
    field("training.epochs=99999999999", "training.epochs: expected less than or equal to 1000000, got 99999999999"),
    field("training.epochs=-1", "training.epochs: expected greater than or equal to 0, got -1"),
    field("training.batch_size=0", "training.batch_size: expected greater than 0, got 0"),
    field("training.threads=0", "training.threads: expected greater than 0, got 0"),
    field("training.threads=100000", "training.threads: expected less than or equal to 1000, got 100000"),
    field("training.workers=100000", "training.workers: expected less than or equal to 1000, got 100000"),
    field("training.warmup_ratio=2", "training.warmup_ratio: expected less than or equal to 1, got 2"),
    field("training.ema_decay=1", "training.ema_decay: expected less than 1, got 1"),
    field("training.max_grad_norm=0", "training.max_grad_norm: expected greater than 0, got 0"),
    field("training.precision=fp8", "training.precision: expected 'no' or 'bf16', got 'fp8'"),
    field("training.compile=yes please", "training.compile: expected a valid boolean, got 'yes please'"),
    field("training.selection=loss", "training.selection: expected 'ndcg@5' or 'loss_or_ndcg@5', got 'loss'"),
    field("training.validate_every=0", "training.validate_every: expected greater than 0, got 0"),
    field("model.dim=1000000000", "model.dim: expected less than or equal to 65536, got 1000000000"),
    field("model.dim=0", "model.dim: expected greater than 0, got 0"),
    field("model.heads=3", "model.heads: expected a divisor of model.dim (16), got 3"),
    field("model.layers=999999", "model.layers: expected less than or equal to 1000, got 999999"),
    field("model.dropout=1.5", "model.dropout: expected less than or equal to 1, got 1.5"),
    field("model.text.vocabulary=0", "model.text.vocabulary: expected greater than 0, got 0"),
    field(
        "model.text.vocabulary=10000000000",
        "model.text.vocabulary: expected less than or equal to 1000000, got 10000000000",
    ),
    field(
        "model.name=nothing",
        "model.name: expected one of semantic, semantic_small_data, or an import path module:Class, got 'nothing'",
    ),
    field(
        "model.name=os:system",
        "model.name: expected one of semantic, semantic_small_data, or an import path module:Class of a mod...",
    ),
    field(
        "model.name=os",
        "model.name: expected one of semantic, semantic_small_data, or an import path module:Class, got 'os'",
    ),
    field(
        "model.name=no.such.module:Model",
        "model.name: expected one of semantic, semantic_small_data, or an import path module:Class, got 'no...",
    ),
    field("model.name=:", "--set model.name=:: expected YAML, got: ..."),
    field(
        "model.name=[1]",
        "model.name: expected one of semantic, semantic_small_data, or an import path module:Class, got '[1]'",
    ),
    field("model=3", "model: expected a section, a mapping of keys to values, got 3"),
    field("model=null", "model: expected a section, a mapping of keys to values, got None"),
    field("preset=best", "preset: expected 'paper' or 'released' for the model 'semantic', got 'best'"),
    field("data.store=3", "data.store: expected a valid string, got 3"),
    field("data.store=null", "data.store: expected a valid string, got None"),
    field("data.unlabelled=v2_train", "data.unlabelled: expected a valid tuple, got 'v2_train'"),
    field("data.unlabelled=[1]", "data.unlabelled.0: expected a valid string, got 1"),
    field("data.labelled_share=1.5", "data.labelled_share: expected less than or equal to 1, got 1.5"),
    field("data.labelled_share=-0.1", "data.labelled_share: expected greater than or equal to 0, got -0.1"),
    field("data.partial=some", "data.partial: expected 'none', 'stateless' or 'all', got 'some'"),
    field("data.overlap=ignore", "data.overlap: expected 'refuse' or 'drop', got 'ignore'"),
    field("data.fold.count=2", "data.fold: count: expected 0, or 3 or more (to test, to validate, to train), got 2"),
    field("data.fold.count=1", "data.fold: count: expected 0, or 3 or more (to test, to validate, to train), got 1"),
    field("data.fold={count: 3, index: 3}", "data.fold: index: expected less than count, which is 3, got 3"),
    field("data.fold.index=1", "data.fold: index: expected less than count, which is 0, got 1"),
    field("data.context_turns=0", "data.context_turns: expected greater than 0, got 0"),
    field("data.turn_tokens=0", "data.turn_tokens: expected greater than 0, got 0"),
    field("data.slot_words=[a]", "data.slot_words: expected a valid dictionary, got ['a']"),
    field("data.slot_words={colour: 3}", "data.slot_words.colour: expected a valid string, got 3"),
    field(
        "experiment=..",
        "experiment: expected a name of letters, digits and _ . + -, which begins with none of . + -, got '..'",
    ),
    field(
        "experiment=/tmp",
        "experiment: expected a name of letters, digits and _ . + -, which begins with none of . + -, got '/tmp'",
    ),
    field(
        "experiment=a/b",
        "experiment: expected a name of letters, digits and _ . + -, which begins with none of . + -, got 'a/b'",
    ),
    field("experiment=", "experiment: expected a valid string, got None"),
    field(
        "variant=-x",
        "variant: expected a name of letters, digits and _ . + -, which begins with none of . + -, got '-x'",
    ),
    field(
        "variant=.hidden",
        "variant: expected a name of letters, digits and _ . + -, which begins with none of . + -, got '.hidden'",
    ),
    field(
        "variant=" + "x" * 300,
        "variant: expected at most 100 characters, got 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...",
    ),
    field(
        "variant=a b",
        "variant: expected a name of letters, digits and _ . + -, which begins with none of . + -, got 'a b'",
    ),
    field("variant=caf\u00e9", "", code=0),
    field("variant=3", "variant: expected a valid string, got 3"),
    field("variant=true", "variant: expected a valid string, got True"),
    field("evaluation.batch_size=0", "evaluation.batch_size: expected greater than 0, got 0"),
    field("evaluation.precision=half", "evaluation.precision: expected 'no' or 'bf16', got 'half'"),
    field("nothing", "--set nothing: expected a.b=c"),
    field("=", "--set =: expected a.b=c"),
    field("=3", "--set =3: expected a.b=c"),
    field(".=3", "--set .=3: expected a.b=c"),
    field("a..b=3", "--set a..b=3: expected a.b=c"),
    field("data=", "data: expected a section, a mapping of keys to values, got None"),
    field(
        "data.store.path=x",
        "--set data.store.path=x: expected a value for a field, got none that fits 'data.store.path'",
    ),
    field(
        ".".join("a" * 500) + "=3",
        "--set a.a.a.a... (1,001 characters): expected a.b=c",
    ),
    field("data.store=[", "--set data.store=[: expected YAML, got: ..."),
    field(
        "data.store=[[[[" + "[" * 3000,
        "--set data.store=[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[...",
    ),
    field(
        "data.store=&a [*a]",
        "--set data.store=&a [*a]: expected YAML, got: *a, which contains itself in line 1, where values of...",
    ),
    field(
        "training.epochs=3 --set training.epochs=4",
        "training.epochs: expected a valid integer, got '3 --set training.epochs=4'",
    ),
    field("traning.epochs=3", "traning: no such key; did you mean 'training'?"),
    row("--set without a value", "config tiny.yaml --set", "Option '--set' requires an argument."),
    row("--set twice with the same field", "config tiny.yaml --set seed=1 --set seed=2", "", code=0),
    row("no command", "", ""),
    row("an unknown command", "trian tiny.yaml", "No such command 'trian'. Did you mean 'train'?"),
    row("an unknown option", "train tiny.yaml --epochs 3", "No such option: --epochs"),
    row(
        "an option misspelt", "train tiny.yaml --resmue", "No such option: --resmue (Possible options: --resume, --set)"
    ),
    row("an argument too many", "config tiny.yaml tiny.yaml", "Got unexpected extra argument(s) (tiny.yaml)"),
    row("no argument", "train", "Missing argument 'experiment'."),
    row("an option without its value", "report runs --out", "Option '--out' requires an argument."),
    row("a word for a number", "recommend RUN --dialogue dialogue.json --top many", "Invalid value for '--top': ..."),
    row("an escape in an option", "train tiny.yaml $'--\\x1b[31m'", "Got unexpected extra argument(s) ($--\\x1b[31m)"),
    row("a closed pipe, config", SHOW, "", code=141, inside=no_reader),
    row(
        "a full disk behind standard output, config",
        SHOW,
        "disk: expected room to write, found the disk full",
        code=1,
        inside=full_output,
    ),
    row(
        "a full disk behind standard output, help",
        "--help",
        "disk: expected room to write, found the disk full",
        code=1,
        inside=full_output,
    ),
    row("an ASCII-only terminal, help", "train --help", "", code=0, inside=ascii_output),
    row("an ASCII-only terminal, config", SHOW, "", code=0, inside=ascii_output),
    row("bench on an unknown device", "bench --quick --device tpu", "--device: expected cpu or cuda, got 'tpu'"),
    row(
        "bench on a device with a number too large",
        "bench --quick --device cuda:99",
        "--device: expected cpu or cuda, got 'cuda:99'",
    ),
    row(
        "bench on no store",
        "bench --quick --data nowhere",
        "nowhere: expected a prepared store (a folder with manifest.json), found nothing",
    ),
    row(
        "bench on a dataset",
        "bench --quick --data data",
        "data: expected a prepared store (a folder with manifest.json), found a folder without one",
    ),
    row(
        "bench of an unknown experiment",
        "bench nothing --quick",
        "experiment 'nothing': expected a YAML file or one of quickstart, simmc2_fashion",
    ),
    row(
        "bench of a faulty experiment",
        "bench tiny.yaml --quick --set model.dim=0",
        "tiny.yaml: 1 fault\n  model.dim: expected greater than 0, got 0",
    ),
    row(
        "bench into a file",
        "bench --quick --out tiny.yaml",
        "--out tiny.yaml: expected a folder to write to, found a file at tiny.yaml",
    ),
    row(
        "bench below a file",
        "bench --quick --out tiny.yaml/bench",
        "--out tiny.yaml/bench: expected a folder to write to, found a file at ...tiny.yaml",
    ),
    row(
        "bench beside own files of its names",
        "bench --quick --out own",
        "--out own: expected no bench.json or bench.md but beside a bench's page, found one",
        write("own/bench.json", "{}"),
    ),
    row(
        "bench over an own page",
        "bench --quick --out own",
        "own/bench.html: expected no file there or a page that semantic wrote, found something else; give another name",
        write("own/bench.html", "mine"),
    ),
    row(
        "bench with a negative seed",
        "bench --quick --seed -1",
        "bench: 1 fault\n  seed: expected greater than or equal to 0, got -1",
    ),
)
