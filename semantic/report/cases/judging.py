"""What judges said of two runs: wins, ties and losses, with intervals, a sign test, and how far the judges agree."""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from semantic.metrics.agreement import krippendorff_alpha, pairwise_agreement
from semantic.metrics.intervals import bootstrap_means
from semantic.report.cases.answers import OUTCOMES, Judgements
from semantic.report.cases.form import CHOICES, Key

SPLIT = "no majority"
"""The outcome of a turn on which no choice has more than half of the votes."""

NAMES = (*OUTCOMES.values(), SPLIT)


@dataclass(frozen=True)
class Share:
    """How many of the votes or turns have an outcome: a count, and a fraction with the ends of its 95% interval."""

    count: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """The result of a human evaluation, of run A against run B.

    `votes` are the shares of all votes by outcome (win, tie, lose), `majority` those of the turns by the choice that more
    than half of the turn's votes have (`SPLIT` where there is none). `ahead` counts the turns on which A has more votes than
    B, and the reverse; `p` is the two-sided sign test of that. `alpha` and `agreement` are Krippendorff's alpha of the
    outcomes and the share of equal pairs of votes on a turn; NaN where nothing can be compared. `judges` has a line a judge,
    `pairs` a line two judges who share turns.
    """

    key: Key
    votes: dict[str, Share]
    majority: dict[str, Share]
    ahead: tuple[int, int]
    p: float
    alpha: float
    agreement: float
    judges: pd.DataFrame
    pairs: pd.DataFrame

    @property
    def num_votes(self) -> int:
        return sum(share.count for share in self.votes.values())

    @property
    def num_turns(self) -> int:
        return sum(share.count for share in self.majority.values())

    @property
    def same(self) -> int:
        """Turns of the form on which both sides show the same list."""
        return sum(turn.same for turn in self.key.turns.values())


def judge_runs(judgements: Judgements, seed: int = 0) -> Verdict:
    """The verdict of the judges; `seed` draws the resamples.

    Votes on one turn depend on each other: intervals are by bootstrap over turns (`bootstrap_means`), and the sign test
    counts turns, not votes. Turns that nobody answered do not count.
    """
    votes = judgements.votes
    by_turn = {str(turn): own["outcome"].tolist() for turn, own in votes.groupby("turn", sort=False)}
    majorities = [_majority(own) for own in by_turn.values()]
    margins = [own.count("win") - own.count("lose") for own in by_turn.values()]
    ahead = sum(margin > 0 for margin in margins), sum(margin < 0 for margin in margins)
    return Verdict(
        key=judgements.key,
        votes=_shares(votes["outcome"].tolist(), votes["turn"].tolist(), NAMES[:3], seed),
        majority=_shares(majorities, list(by_turn), NAMES, seed),
        ahead=ahead,
        p=float(binomtest(ahead[0], sum(ahead)).pvalue) if any(ahead) else 1.0,
        alpha=krippendorff_alpha(by_turn.values()),
        agreement=pairwise_agreement(by_turn.values()),
        judges=_judges(judgements),
        pairs=_pairs(judgements),
    )


def _majority(outcomes: list[str]) -> str:
    name, count = Counter(outcomes).most_common(1)[0]
    return name if 2 * count > len(outcomes) else SPLIT


def _shares(outcomes: list[str], turns: list[str], names: tuple[str, ...], seed: int) -> dict[str, Share]:
    is_one = np.array([[outcome == name for outcome in outcomes] for name in names])
    found = bootstrap_means(is_one, turns, seed=seed)
    counts = is_one.sum(axis=1).tolist()
    ends = zip(found.mean.tolist(), found.low.tolist(), found.high.tolist(), strict=True)
    return {name: Share(count, *end) for name, count, end in zip(names, counts, ends, strict=True)}


def _judges(judgements: Judgements) -> pd.DataFrame:
    lines = []
    for judge in judgements.judges:
        own = judgements.votes[judgements.votes["judge"] == judge]
        lines.append(
            {
                "judge": judge,
                "answers": len(own),
                **{name: int((own["outcome"] == name).sum()) for name in NAMES[:3]},
                **{choice: int((own["choice"] == choice).sum()) for choice in CHOICES if choice != "tie"},
            }
        )
    return pd.DataFrame(lines)


def _pairs(judgements: Judgements) -> pd.DataFrame:
    table = judgements.votes.pivot(index="turn", columns="judge", values="outcome")
    lines = []
    for one, other in combinations(judgements.judges, 2):
        both = table[[one, other]].dropna()
        if len(both):
            lines.append((one, other, len(both), float((both[one] == both[other]).mean())))
    return pd.DataFrame(lines, columns=["judge", "other", "turns", "agreement"])
