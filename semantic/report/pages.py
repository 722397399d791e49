"""Pages a researcher shows around: each one HTML file with everything in it, photos too; no script, no network."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from semantic.datasets.store.store import Store
from semantic.report.choosing import CHOICE_COLUMNS, choose
from semantic.report.drawing import COLOURS, line_chart
from semantic.report.explanations import explanations_of_products
from semantic.report.figures import loss_terms, validation_curves
from semantic.report.gallery import Bubble, Exhibit, Showcase
from semantic.report.svg import inline_svg
from semantic.report.tables import TRACKING, ResultTable, short, tracking_table
from semantic.runs.grouping import Group
from semantic.runs.reading import Run
from semantic.runs.summary import COMPARED, PROTOCOLS
from semantic.runtime.claims import claim
from semantic.runtime.errors import DataError
from semantic.runtime.files import remove_leftovers, write_text

NEGATIVES_SHOWN = 5
PRODUCTS_EXPLAINED = 3
MARK = '<meta name="generator" content="semantic">'
"""Stands in the head of every page, and says that it may be replaced."""


def report_page(result: ResultTable, store: Store | None, turns: int = 12, seed: int = 0) -> str:
    """The page of a set of runs, as HTML: the table, how training went, the runs, a gallery of `turns`.

    The gallery is of the first section's best group, its first run that kept its queries; `seed` draws its random third.
    Without a store there is none.

    Raises:
        DataError: there are no runs, a file of a run is damaged, or the gallery's run was evaluated on another store.
    """
    if not result.sections:
        raise DataError("report: expected at least one run, found none")
    best = result.sections[0].best("variant")
    shown, exhibits = gallery(result.groups[best.title].runs if best is not None else (), store, turns, seed)
    return render(
        "report.html",
        title=" and ".join(dict.fromkeys(group.runs[0].summary.experiment for group in result.groups.values())),
        result=result,
        protocols=PROTOCOLS,
        compared=COMPARED,
        tracking=tracking_table(result.groups),
        tracking_title=TRACKING,
        training=training_curves(result.groups),
        shown=shown,
        exhibits=exhibits,
    )


def inspect_page(store: Store, dialogue: int, out: Path | str) -> Path:
    """Write the page of a prepared store and return its path: counts, what was rejected, the dialogue in row `dialogue`.

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
    explanations: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write the page of one dialogue's recommendations, best first, and return its path.

    A turn has `speaker`, `text` and `images` (product ids, or pixels of photos of no product), a recommendation `product` (id)
    and `score`. An explanation is shown for the first products; it has `title`, `labels`, `query` {source: weights [label]}
    and `products` {source: weights [product, label]}, the products in the order of the recommendations.

    Raises:
        DataError: an explanation has not one weight a label.
    """
    showcase = Showcase(store)
    bubbles = [
        Bubble(turn["speaker"], turn["text"], tuple(map(showcase.image, turn.get("images", ()))))
        for turn in dialogue_turns
    ]
    cards = [
        showcase.card(one["product"], rank=str(place), score=one["score"])
        for place, one in enumerate(recommendations, start=1)
    ]
    return write_page(
        out,
        "recommend.html",
        title="Recommendations",
        bubbles=bubbles,
        cards=cards,
        num_products=store.num_products,
        explanations=explanations_of_products(explanations, PRODUCTS_EXPLAINED),
    )


def write_page(out: Path | str, template: str, **values: Any) -> Path:
    """Write a page from a template with these values and return its path.

    A file that is there already is replaced where it is such a page, as its mark says.

    Raises:
        DataError: something else is there.
        BusyError: another process writes it.
    """
    out = Path(out)
    with claim(out):
        remove_leftovers(out)
        check_page(out)
        write_text(out, render(template, **values))
    return out


def check_page(out: Path) -> None:
    """DataError where something else than a page stands in the place of one (`write_page`)."""
    if out.exists() and not _is_ours(out):
        raise DataError(
            f"{out}: expected no file there or a page that semantic wrote, found something else; give another name"
        )


def render(template: str, **values: Any) -> str:
    """A template with these values, as HTML that UTF-8 can write."""
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["hues"] = len(COLOURS)
    environment.filters |= {"percent": percent, "duration": duration, "short": short}
    page = environment.get_template(template).render(**values, mark=MARK)
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return MARK.encode() in stream.read(1024)


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


def gallery(runs: Sequence[Run], store: Store | None, turns: int, seed: int) -> tuple[Run | None, list[Exhibit]]:
    """The first of the runs that kept its queries, and `turns` of them as shown; none without a store or such a run."""
    for run in runs if store is not None else ():
        queries = run.queries(CHOICE_COLUMNS)
        if queries and store is not None:
            numbered = [query | {"row": row} for row, query in enumerate(queries)]
            chosen = choose(numbered, turns, seed)
            showcase = Showcase(store)
            whole = run.whole_queries([query["row"] for query, _ in chosen])
            pairs = zip(whole, chosen, strict=True)
            return run, [showcase.exhibit(query, why, run.context_turns, run.explanations) for query, (_, why) in pairs]
    return None, []


def training_curves(groups: Mapping[str, Group]) -> dict[str, Any]:
    """What `parts.training` shows of groups of runs by title: validation, each term of the loss, a colour a group."""
    validation = validation_curves(groups)
    return {
        "colours": {title: number for number, title in enumerate(groups)},
        "validation": inline_svg(line_chart(validation), "validation NDCG@5 by epoch", "validation")
        if validation
        else None,
        "terms": {title: _term_panels(group.runs, colour) for colour, (title, group) in enumerate(groups.items())},
    }


def _term_panels(runs: Sequence[Run], colour: int) -> list[dict[str, Any]]:
    """Of each term of a group's loss, the numbers of its caption and its figure."""
    return [
        {"term": term, "svg": inline_svg(term.figure(), f"{term.name} by epoch", f"term-{colour}-{number}")}
        for number, term in enumerate(loss_terms(runs, colour))
    ]
