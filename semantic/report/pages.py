"""Pages a researcher shows around: each one HTML file with everything in it, photos too; no script, no network."""

import statistics
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from semantic.datasets.store.store import Store
from semantic.report.curves import Chart, Series, chart
from semantic.report.gallery import CHOICE_COLUMNS, Attention, Bubble, Exhibit, Showcase, choose
from semantic.report.tables import COMPARED, PROTOCOLS, ResultTable, Row, short, table
from semantic.runs.reading import Run
from semantic.runtime.errors import DataError
from semantic.runtime.files import write_text

NEGATIVES_SHOWN = 5


def report_page(runs: Sequence[Run], store: Store | None, out: Path | str, turns: int = 12, seed: int = 0) -> Path:
    """Write the page of a set of runs: the table, how training went, what the runs were, and a gallery of `turns`.

    The gallery is of the first section's best variant, its first run that kept its queries; `seed` draws its random third. Without a
    store there is none.

    Raises:
        DataError: there are no runs, or the gallery's run was evaluated on another store.
    """
    if not runs:
        raise DataError(f"{out}: expected at least one run to report, found none")
    result = table(runs)
    shown, exhibits = _gallery(runs, result, store, turns, seed)
    variants: dict[str, list[Run]] = {}
    for run in runs:
        variants.setdefault(run.name, []).append(run)
    return write_page(
        out,
        "report.html",
        title=" and ".join(dict.fromkeys(run.summary["experiment"] for run in runs)),
        result=result,
        protocols=PROTOCOLS,
        leaders=[_leaders(section.rows) for section in result.sections],
        variants=variants,
        colours={name: number for number, name in enumerate(variants)},
        validation=_validation(variants),
        terms={name: _terms(members, colour) for colour, (name, members) in enumerate(variants.items())},
        shown=shown,
        exhibits=exhibits,
    )


def inspect_page(store: Store, dialogue: int, out: Path | str) -> Path:
    """Write the page of a prepared store: its counts, what was rejected, and the dialogue in row `dialogue`.

    Raises:
        DataError: the store has no such row.
    """
    if not 0 <= dialogue < len(store.dialogue_names):
        raise DataError(f"{store.path}: expected a dialogue row below {len(store.dialogue_names)}, found {dialogue}")
    showcase = Showcase(store)
    first = int(store.dialogue_first_turn[dialogue])
    targets = {int(turn): row for row, (owner, turn) in enumerate(store.example_turns) if owner == dialogue}
    steps = []
    for turn in range(first, first + int(store.dialogue_turns[dialogue])):
        example = targets.get(turn)
        positives = [] if example is None else store.positives(example).tolist()
        negatives = [] if example is None else store.negatives(example).tolist()
        steps.append(
            {
                "bubble": showcase.bubble(turn),
                "positives": [showcase.card(product, hit=True) for product in positives],
                "negatives": [showcase.card(product) for product in negatives[:NEGATIVES_SHOWN]],
                "num_negatives": len(negatives),
            }
        )
    return write_page(
        out,
        "inspect.html",
        title=f"Store {store.path.name}",
        manifest=store.manifest,
        dialogue=store.dialogue_names[dialogue],
        split=store.dialogue_split(dialogue),
        slots=store.slots,
        steps=steps,
    )


def recommend_page(
    store: Store,
    dialogue_turns: Sequence[Mapping[str, Any]],
    recommendations: Sequence[Mapping[str, Any]],
    out: Path | str,
) -> Path:
    """Write the page of one dialogue's recommendations, best first.

    A turn has `speaker`, `text` and `images` (product ids); a recommendation `product` (id), `score`, and the product's
    attention over the store's slots, `attention_text` and `attention_image`.
    """
    showcase = Showcase(store)
    bubbles = [
        Bubble(turn["speaker"], turn["text"], tuple(showcase.card(product) for product in turn.get("images", ())))
        for turn in dialogue_turns
    ]
    cards = [
        showcase.card(one["product"], rank=str(place), score=one["score"])
        for place, one in enumerate(recommendations, start=1)
    ]
    columns = {
        f"#{place} {kind}": one[key]
        for place, one in enumerate(recommendations[:3], start=1)
        for kind, key in (("text", "attention_text"), ("photo", "attention_image"))
    }
    return write_page(
        out,
        "recommend.html",
        title="Recommendations",
        bubbles=bubbles,
        cards=cards,
        num_products=store.num_products,
        attention=Attention.of(store.slots, columns) if columns else None,
    )


def write_page(out: Path | str, template: str, **values: Any) -> Path:
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "duration": duration, "short": short}
    write_text(Path(out), environment.get_template(template).render(**values))
    return Path(out)


def _template(name: str) -> str:
    return resources.files("semantic.report").joinpath("templates", name).read_text(encoding="utf-8")


def percent(value: int | float, digits: int = 1) -> str:
    """0.4123 -> "41.2"."""
    return f"{100 * value:.{digits}f}"


def duration(seconds: int | float) -> str:
    """93.4 -> "1 min 33 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes) + [f"{rest} s"] * (not hours)
    return " ".join(parts)


def _leaders(rows: Sequence[Row]) -> dict[str, Row | None]:
    """The best variant and the best floor by NDCG@5 (standard)."""
    best: dict[str, Row | None] = {}
    for kind in ("variant", "floor"):
        rivals = [row for row in rows if row.kind == kind and COMPARED in row.cells]
        best[kind] = max(rivals, key=lambda row: row.cells[COMPARED].mean, default=None)
    return best


def _gallery(
    runs: Sequence[Run], result: ResultTable, store: Store | None, turns: int, seed: int
) -> tuple[Run | None, list[Exhibit]]:
    section = result.sections[0]
    best = _leaders(section.rows)["variant"]
    for run in runs:
        place = (run.summary["store"], run.summary["split"])
        if store is None or best is None or run.name != best.name or place != (section.store, section.split):
            continue
        queries = run.queries(CHOICE_COLUMNS)
        if queries:
            numbered = [query | {"row": row} for row, query in enumerate(queries)]
            chosen = choose(numbered, turns, seed)
            showcase = Showcase(store)
            whole = run.whole_queries([query["row"] for query, _ in chosen])
            pairs = zip(whole, chosen, strict=True)
            return run, [showcase.exhibit(query, why, run.context_turns) for query, (_, why) in pairs]
    return None, []


def _validation(variants: Mapping[str, Sequence[Run]]) -> Chart | None:
    """Validation NDCG@5 (standard, per cent) over epochs: a line a run, the variant's colour, the best epoch marked."""
    protocol, metric = COMPARED
    series = []
    for colour, runs in enumerate(variants.values()):
        for run in runs:
            points = [(e["epoch"], 100 * e["valid"][protocol][metric]) for e in run.epochs if "valid" in e]
            series.append(Series(points, colour, run.summary.get("best_epoch")))
    return chart(series, width=560, height=240) if any(one.points for one in series) else None


def _terms(runs: Sequence[Run], colour: int) -> list[dict[str, Any]]:
    """A small chart a term of the training loss, a line a run, with its mean over runs in the first and last epoch."""
    panels = []
    for part, suffix in (("train", ""), ("train_unlabelled", ", unlabelled")):
        for name in dict.fromkeys(name for run in runs for epoch in run.epochs for name in epoch.get(part, {})):
            lines = [[(e["epoch"], e[part][name]) for e in run.epochs if name in e.get(part, {})] for run in runs]
            lines = [line for line in lines if line]
            panels.append(
                {
                    "name": name.replace("_", " ") + suffix,
                    "chart": chart([Series(line, colour) for line in lines], width=300, height=130, most_ticks=3),
                    "first": statistics.fmean(line[0][1] for line in lines),
                    "last": statistics.fmean(line[-1][1] for line in lines),
                }
            )
    return panels
