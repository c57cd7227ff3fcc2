"""The verdicts that the same samples would get at other margins.

Exploratory: shows how much a conclusion depends on that choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pandas as pd

from ai_dev_tools.benchmark.analysis.candidate import Candidate
from ai_dev_tools.benchmark.analysis.plan_in_force import PlanInForce
from ai_dev_tools.benchmark.analysis.quality_gates import Gates
from ai_dev_tools.benchmark.analysis.reasons import joined
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples_table import ALL, words
from ai_dev_tools.benchmark.analysis.verdicts import MeasuredPlan, decide
from ai_dev_tools.benchmark.records.plan import DeclaredPlan

COLUMNS = words("profile claim models setting value declared verdict reasons")
COST, QUALITY = "margin_ratio", "quality.margin"
OTHERS = {COST: (0.99, 0.95, 0.90, 0.80), QUALITY: (0.05, 0.10, 0.15, 0.20)}
"""Margins to try in addition to the declared ones, one setting at a time."""


def sensitivity(measured: Iterable[MeasuredPlan]) -> pd.DataFrame:
    """One row per claim, model and margin.

    `declared` is "yes" where the margin is the plan's own; the word is then that of the verdict.
    """
    rows: list[Row] = []
    for part in measured:
        declared = part.in_force.plan
        for setting, value, plan in _variants(declared):
            other = replace(part.in_force, plan=plan)
            again = _again(part, other, Gates(part.samples, other) if setting == QUALITY else part.gates)
            rows += [
                {
                    "profile": declared.profile,
                    "claim": c.claim.id,
                    "models": c.model,
                    "setting": setting,
                    "value": value,
                    "declared": "yes" if plan == declared else "",
                    "verdict": c.word,
                    "reasons": joined(c.reasons),
                }
                for c in decide(again, part.limits)
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


def _again(measured: MeasuredPlan, in_force: PlanInForce, gates: Gates) -> list[Candidate]:
    """The candidates as measured, under another plan."""
    claims = {claim.id: claim for claim in in_force.plan.claims}
    return [
        replace(
            c,
            in_force=in_force,
            claim=claims[c.claim.id],
            gate=gates.gate(claims[c.claim.id], c.model, c.task),
        )
        for c in measured.candidates
    ]
