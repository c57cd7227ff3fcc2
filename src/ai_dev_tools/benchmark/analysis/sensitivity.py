"""The verdicts that the same samples would get at other margins.

Exploratory: shows how much a conclusion depends on that choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from ai_dev_tools.benchmark.analysis.candidate import Candidate
from ai_dev_tools.benchmark.analysis.claims import PlanInForce, plan_in_force, planned_samples, reference_of
from ai_dev_tools.benchmark.analysis.gates import Gates
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples import Samples, SamplesLike
from ai_dev_tools.benchmark.analysis.samples_table import ALL, levels, words
from ai_dev_tools.benchmark.analysis.statistics import RESAMPLES
from ai_dev_tools.benchmark.analysis.verdicts import decide, enough_resamples, measure_profile
from ai_dev_tools.benchmark.records.plan import DeclaredPlan

COLUMNS = words("profile claim models setting value declared verdict reasons")
COST, QUALITY = "margin_ratio", "quality.margin"
OTHERS = {COST: (0.99, 0.95, 0.90, 0.80), QUALITY: (0.05, 0.10, 0.15, 0.20)}
"""Margins that are looked at besides the declared ones, one setting at a time."""


def sensitivity(
    samples: SamplesLike, plans: Sequence[DeclaredPlan] = (), *, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """One row per claim, model and margin; arguments as for `verdicts.judge`.

    `declared` is "yes" where the margin is the plan's own; the word is then that of the verdict.
    """
    prepared = Samples.of(samples, reference_of(plans))
    table, limits = prepared.frame, prepared.thresholds
    rows: list[Row] = []
    for profile in levels(table["profile"]):
        in_force = plan_in_force(table, plans, profile, prepared.reference)
        part = planned_samples(table, in_force.plan)
        gates = Gates(part, in_force)
        measured = measure_profile(part, in_force, gates, limits, enough_resamples(in_force, resamples))
        for setting, value, plan in _variants(in_force.plan):
            other = replace(in_force, plan=plan)
            judged = _again(measured, other, Gates(part, other) if setting == QUALITY else gates)
            rows += [
                {
                    "profile": profile,
                    "claim": c.claim.id,
                    "models": c.model,
                    "setting": setting,
                    "value": value,
                    "declared": "yes" if plan == in_force.plan else "",
                    "verdict": c.word,
                    "reasons": "; ".join(dict.fromkeys(c.reasons)),
                }
                for c in decide(judged, limits)
                if c.task == ALL
            ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _variants(plan: DeclaredPlan) -> Iterator[tuple[str, float, DeclaredPlan]]:
    """The plan with one margin otherwise; its own among them."""
    own = {claim.margin_ratio for claim in plan.claims}
    for value in sorted({*OTHERS[COST], *(own if len(own) == 1 else ())}, reverse=True):
        claims = tuple(claim.model_copy(update={"margin_ratio": value}) for claim in plan.claims)
        yield COST, value, plan.model_copy(update={"claims": claims})
    for value in sorted({*OTHERS[QUALITY], plan.quality.margin}):
        yield (
            QUALITY,
            value,
            plan.model_copy(update={"quality": plan.quality.model_copy(update={"margin": value})}),
        )


def _again(measured: Sequence[Candidate], in_force: PlanInForce, gates: Gates) -> list[Candidate]:
    """The candidates as measured, under another plan and before any decision."""
    claims = {claim.id: claim for claim in in_force.plan.claims}
    return [
        replace(
            c,
            in_force=in_force,
            claim=claims[c.claim.id],
            gate=gates.gate(claims[c.claim.id], c.model, c.task),
            reasons=[],
            invalid=list(c.invalid),
            checks=list(c.checks),
        )
        for c in measured
    ]
