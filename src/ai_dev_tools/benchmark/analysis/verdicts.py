"""Verdicts: saves, costs, inconclusive or invalid, for each claim, scope and model.

The steps are those of docs/statistics.md: pairs, validity, interval and test, family, quality gate, words. Only claims
of a plan whose samples are complete and younger than it get a verdict of their own; everything else is labelled interim or
exploratory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from ai_dev_tools.benchmark.analysis.bills import with_floor
from ai_dev_tools.benchmark.analysis.candidate import (
    COLUMNS,
    Candidate,
    ClaimCheck,
    Direction,
    all_reasons,
    verdict_row,
)
from ai_dev_tools.benchmark.analysis.claim_measurements import measure
from ai_dev_tools.benchmark.analysis.claim_status import claim_status
from ai_dev_tools.benchmark.analysis.effects import Effect
from ai_dev_tools.benchmark.analysis.plan_in_force import (
    PlanInForce,
    plan_in_force,
    planned_samples,
    reference_of,
)
from ai_dev_tools.benchmark.analysis.quality import superiority_p
from ai_dev_tools.benchmark.analysis.quality_gates import Gates
from ai_dev_tools.benchmark.analysis.reasons import COLUMNS as REASON_COLUMNS
from ai_dev_tools.benchmark.analysis.reasons import Reason, reason, reason_rows, whole_percent
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


@dataclass(frozen=True)
class MeasuredPlan:
    """The claims of one profile's plan as they were measured, before any decision.

    Attributes:
        samples: those of the plan, prepared.
        limits: when a verdict is invalid.
    """

    in_force: PlanInForce
    samples: pd.DataFrame
    gates: Gates
    limits: ValidityThresholds
    candidates: Sequence[Candidate]


class Judgement(NamedTuple):
    """The verdicts on all claims.

    Attributes:
        verdicts: per claim and model one primary row (task "(all)") and one row per task. Ratios are
            approach / reference; `low`, `high` is the 95 % interval; p-values are for ratios beyond the margin.
        checks: per verdict row and check: status (ok, failed), value, threshold, reason.
        reasons: per verdict row its reasons in order, each with a code and the values in its sentence.
    """

    verdicts: pd.DataFrame
    checks: pd.DataFrame
    reasons: pd.DataFrame


def measure_claims(
    samples: SamplesLike, plans: Sequence[DeclaredPlan] = (), *, resamples: int = RESAMPLES
) -> list[MeasuredPlan]:
    """Measure every claim of the latest plan of every profile in the samples.

    Args:
        samples: prepared samples, or a samples table in any row order.
        plans: the plan ledger, oldest first. Without any, the claims are assumed and labelled exploratory.

    Raises:
        ConfigurationError: the table cannot be read as such.
    """
    prepared = Samples.of(samples, reference_of(plans))
    found = []
    for profile in levels(prepared.frame["profile"]):
        in_force = plan_in_force(prepared.frame, plans, profile, prepared.reference)
        part = planned_samples(prepared.frame, in_force.plan)
        gates = Gates(part, in_force)
        enough = enough_resamples(in_force, resamples)
        candidates = measure_profile(part, in_force, gates, prepared.thresholds, enough)
        found.append(MeasuredPlan(in_force, part, gates, prepared.thresholds, candidates))
    return found


def judge(measured: Iterable[MeasuredPlan]) -> Judgement:
    """Judge every claim that was measured."""
    judged = [candidate for plan in measured for candidate in decide(plan.candidates, plan.limits)]
    checks: list[tuple[object, ...]] = []
    reasons: list[Row] = []
    for c in judged:
        key = (c.in_force.plan.profile, c.claim.id, c.model, c.task)
        checks += [(*key, a.name, "ok" if a.ok else "failed", a.value, a.limit, a.why) for a in c.checks]
        reasons += reason_rows(key, all_reasons(c))
    table = pd.DataFrame([verdict_row(candidate) for candidate in judged], columns=COLUMNS)
    if table["tool_used"].isna().all():  # no agent had a tool
        table = table.drop(columns="tool_used")
    return Judgement(table, pd.DataFrame(checks, columns=CHECK_COLUMNS), pd.DataFrame(reasons, columns=REASON_COLUMNS))


def enough_resamples(in_force: PlanInForce, least: int = RESAMPLES) -> int:
    """So many resamples that 20 of them lie beyond the smallest level of any claim of a plan.

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
    """Word, label and reasons of every candidate; over all tasks before each task."""
    # what was measured stays as it is, for another decision at other margins
    open_yet = [replace(c, reasons=[], invalid=list(c.invalid), checks=list(c.checks)) for c in measured]
    primary = [c for c in open_yet if c.task == ALL]
    by_task = [c for c in open_yet if c.task != ALL]
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
    c.checks.append(ClaimCheck("enough clusters", enough, float(e.clusters if e else 0), float(limits.min_clusters)))
    _compare_with_flagged(c, direction)
    if c.invalid:
        c.word, c.reasons = "invalid", [*c.invalid, *c.reasons]
        return
    c.word = "inconclusive"
    if found is None or e is None:
        c.reasons.append(_why_empty(c))
        return
    if c.shares["tool_used"] == 0:
        c.reasons.append(reason("unused", episodes=len(c.pairs)))
        return
    if not found.seen.usable:
        c.reasons.append(reason("no_spread", why=why_no_interval(found.seen.source)))
        if found.seen.source.clusters < 2 and found.seen.source.cases > 1:
            c.reasons.append(reason("one_repository"))
        return
    if e.left_out:
        c.reasons.append(reason("left_out", tasks=len(e.left_out)))
    if not enough:
        c.reasons.append(reason("few_clusters", clusters=e.clusters, least=limits.min_clusters))
    elif c.label == "planned":
        _settle(c, direction, found)
    else:
        _settle(c, direction, found)
        c.word = "inconclusive"


def _compare_with_flagged(c: Candidate, direction: Direction) -> None:
    if c.everything is c.clean:
        c.checks.append(ClaimCheck("same with flagged pairs", True, 0.0, 0.0))
        return
    other = c.direction(c.everything, c.p(c.everything) * max(c.factor, 1.0))
    changed = other != direction and bool({other, direction} & {"cheaper", "more_expensive"}) and not c.invalid
    why = reason("flagged_decide", without=_in_words(direction), including=_in_words(other))
    c.note("same with flagged pairs", not changed, float(changed), 0.0, why)


def _settle(c: Candidate, direction: Direction, found: Effect) -> None:
    if direction == "cheaper":
        if why := _why_no_bill(c, "cheaper"):
            c.reasons.append(why)
        elif c.gate.passed:
            c.word = "saves"
            if np.isfinite(c.gate.brevity_p) and c.gate.brevity_p > c.gate.floor_level:
                c.reasons.append(reason("brevity"))
            elif "excerpt" in c.in_force.plan.approaches and not np.isfinite(c.gate.brevity_p):
                c.reasons.append(reason("brevity_open"))
        else:
            c.reasons += c.gate.reasons
    elif direction == "more_expensive":
        if why := _why_no_bill(c, "more_expensive"):
            c.reasons.append(why)
        else:
            c.word = "costs"
            c.reasons += _better_answers(c)
    elif direction == "equivalent":
        c.reasons.append(reason("equivalent", **_margins(c)))
    else:
        c.reasons.append(_why_unclear(c, found))
    if c.word in ("saves", "costs") and c.uncapped is not None:
        other = c.direction(c.uncapped, c.p(c.uncapped) * max(c.factor, 1.0))
        if other != direction:
            c.reasons.append(reason("capped", percent=whole_percent(c.shares["censored"])))


def _better_answers(c: Candidate) -> list[Reason]:
    """A rider where what costs more also answers better, so that nobody reads "costs" as "is worse"."""
    quality = c.gate.claim
    if not superiority_p(quality.estimate) <= quality.level:
        return []
    return [reason("better_answers", difference=f"{quality.estimate.estimate:+.2f}")]


def _in_words(direction: Direction) -> str:
    """A direction as texts say it."""
    return direction.replace("_", " ")


def _why_no_bill(c: Candidate, way: Literal["cheaper", "more_expensive"]) -> Reason | None:
    """Why the whole bill does not surely point the way that the mean case does; None where it does."""
    ratio, level = c.bill.ratio, c.bill_level
    if not (ratio < 1 if way == "cheaper" else ratio > 1):
        return reason("bill_other_way", way=_in_words(way), bill=f"{ratio:.2f}")
    if (c.bill.p_below_one() if way == "cheaper" else c.bill.p_above_one()) <= level:
        return None
    low, high = c.bill.bound("low", level), c.bill.bound("high", level)
    said = "saves" if way == "cheaper" else "costs"
    return reason("bill_uncertain", word=said, low=f"{low:.2f}", high=f"{high:.2f}")


def _margins(c: Candidate) -> dict[str, str]:
    """The ratios between which the costs are the same."""
    return {"low": f"{c.claim.margin_ratio:.2f}", "high": f"{1 / c.claim.margin_ratio:.2f}"}


def _why_unclear(c: Candidate, found: Effect) -> Reason:
    low, high = found.interval()
    if np.isfinite(c.adjusted) and (high < c.margin or low > -c.margin or c.margin < low <= high < -c.margin):
        # the interval is that of one look at one claim, and says more than this look and this family allow
        return reason("p_value", p=f"{c.adjusted:.3g}", look=c.look, alpha=f"{c.alpha:.3g}")
    return reason("interval", **_margins(c))


def _why_empty(c: Candidate) -> Reason:
    if not len(c.pairs):
        return reason("unanswered", approach=c.claim.approach, reference=c.claim.reference)
    if c.pairs["lost"].all():
        return reason("no_pair", why=c.pairs.first_text("dropped"))
    return reason("unmeasured", outcome=c.claim.outcome)


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
            c.reasons.append(reason("closed"))
    for (claim, model), overall in opened.items():
        ways: dict[Direction, list[str]] = {}
        for c in by_task:
            if (c.claim.id, c.model) == (claim, model) and not c.invalid:
                ways.setdefault(c.direction(c.clean, c.adjusted), []).append(c.task)
        if "cheaper" in ways and "more_expensive" in ways:
            overall.word, overall.mixed = "inconclusive", True
            on = {way: ", ".join(ways[way]) for way in ("cheaper", "more_expensive")}
            overall.reasons.append(reason("mixed", **on))
