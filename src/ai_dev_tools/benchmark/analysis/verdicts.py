"""Verdicts: saves, costs, inconclusive or invalid, for each claim, scope and model.

The steps are those of docs/statistics.md: pairs, validity, interval and test, family, quality gate, words. Only claims
of a plan whose samples are complete and younger than it get a word of their own; everything else is labelled interim or
exploratory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from ai_dev_tools.benchmark.analysis.bills import with_floor
from ai_dev_tools.benchmark.analysis.candidate import COLUMNS, Candidate, Direction, verdict_row
from ai_dev_tools.benchmark.analysis.claim_status import claim_status
from ai_dev_tools.benchmark.analysis.claims import (
    PlanInForce,
    plan_in_force,
    planned_samples,
    reference_of,
)
from ai_dev_tools.benchmark.analysis.effects import Effect
from ai_dev_tools.benchmark.analysis.gates import Gates
from ai_dev_tools.benchmark.analysis.measuring import measure
from ai_dev_tools.benchmark.analysis.quality import superiority_p
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples import Samples, SamplesLike
from ai_dev_tools.benchmark.analysis.samples_table import ALL, levels, words
from ai_dev_tools.benchmark.analysis.statistics import (
    RESAMPLES,
    holm,
    why_no_interval,
)
from ai_dev_tools.benchmark.config.thresholds import ValidityThresholds
from ai_dev_tools.benchmark.records.plan import DeclaredPlan

LEAST_RESAMPLES_BEYOND = 20
"""Resamples that must lie beyond a level for a test at that level."""
MOST_RESAMPLES = 399_999
"""Enough up to the fifth look at a plan of twelve claims; bounds memory."""
WORDS = ("saves", "costs", "inconclusive", "invalid")
CHECK_COLUMNS = words("profile claim models task check status value threshold reason")


def verdicts(samples: SamplesLike, plans: Sequence[DeclaredPlan] = (), *, resamples: int = RESAMPLES) -> pd.DataFrame:
    """The verdicts table; see `judge`, which also gives the checks behind each verdict."""
    return judge(samples, plans, resamples=resamples)[0]


def judge(
    samples: SamplesLike, plans: Sequence[DeclaredPlan] = (), *, resamples: int = RESAMPLES
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge every claim of the latest plan of every profile in the samples.

    Args:
        samples: prepared samples, or a samples table in any row order.
        plans: the plan ledger, oldest first. Without any, the claims are assumed and labelled exploratory.

    Returns:
        verdicts: per claim and model one primary row (task "(all)") and one row per task. Ratios are
            approach / reference; `low`, `high` is the 95 % interval; p-values are for ratios beyond the margin.
        checks: per verdict row and check: status (ok, failed), value, threshold, reason.

    Raises:
        ConfigurationError: the table cannot be read as such.
    """
    prepared = Samples.of(samples, reference_of(plans))
    table, limits = prepared.frame, prepared.thresholds
    rows: list[Row] = []
    checks: list[tuple[Any, ...]] = []
    for profile in levels(table["profile"]):
        in_force = plan_in_force(table, plans, profile, prepared.reference)
        judged = _judge_profile(planned_samples(table, in_force.plan), in_force, limits, resamples)
        rows += [verdict_row(candidate) for candidate in judged]
        for c in judged:
            key = (profile, c.claim.id, c.model, c.task)
            checks += [(*key, name, "ok" if ok else "failed", v, limit, why) for name, ok, v, limit, why in c.checks]
    table = pd.DataFrame(rows, columns=COLUMNS)
    if table["tool_used"].isna().all():  # no agent had a tool
        table = table.drop(columns="tool_used")
    return table, pd.DataFrame(checks, columns=CHECK_COLUMNS)


def _judge_profile(
    table: pd.DataFrame, in_force: PlanInForce, limits: ValidityThresholds, resamples: int
) -> list[Candidate]:
    gates = Gates(table, in_force)
    measured = measure_profile(table, in_force, gates, limits, enough_resamples(in_force, resamples))
    return decide(measured, limits)


def enough_resamples(in_force: PlanInForce, least: int = RESAMPLES) -> int:
    """Resamples of which 20 lie beyond the smallest level that any claim of a plan is tested at.

    0 stays 0.
    """
    look = max(in_force.looks.values(), default=1)
    family = len(in_force.plan.claims) * max(len(in_force.plan.models), len(in_force.plan.tasks))
    level = in_force.plan.alpha / 2**look / (2 * max(1, family))
    return max(least, min(MOST_RESAMPLES, int(np.ceil(LEAST_RESAMPLES_BEYOND / level)))) if least else 0


def measure_profile(
    table: pd.DataFrame, in_force: PlanInForce, gates: Gates, limits: ValidityThresholds, resamples: int
) -> list[Candidate]:
    """Every claim of a plan on every model, over all tasks and in each, measured and not yet decided."""
    found: list[Candidate] = []
    for claim in in_force.plan.claims:
        for model in in_force.plan.models:
            status = claim_status(table, in_force, claim, model)
            for task in (ALL, *in_force.plan.tasks):
                part = gates.pairs(claim, model, task)
                candidate = Candidate(in_force, claim, model, task, status, part, gates.gate(claim, model, task))
                measure(candidate, limits, resamples)
                found.append(candidate)
    _share_spread(found)
    return found


def decide(measured: Sequence[Candidate], limits: ValidityThresholds) -> list[Candidate]:
    """Settle word, label and reasons of every candidate; over all tasks before each task."""
    primary = [c for c in measured if c.task == ALL]
    by_task = [c for c in measured if c.task != ALL]
    _decide_family(primary)
    for candidate in primary:
        _settle_verdict(candidate, limits)
    _decide_tasks(primary, by_task, limits)
    return [c for p in primary for c in [p, *(t for t in by_task if (t.claim, t.model) == (p.claim, p.model))]]


def _share_spread(candidates: list[Candidate]) -> None:
    """Give the bills of a claim's models, in each scope, at least the spread that they have together."""
    groups: dict[tuple[str, str], list[Candidate]] = {}
    for c in candidates:
        if c.clean is not None and not c.invalid:
            groups.setdefault((c.claim.id, c.task), []).append(c)
    for group in groups.values():
        for c, shared in zip(group, with_floor([c.clean.bill for c in group if c.clean]), strict=True):
            c.bill = shared


def _decide_family(family: list[Candidate]) -> None:
    """Holm over a family; where looks differ in level, p-values are compared in units of it."""
    least = min((c.look for c in family), default=1)
    scaled = [float("nan") if c.invalid else c.p(c.clean) * 2 ** (c.look - least) for c in family]
    for c, adjusted in zip(family, holm(scaled), strict=True):
        # Holm stops at 1, where the unit has no meaning any more
        c.adjusted = 1.0 if adjusted >= 1 else float(adjusted / 2 ** (c.look - least))


def _settle_verdict(c: Candidate, limits: ValidityThresholds) -> None:
    """Settle label, word and reasons of a candidate whose adjusted p-value is known."""
    c.label = c.status.label
    c.reasons += c.status.reasons
    found, e = c.clean, c.clean.source if c.clean else None
    direction = c.direction(found, c.adjusted)
    enough = e is not None and e.clusters >= limits.min_clusters
    c.checks.append(("enough clusters", enough, float(e.clusters if e else 0), float(limits.min_clusters), ""))
    _compare_with_flagged(c, direction)
    if c.invalid:
        c.word, c.reasons = "invalid", [*c.invalid, *c.reasons]
        return
    c.word = "inconclusive"
    if found is None or e is None:
        c.reasons.append(_why_empty(c))
        return
    if c.shares["tool_used"] == 0:
        c.reasons.append(
            f"never used: in none of its {len(c.pairs)} episodes did the agent use the tool, so this is what offering it costs"
        )
        return
    if not found.seen.usable:
        c.reasons.append(f"{why_no_interval(found.seen.source)}: no spread to judge by")
        if found.seen.source.clusters < 2 and found.seen.source.cases > 1:
            c.reasons.append(
                "where all cases come from one repository, say single_source: true and name their files as clusters"
            )
        return
    if e.left_out:
        c.reasons.append(f"{len(e.left_out)} task(s) with a single cluster are not in it")
    if not enough:
        c.reasons.append(f"only {e.clusters} clusters (fewer than {limits.min_clusters}): describes these files only")
    elif c.label == "planned":
        _settle(c, direction, found)
    else:
        _settle(c, direction, found)
        c.word = "inconclusive"


def _compare_with_flagged(c: Candidate, direction: Direction) -> None:
    if c.everything is c.clean:
        c.checks.append(("same with flagged pairs", True, 0.0, 0.0, ""))
        return
    other = c.direction(c.everything, c.p(c.everything) * max(c.factor, 1.0))
    changed = other != direction and bool({other, direction} & {"cheaper", "more_expensive"}) and not c.invalid
    why = (
        f"the result changes with flagged pairs (without: {_in_words(direction)}, with: {_in_words(other)})"
        if changed
        else ""
    )
    c.checks.append(("same with flagged pairs", not changed, float(changed), 0.0, why))
    if changed:
        c.invalid.append(why)


def _settle(c: Candidate, direction: Direction, found: Effect) -> None:
    if direction == "cheaper":
        if reason := _why_no_bill(c, "cheaper"):
            c.reasons.append(reason)
        elif c.gate.passed:
            c.word = "saves"
            if np.isfinite(c.gate.brevity_p) and c.gate.brevity_p > c.gate.floor_level:
                c.reasons.append(
                    "brevity, not this tool: answers are not shown to be better than those from an excerpt of its length"
                )
            elif "excerpt" in c.in_force.plan.approaches and not np.isfinite(c.gate.brevity_p):
                c.reasons.append("brevity is not ruled out: the excerpt is not of the same length in tokens")
        else:
            c.reasons += c.gate.reasons
    elif direction == "more_expensive":
        if reason := _why_no_bill(c, "more_expensive"):
            c.reasons.append(reason)
        else:
            c.word = "costs"
            c.reasons += _better_answers(c)
    elif direction == "equivalent":
        c.reasons.append(
            f"equivalent: the ratio lies within {c.claim.margin_ratio:.2f} and {1 / c.claim.margin_ratio:.2f}"
        )
    else:
        c.reasons.append(_why_unclear(c, found))
    if c.word in ("saves", "costs") and c.uncapped is not None:
        other = c.direction(c.uncapped, c.p(c.uncapped) * max(c.factor, 1.0))
        if other != direction:
            c.reasons.append(
                f"{c.shares['censored']:.0%} of pairs have an answer that was cut at the cap and counts as paid; had "
                "they run on to the context window, this could not be said"
            )


def _better_answers(c: Candidate) -> list[str]:
    """A rider where what costs more also answers better, so that nobody reads "costs" as "is worse"."""
    quality = c.gate.claim
    if not superiority_p(quality.estimate) <= quality.level:
        return []
    return [
        f"its answers are surely better: {quality.estimate.estimate:+.2f} in score, for you to weigh against the cost"
    ]


def _in_words(direction: Direction) -> str:
    """A direction as texts say it."""
    return direction.replace("_", " ")


def _why_no_bill(c: Candidate, way: Literal["cheaper", "more_expensive"]) -> str:
    """Why the whole bill does not surely point the way that the mean case does; "" where it does."""
    ratio, level = c.bill.ratio, c.bill_level
    if not (ratio < 1 if way == "cheaper" else ratio > 1):
        return f"the mean case is {_in_words(way)} but the whole bill is not ({ratio:.2f} of the reference)"
    if (c.bill.p_below_one() if way == "cheaper" else c.bill.p_above_one()) <= level:
        return ""
    low, high = c.bill.bound("low", level), c.bill.bound("high", level)
    said = "saves" if way == "cheaper" else "costs"
    return f"{said} per case, bill uncertain: between {low:.2f} and {high:.2f} of the reference"


def _why_unclear(c: Candidate, found: Effect) -> str:
    low, high = found.interval()
    if np.isfinite(c.adjusted) and (high < c.margin or low > -c.margin or c.margin < low <= high < -c.margin):
        # the interval is that of one look at one claim, and says more than this look and this family allow
        return f"the adjusted p-value is {c.adjusted:.3g}, and look {c.look} allows {c.alpha:.3g}"
    return f"the interval reaches the margin of {c.claim.margin_ratio:.2f} or {1 / c.claim.margin_ratio:.2f}"


def _why_empty(c: Candidate) -> str:
    if not len(c.pairs):
        return f"no case was answered in both {c.claim.approach} and {c.claim.reference}"
    if c.pairs["lost"].all():
        return "no completed pair: " + c.pairs.first_text("dropped")
    return f"{c.claim.outcome} is missing or impossible in every usable pair"


def _decide_tasks(primary: list[Candidate], by_task: list[Candidate], limits: ValidityThresholds) -> None:
    """Per-task words where the overall verdict opened them: Holm within each model.

    Opposite tasks make it mixed.
    """
    opened = {(p.claim.id, p.model): p for p in primary if p.word in ("saves", "costs") and p.label == "planned"}
    for model in sorted({c.model for c in by_task}):
        family = [c for c in by_task if c.model == model and (c.claim.id, model) in opened]
        _decide_family(family)
        for c in family:
            _settle_verdict(c, limits)
    for c in by_task:
        if (c.claim.id, c.model) not in opened:
            c.label, c.word = "exploratory", ""
            c.reasons.append("no word of its own: the verdict over all tasks is open")
    for (claim, model), overall in opened.items():
        ways: dict[Direction, list[str]] = {}
        for c in by_task:
            if (c.claim.id, c.model) == (claim, model) and not c.invalid:
                ways.setdefault(c.direction(c.clean, c.adjusted), []).append(c.task)
        if "cheaper" in ways and "more_expensive" in ways:
            overall.word, overall.mixed = "inconclusive", True
            overall.reasons.append(
                f"mixed: cheaper on {', '.join(ways['cheaper'])}, but "
                f"more expensive on {', '.join(ways['more_expensive'])}"
            )
