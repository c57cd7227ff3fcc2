"""Whether a claim's planned samples exist, and whether the ledger announced them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from ai_dev_tools.benchmark.analysis.continuity import additions, departures, foreseen, price_changes, share_requests
from ai_dev_tools.benchmark.analysis.plan_in_force import PlanInForce, floor_of, makes
from ai_dev_tools.benchmark.analysis.reasons import Reason, reason
from ai_dev_tools.benchmark.records.plan import Claim, DeclaredPlan, Plan
from ai_dev_tools.benchmark.records.prices import MONEY

Label = Literal["planned", "interim", "exploratory"]


@dataclass(frozen=True)
class ClaimStatus:
    """The status of one claim on one model: its label, the reasons for it, and further notes."""

    label: Label
    reasons: tuple[Reason, ...]
    planned: int
    present: int
    notes: tuple[Reason, ...] = ()


def claim_status(samples: pd.DataFrame, in_force: PlanInForce, claim: Claim, model: str) -> ClaimStatus:
    """Judge whether the planned samples of a claim all exist and were announced.

    They count if the plan itself, or an earlier plan that it continues, announced them.

    Args:
        samples: result of `planned_samples`.
    """
    plan = in_force.plan
    floor = floor_of(claim.reference, plan.quality)
    arms = [arm for arm in dict.fromkeys((claim.approach, claim.reference, floor)) if arm in plan.approaches]
    rows = samples[(samples["model"] == model) & samples["approach"].isin(arms)]
    planned = plan.samples * sum(arm in plan.arms_of(task) for task in plan.tasks for arm in arms)
    unique = rows.drop_duplicates(
        ["instance", "task", "approach", "sample" if rows["sample"].notna().all() else "case"]
    )
    present = len(unique) // max(1, rows["instance"].nunique())
    if not in_force.declared:
        return ClaimStatus("exploratory", (reason("undeclared"),), planned, present)
    unforeseen, notes = _provenance(rows, in_force, claim, model)
    if present < planned:
        early = reason("interim", present=present, planned=planned)
        return ClaimStatus("interim", (early, *unforeseen), planned, present, notes)
    return ClaimStatus("exploratory" if unforeseen else "planned", unforeseen, planned, present, notes)


def _provenance(
    rows: pd.DataFrame, in_force: PlanInForce, claim: Claim, model: str
) -> tuple[tuple[Reason, ...], tuple[Reason, ...]]:
    """Why older samples do not count, and what to know where they do."""
    plan, earlier = in_force.plan, {other.plan: other for other in in_force.earlier}
    asked_under = rows["plan"].astype("category")
    older = asked_under[(asked_under != plan.plan).to_numpy()]
    counted = {
        str(name): int(foreseen(earlier[str(name)], rows[(asked_under == name).to_numpy()]).sum())
        for name in older.dropna().unique()
        if str(name) in earlier
    }
    unforeseen = len(older) - sum(counted.values())
    reasons: list[Reason] = []
    notes: list[Reason] = []
    if unforeseen:
        reasons.append(reason("unforeseen", older=unforeseen, samples=len(rows)))
    for other in in_force.earlier:
        used = counted.get(other.plan, 0)
        concerned = used or (makes(other, claim, model) and share_requests(other, plan))
        changed = [*departures(other, plan), *(price_changes(other, plan, model) if claim.outcome == MONEY else ())]
        if concerned and changed:
            said = reason("not_continued", plan=other.plan, changes=", ".join(changed))
            # samples that may have suggested the change are not evidence for it; fresh ones are, and a reader is told
            (reasons if len(older) else notes).append(said)
        elif used:
            notes.append(_continued(used, len(rows), other, plan))
    if reasons:
        reasons.append(reason("remedy"))
    return tuple(reasons), tuple(notes)


def _continued(count: int, total: int, before: DeclaredPlan, plan: Plan) -> Reason:
    added = ", ".join(additions(before, plan)) or "nothing new"
    return reason("continued", older=count, samples=total, plan=before.plan, added=added)
