"""The plan that a profile's samples are judged by, its claims, and which look at them this is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ai_dev_tools.benchmark.analysis.continuity import share_requests
from ai_dev_tools.benchmark.analysis.money import is_priced
from ai_dev_tools.benchmark.analysis.pairing import FLOOR
from ai_dev_tools.benchmark.plugins import AGENT_FLOOR, FINDINGS_CONTROLS, is_agent, reference_for
from ai_dev_tools.benchmark.records.plan import CLAIMED_OUTCOMES, Claim, ClaimedOutcome, DeclaredPlan, Plan, QualityRule
from ai_dev_tools.benchmark.records.prices import MONEY

CONTROLS = frozenset({"no_context", *FINDINGS_CONTROLS, AGENT_FLOOR})


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

    def rests_on_time(self, claim: Claim, model: str) -> bool:
        """Whether a claim is about time, or about money that time costs."""
        prices = self.plan.prices
        paid = prices is not None and model in prices.models and prices.models[model].per_hour > 0
        return claim.outcome == "time" or (claim.outcome == MONEY and paid)


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
    return PlanInForce(plan, True, looks_of(plan, earlier), tuple(earlier))


def looks_of(plan: Plan, earlier: Sequence[DeclaredPlan]) -> dict[tuple[str, str], int]:
    """How many plans have made each claim of a plan, itself included, by claim and model.

    A claim is known by what it compares: another name, margin or reference does not reset the count.

    Args:
        earlier: the profile's plans that were declared before it.
    """
    return {(claim.id, model): _look(plan, earlier, claim, model) for claim in plan.claims for model in plan.models}


def floor_of(reference: str, rule: QualityRule) -> str:
    """The arm that shows what guessing scores where `reference` is the reference: agents have their own."""
    if is_agent(reference) == is_agent(rule.floor):
        return rule.floor
    return AGENT_FLOOR if is_agent(reference) else FLOOR


def _look(plan: Plan, earlier: Sequence[DeclaredPlan], claim: Claim, model: str) -> int:
    """How many plans have made a claim, the last one included.

    For tokens and time, plans that differ in prices alone are one: they look at the same numbers in the same way.
    """
    made = [other for other in earlier if makes(other, claim, model) and not plan.restates(other)]
    if claim.outcome == MONEY or not any(other.prices for other in (*made, plan)):
        return 1 + len(made)
    return len({json.dumps(other.without_prices(), sort_keys=True) for other in (*made, plan)})


def makes(plan: DeclaredPlan, claim: Claim, model: str) -> bool:
    """Whether a plan made this claim about this model, at any margin and with any reference."""
    same = any((c.outcome, c.approach) == (claim.outcome, claim.approach) for c in plan.claims)
    return same and model in plan.models


def bears_on(earlier: DeclaredPlan, plan: Plan) -> bool:
    """Whether an earlier plan matters for one: it asks some of the same, or makes the same claim."""
    again = any(makes(earlier, claim, model) for claim in plan.claims for model in plan.models)
    return again or share_requests(earlier, plan)


def _assumed(samples: pd.DataFrame, profile: str, reference: str) -> DeclaredPlan:
    here = samples[samples["profile"] == profile]
    arms = sorted(set(here["approach"].astype(str)))
    tested = [arm for arm in arms if arm != reference_for(arm, reference) and arm not in CONTROLS]
    pairs = here[["task", "case"]].astype(str).drop_duplicates()
    last = here["sample"].max()
    outcomes: list[ClaimedOutcome] = [*CLAIMED_OUTCOMES, MONEY] if is_priced(here) else [*CLAIMED_OUTCOMES]
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
            for outcome in outcomes
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
