"""Rows of the fault table: analyse, compare, judge, and the report of a form's answers."""

import json

from tests.fault_rows.of_runs import REPORT, RUN
from tests.faults import (
    append,
    change,
    copy,
    done,
    flip,
    full_disk,
    make,
    move,
    no_reader,
    remove,
    replace,
    row,
    write,
)

COMPARISON = ("comparison", "comparison/*")
ANSWERS = "judged/answers/answers-Ann.json"


def answers(**changes):
    return change(ANSWERS, lambda values: values | changes)


ROWS = (
    row(
        "analyse nothing",
        "analyse nowhere",
        "nowhere: expected a run's folder with its summary.json, or a parent of such folders, found no folder",
    ),
    row(
        "analyse a parent of runs",
        "analyse runs",
        "runs: expected the folder of one run, with its summary.json, found a parent of 1 run; name it: runs/tiny/base/seed_0",
    ),
    row(
        "analyse into a run",
        "analyse RUN --out RUN",
        "runs/tiny/base/seed_0: expected a new or empty folder, or one with an analysis in it, found one that holds ...",
    ),
    row(
        "analyse without its queries",
        "analyse RUN",
        "runs/tiny/base/seed_0: expected a run with its queries.parquet, found none; evaluate it again",
        remove(f"{RUN}/queries.parquet"),
    ),
    row(
        "analyse without its store",
        "analyse RUN",
        "store: expected the store that runs/tiny/base/seed_0 was evaluated on, found no folder; --data names the place it ...",
        move("store", "elsewhere"),
    ),
    row(
        "analyse with its store elsewhere",
        "analyse RUN --data elsewhere",
        "",
        move("store", "elsewhere"),
        code=0,
        new=("analysis", "analysis/*"),
    ),
    row(
        "compare a run with nothing",
        "compare RUN nowhere",
        "nowhere: expected a run's folder with its summary.json, or a parent of such folders, found no folder",
    ),
    row("compare one run alone", "compare RUN", "Missing argument 'RUN_B'..."),
    row(
        "compare a run with itself",
        "compare RUN runs/tiny/base/seed_0",
        "runs/tiny/base/seed_0: expected another run than the first, found the same",
    ),
    row(
        "compare runs on other queries",
        "compare RUN evaluated",
        "runs/tiny/base/seed_0 and evaluated: expected two runs that ranked the same queries, found ... queries of test in "
        "store (...) and ... queries of valid in store (...); `semantic evaluate` ranks other queries with a run's weights",
    ),
    row(
        "compare with an unknown slot",
        "compare RUN twin --slot colour",
        "--slot: expected slots of store (age, ...), found 'colour'",
    ),
    row(
        "compare with a turn that is no span",
        "compare RUN twin --turn first",
        "--turn: expected a number or a span such as 3, 1-3, 2- or -3, found 'first'",
    ),
    row(
        "compare with escape sequences for a span",
        "compare RUN twin --positives \x1b[2J",
        "--positives: expected a number or a span such as 3, 1-3, 2- or -3, found '\\...",
    ),
    row(
        "compare what no query is",
        "compare RUN twin --turn 900-",
        "filters: expected a query with turn 900-, found none among ...",
    ),
    row("compare with negative turns", "compare RUN twin --turns -1", "Invalid value for '--turns': ..."),
    row(
        "compare into own files",
        "compare RUN twin --out own",
        "own: expected a new or empty folder, or one with a comparison in it, found one that holds mine.txt; give another "
        "--out, or --overwrite",
        write("own/mine.txt", "mine"),
    ),
    row(
        "compare into a report",
        "compare RUN twin --out report",
        "report: expected a new or empty folder, or one with a comparison in it, found one that holds .semantic-report and ...",
        done("report runs"),
    ),
    row(
        "compare with a bit of the queries flipped",
        "compare RUN twin",
        "twin/queries.parquet: expected the run's queries in Parquet, found a file that does not load (...",
        flip("twin/queries.parquet", 0.3),
    ),
    row(
        "compare with a store that was replaced",
        "compare RUN twin",
        "store: expected the store that runs/tiny/base/seed_0 was evaluated on (...), found another one (...)",
        replace("data/MMD2withDST/test/7.json", "?", "!"),
        done("prepare mmd data --out store --overwrite --workers 0"),
    ),
    row(
        "compare on a full disk",
        "compare RUN twin",
        "comparison/....partial: expected room to write, found the disk full",
        inside=full_disk(3),
        code=1,
        new=COMPARISON,
    ),
    row("compare, closed pipe", "compare RUN twin", "", inside=no_reader, code=141, new=COMPARISON),
    row("judge without a folder", "judge RUN twin", "Missing option '--out'..."),
    row(
        "judge more turns than there are",
        "judge RUN twin --out form",
        "--turns: expected at most ..., as many as both runs ranked, found 60",
    ),
    row("judge no turn", "judge RUN twin --out form --turns 0", "Invalid value for '--turns': ..."),
    row("judge eleven products", "judge RUN twin --out form --top 11", "Invalid value for '--top': ..."),
    row(
        "judge into own files",
        "judge RUN twin --out own --turns 2",
        "own: expected a new or empty folder, or one with a form in it, found one that holds key.txt; give another --out",
        write("own/key.txt", "mine"),
    ),
    row(
        "judge into a form that is answered",
        "judge RUN twin --out judged --turns 2 --seed 1",
        "judged: expected no answers to another form, found answers-Ann.json; give another --out",
    ),
    row("judge the same again", "judge RUN twin --out judged --turns 2", "", code=0),
    row(
        "report judgements that nobody gave",
        "report judged",
        "judged/answers: expected the files that judges saved from form.html, found none yet",
        remove("judged/answers"),
    ),
    row(
        "report judgements of another form",
        "report judged",
        f"{ANSWERS}: expected answers to this form (...), found those to another (000000000000)",
        answers(form="0" * 64),
    ),
    row(
        "report a judge twice",
        "report judged",
        "judged/answers/b.json: expected answers of another judge than answers-Ann.json, found 'Ann' again; keep one",
        copy(ANSWERS, "judged/answers/b.json"),
    ),
    row(
        "report a turn that is not in the form",
        "report judged",
        f"{ANSWERS}: expected turns 1 to 2 of the form, found '3'",
        answers(answers={"1": "left", "3": "tie"}),
    ),
    row(
        "report a choice that is none",
        "report judged",
        f"{ANSWERS}: answers.1: expected 'left', 'tie' or 'right', found 'A'",
        answers(answers={"1": "A"}),
    ),
    row(
        "report a judge of escape sequences",
        "report judged",
        "",
        answers(judge="\x1b[2J"),
        code=0,
        new=REPORT,
    ),
    row(
        "report answers of another program",
        "report judged",
        f"{ANSWERS}: expected a value of format, found none",
        write(ANSWERS, json.dumps({"accuracy": 1})),
    ),
    row(
        "report answers that are cut off",
        "report judged",
        f"{ANSWERS}: expected the answers that a form saved, found no JSON at line ...",
        append(ANSWERS, "{"),
    ),
    row(
        "report judgements without a key",
        "report judged",
        "judged/key.json: expected the key of a form, found none there",
        remove("judged/key.json"),
    ),
    row(
        "report judgements with a key that was edited",
        "report judged",
        "judged/key.json: expected the key that was written with the form, found it changed since",
        change("judged/key.json", lambda key: key | {"seed": 7}),
    ),
    row(
        "report judgements and runs",
        "report runs judged",
        "judged: expected runs alone, or one folder of a form for judges alone, found both or several",
    ),
    row(
        "report judgements into own files",
        "report judged --out own",
        "own: expected a new or empty folder, or one with a report in it, found one that holds judgements.md; give another...",
        make("own"),
        write("own/judgements.md", "mine"),
    ),
)
