"""What a run set out to show: its plan, its claims and which look at them this is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ai_dev_tools.benchmark.plugins import AGENT_FLOOR, reference_for
from ai_dev_tools.benchmark.records.plan import CLAIMED_OUTCOMES, Claim, DeclaredPlan

CONTROLS = frozenset({"no_context", "excerpt", "shuffled", "mismatched", AGENT_FLOOR})


def reference_of(plans: Sequence[DeclaredPlan]) -> str:
    """The arm that the latest plan compares with."""
    return next((claim.reference for plan in reversed(plans) for claim in plan.claims), "baseline")


@dataclass(frozen=True)
class PlanInForce:
    """The plan that a profile's samples are judged by.

    Attributes:
        plan: the latest plan of the profile, or assumed claims when there is none.
        declared: False when the plan was assumed.
        looks: by (claim id, model), how many plans of the profile have made that claim, this one included.
        earlier: the plans of the profile before this one, oldest first.
    """

    plan: DeclaredPlan
    declared: bool
    looks: dict[tuple[str, str], int]
    earlier: tuple[DeclaredPlan, ...] = ()


def plan_in_force(
    samples: pd.DataFrame, plans: Sequence[DeclaredPlan], profile: str, reference: str = "baseline"
) -> PlanInForce:
    """The profile's latest plan with the number of each look.

    Without a plan, the obvious claims as exploratory.
    """
    own = list({plan.plan: plan for plan in plans if plan.profile == profile}.values())
    if not own:
        return PlanInForce(_assumed(samples, profile, reference), False, {})
    *earlier, plan = own
    # a claim is known by what it compares: another name, margin or reference does not make its first look anew
    looks = {
        (claim.id, model): 1 + sum(makes(other, claim, model) for other in earlier if not plan.restates(other))
        for claim in plan.claims
        for model in plan.models
    }
    return PlanInForce(plan, True, looks, tuple(earlier))


def makes(plan: DeclaredPlan, claim: Claim, model: str) -> bool:
    """Whether a plan made this claim of this model, whatever its margin and reference."""
    same = any((c.outcome, c.approach) == (claim.outcome, claim.approach) for c in plan.claims)
    return same and model in plan.models


def _assumed(samples: pd.DataFrame, profile: str, reference: str) -> DeclaredPlan:
    here = samples[samples["profile"] == profile]
    arms = sorted(set(here["approach"].astype(str)))
    tested = [arm for arm in arms if arm != reference_for(arm, reference) and arm not in CONTROLS]
    pairs = here[["task", "case"]].astype(str).drop_duplicates()
    last = here["sample"].max()
    return DeclaredPlan(
        plan="none",
        profile=profile,
        models=tuple(sorted(set(here["model"].astype(str)))),
        tasks={str(task): tuple(part["case"]) for task, part in pairs.groupby("task")},
        approaches=tuple(arms),
        samples=int(last) + 1 if np.isfinite(last) else max(1, len(here)),
        claims=tuple(
            Claim(id=f"{outcome}:{arm}", outcome=outcome, approach=arm, reference=reference_for(arm, reference))
            for arm in tested
            for outcome in CLAIMED_OUTCOMES
        ),
    )


def planned_samples(samples: pd.DataFrame, plan: DeclaredPlan) -> pd.DataFrame:
    """The prepared samples that belong to a plan.

    Those of its profile, models, tasks and cases; of each arm, the first n.
    """
    task, case = samples["task"].cat, samples["case"].cat
    planned = np.zeros((len(task.categories), len(case.categories)), dtype=bool)
    for row, name in enumerate(task.categories):
        planned[row] = np.isin(list(case.categories), list(plan.tasks.get(str(name), ())))
    inside = planned[task.codes.to_numpy(), case.codes.to_numpy()]
    inside &= ((samples["profile"] == plan.profile) & samples["model"].isin(plan.models)).to_numpy()
    return samples[inside & ~(samples["sample"] >= plan.samples).to_numpy()]
