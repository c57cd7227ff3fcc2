"""One claim on one model and scope while it is judged, and its row of the verdicts table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from ai_dev_tools.benchmark.analysis.bills import Bill
from ai_dev_tools.benchmark.analysis.claim_status import ClaimStatus
from ai_dev_tools.benchmark.analysis.decision_power import CostTest, fewest, ratio_found, says_saves
from ai_dev_tools.benchmark.analysis.effects import Effect
from ai_dev_tools.benchmark.analysis.pair_columns import Pairs
from ai_dev_tools.benchmark.analysis.plan_in_force import PlanInForce
from ai_dev_tools.benchmark.analysis.power import minimal_effect
from ai_dev_tools.benchmark.analysis.quality import Gate, gate_level
from ai_dev_tools.benchmark.analysis.reasons import Reason, joined, reason
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples_table import ALL, words
from ai_dev_tools.benchmark.analysis.statistics import effect_size, from_log
from ai_dev_tools.benchmark.analysis.wording import ONE_REPOSITORY, POWER_AT, sentence
from ai_dev_tools.benchmark.records.plan import RULES, Claim, Plan

Direction = Literal["cheaper", "more_expensive", "equivalent", "unclear"]
COLUMNS = words(
    "profile claim outcome approach reference models scope task label verdict direction ratio low high "
    "change_percent bill_ratio bill_low bill_high low_uncapped high_uncapped "
    "p_saves p_costs p p_adjusted alpha look pairs cases clusters tasks planned "
    "present dropped flagged censored fell_back tool_used quality_difference quality_bound quality_margin quality_passed "
    "claim_quality_difference claim_quality_bound claim_quality_p quality_alpha worst_task worst_task_difference "
    "floor_p own_floor_p brevity_p d_z d_z_low d_z_high mde_d_z mde_ratio "
    "power clusters_could_decide samples_could_decide plan rules reasons sentence"
)


@dataclass(frozen=True)
class ClaimCheck:
    """A check that can make a claim invalid, and what it found.

    Attributes:
        why: what is said where it failed, else empty.
    """

    name: str
    ok: bool
    value: float
    limit: float
    why: str = ""


@dataclass
class Candidate:
    """One claim on one model and scope, as it is being judged."""

    in_force: PlanInForce
    claim: Claim
    model: str
    task: str
    status: ClaimStatus
    pairs: Pairs
    gate: Gate
    clean: Effect | None = None
    everything: Effect | None = None
    uncapped: Effect | None = None
    """With what capped answers could have become, where there are any."""
    bill: Bill = field(default_factory=lambda: Bill(float("nan")))
    shares: dict[str, float] = field(default_factory=dict)
    invalid: list[Reason] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    checks: list[ClaimCheck] = field(default_factory=list)
    adjusted: float = float("nan")
    least_clusters: int = 6
    """Clusters below which nothing is said beyond the files."""
    word: str = ""
    label: str = ""
    mixed: bool = False
    """Whether its tasks point both ways."""

    def note(self, check: str, ok: bool, value: float, limit: float, why: Reason) -> None:
        """Keep what a check found; a claim that fails one is invalid."""
        self.checks.append(ClaimCheck(check, ok, value, limit, "" if ok else why.text))
        if not ok:
            self.invalid.append(why)

    @property
    def one_source(self) -> bool:
        """Whether all cases in scope come from one repository, so that nothing is said beyond it."""
        tasks = set(self.in_force.plan.tasks) if self.task == ALL else {self.task}
        return tasks <= set(self.in_force.plan.single_source)

    @property
    def look(self) -> int:
        """Which plan of this claim this is, from 1."""
        return self.in_force.looks.get((self.claim.id, self.model), 1)

    @property
    def alpha(self) -> float:
        """Level of this look: alpha / 2^look."""
        return float(self.in_force.plan.alpha / 2**self.look)

    @property
    def next_look(self) -> int:
        """At which look more samples would be judged: this one where planned ones are missing, else another."""
        open_yet = not self.in_force.declared or self.status.label == "interim"
        return self.look if open_yet else self.look + 1

    @property
    def bill_level(self) -> float:
        """Level of each side of the bill at this look."""
        return gate_level(self.in_force.plan.alpha, self.look)

    @property
    def family(self) -> int:
        """How many claims are judged together: those of all models, or of all tasks in one model."""
        plan = self.in_force.plan
        return len(plan.claims) * len(plan.models if self.task == ALL else plan.tasks)

    @property
    def factor(self) -> float:
        """How many times the family made the p-value larger."""
        raw = self.p(self.clean)
        return self.adjusted / raw if np.isfinite(raw) and raw > 0 and np.isfinite(self.adjusted) else 1.0

    @property
    def margin(self) -> float:
        """Margin on the log scale, negative."""
        return float(np.log(self.claim.margin_ratio))

    def raw(self, found: Effect | None) -> tuple[float, float]:
        """One-sided p-values (saves, costs); NaN if there is no spread to judge by."""
        return (
            (float("nan"), float("nan")) if found is None else (found.p_below(self.margin), found.p_above(-self.margin))
        )

    def p(self, found: Effect | None) -> float:
        """Two-sided p-value: twice the smaller one-sided one."""
        saves, costs = self.raw(found)
        return min(1.0, 2 * min(saves, costs)) if np.isfinite(saves) and np.isfinite(costs) else float("nan")

    def direction(self, found: Effect | None, adjusted: float) -> Direction:
        """Which way the costs differ, if the test says so."""
        saves, costs = self.raw(found)
        if found is None or not np.isfinite(adjusted):
            return "unclear"
        if adjusted <= self.alpha:
            return "cheaper" if saves < costs else "more_expensive"
        low, high = found.interval(self.alpha)
        return "equivalent" if self.margin < low and high < -self.margin else "unclear"


def verdict_row(c: Candidate) -> Row:
    """The row of the verdicts table; columns that cannot be had are absent."""
    plan, found = c.in_force.plan, c.clean
    row: Row = {
        "profile": plan.profile,
        "claim": c.claim.id,
        "outcome": c.claim.outcome,
        "approach": c.claim.approach,
        "reference": c.claim.reference,
        "models": c.model,
        "task": c.task,
        "scope": _scope(c),
        "label": c.label,
        "verdict": c.word,
        "direction": c.direction(found, c.adjusted),
        "alpha": c.alpha,
        "look": c.look,
        "planned": c.status.planned,
        "present": c.status.present,
        "plan": plan.plan if c.in_force.declared else "",
        "rules": RULES,
        "pairs": 0,
        "cases": 0,
        "clusters": 0,
        "tasks": 0,
        **c.shares,
        **_gate_columns(c.gate, plan),
    }
    if found is not None:
        row |= _effect_columns(c, found)
    row["reasons"] = joined(all_reasons(c))
    row["sentence"] = sentence(row)
    return row


def all_reasons(c: Candidate) -> list[Reason]:
    """The reasons of a verdict, and over all tasks also further notes."""
    return [*c.reasons, *_other_rules(c), *c.status.notes] if c.task == ALL else c.reasons


def _other_rules(c: Candidate) -> list[Reason]:
    """What a reader of an older word should know."""
    plan = c.in_force.plan
    older = c.in_force.declared and plan.rules < RULES
    return [reason("other_rules", planned=plan.rules, judged=RULES)] if older else []


def _scope(c: Candidate) -> str:
    if c.task != ALL:
        return f"{c.task}, {ONE_REPOSITORY}" if c.one_source else c.task
    total = len(c.in_force.plan.tasks)
    used = c.clean.source.tasks if c.clean else 0
    every = f"all {total} tasks" if total != 1 else f"{next(iter(c.in_force.plan.tasks))}, the only task"
    text = every if used == total else f"{used} of {total} tasks"
    if c.one_source:
        return f"{text}; {ONE_REPOSITORY}"
    alone = [task for task in c.in_force.plan.single_source if task in c.in_force.plan.tasks]
    return f"{text}; {', '.join(alone)} for one repository only" if alone else text


def _gate_columns(gate: Gate, plan: Plan) -> Row:
    return {
        "quality_difference": gate.difference,
        "quality_bound": gate.bound,
        "quality_margin": plan.quality.margin,
        "quality_passed": gate.passed,
        "claim_quality_difference": gate.claim.estimate.estimate,
        "claim_quality_bound": gate.claim.bound,
        "claim_quality_p": gate.claim.adjusted,
        "quality_alpha": gate.claim.level,
        "worst_task": gate.claim.worst_task,
        "worst_task_difference": gate.claim.worst_difference,
        "floor_p": gate.floor_p,
        "own_floor_p": gate.own_floor_p,
        "brevity_p": gate.brevity_p,
    }


def _effect_columns(c: Candidate, found: Effect) -> Row:
    e, (low, high) = found.source, found.interval()
    saves, costs = c.raw(found)
    row: Row = {"pairs": e.pairs, "cases": e.cases, "clusters": e.clusters, "tasks": e.tasks}
    row |= {
        "ratio": from_log(e.estimate),
        "bill_ratio": c.bill.ratio,
        "bill_low": c.bill.bound("low", c.bill_level),
        "bill_high": c.bill.bound("high", c.bill_level),
        "change_percent": 100 * (1 - from_log(e.estimate)),
    }
    row |= {"low": from_log(low), "high": from_log(high)}
    if c.uncapped is not None:
        row |= {f"{end}_uncapped": from_log(v) for end, v in zip(("low", "high"), c.uncapped.interval(), strict=True)}
    row |= {"p_saves": saves, "p_costs": costs, "p": c.p(found), "p_adjusted": c.adjusted}
    if not found.seen.usable:
        return row
    row |= dict(zip(("d_z", "d_z_low", "d_z_high"), effect_size(e), strict=True))
    row["mde_d_z"] = minimal_effect(e.clusters, c.alpha)
    cost = CostTest(e.spread, c.alpha, c.family, max(1, e.tasks), c.claim.margin_ratio, c.bill_level)
    # too few clusters decide nothing, even if a test of them would
    equal = c.gate.equal if e.clusters >= c.least_clusters else None
    row["power"] = says_saves(e.clusters, POWER_AT, cost, equal) if equal else 0.0
    row["mde_ratio"] = ratio_found(e.clusters, cost, equal) if equal else float("nan")
    if (need := _clusters_that_decide(c, found)) is not None and need > e.clusters:
        row["clusters_could_decide"] = float(need)
        row["samples_could_decide"] = float(np.ceil(need * e.cases / (e.clusters * max(e.tasks, 1))))
    return row


def _clusters_that_decide(c: Candidate, found: Effect) -> int | None:
    """Clusters with which what was seen, if it is true, would earn a word at the look that is then due.

    None if more of the same would not.
    """
    cheaper = found.source.estimate < 0
    alpha = c.in_force.plan.alpha
    level, of_this_look = gate_level(alpha, c.next_look), gate_level(alpha, c.look)
    quality = c.gate.seen and replace(c.gate.seen, level=c.gate.seen.level * level / of_this_look)
    if c.mixed or (c.bill.ratio < 1) != cheaper or (cheaper and quality is None):
        return None
    # the end that cutting off leaves open stays open, however many clusters have the same share cut off
    e = (found.most if cheaper else found.least).source
    if not (e.spread > 0 and np.isfinite(e.estimate)):
        return None
    cost, ratio = (
        CostTest(e.spread, alpha / 2**c.next_look, c.family, max(1, e.tasks), c.claim.margin_ratio, c.bill_level),
        float(np.exp(-abs(e.estimate))),
    )
    if (e.estimate < 0) != cheaper or not ratio < c.claim.margin_ratio:
        return None
    for_bill = c.bill.clusters_needed(level)
    for_word = fewest(
        lambda n: says_saves(n, ratio, cost, quality) if cheaper and quality else cost.finds(n, ratio),
        least=c.least_clusters,
    )
    return None if for_bill is None or for_word is None else max(for_bill, for_word)
