"""The cheapest design that can decide, if prices are known: models, repeats and arms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.analysis.plan_in_force import floor_of
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.planning.planner import Target, plan
from ai_dev_tools.benchmark.planning.spending import Range, Spending
from ai_dev_tools.benchmark.records.plan import Plan
from ai_dev_tools.benchmark.records.prices import money

REPEATS = (1, 2, 3)
FEW_CASES = 6
"""Cases per task on which the controls are run."""


@dataclass(frozen=True)
class Design:
    """A run that says "saves" of the wished effect with the wished power, for the least money.

    Attributes:
        models, arms: that it asks.
        repeats: of each case.
        clusters: in all tasks together; `enough` is False where the tasks have fewer.
        samples: per task and arm.
        cost: of all its requests, in `currency`.
        controls: arms of the run that no claim needs; on all cases they cost `controls_cost` more, and on a few
            `few_controls_cost`.
    """

    models: tuple[str, ...]
    arms: tuple[str, ...]
    repeats: int
    clusters: int
    enough: bool
    samples: int
    requests: int
    cost: Range
    currency: str
    controls: tuple[str, ...]
    controls_cost: Range
    few_controls_cost: Range

    def content(self) -> Row:
        """For programs."""
        ranges = ("cost", "controls_cost", "few_controls_cost")
        return {name: vars(value) if name in ranges else value for name, value in vars(self).items()}

    def lines(self) -> Iterator[str]:
        """For people."""
        claim, lack = "Cheapest design that can decide", ""
        if not self.enough:
            claim, lack = "No design can decide with these tasks; the cheapest would be", ", more than the tasks have"
        shown = " to ".join(money(end, self.currency) for end in (self.cost.low, self.cost.high))
        yield (
            f"{claim}: {', '.join(self.models)}, {self.repeats} x each case, "
            f"{plural(self.clusters, 'cluster')}{lack}, arms {', '.join(self.arms)}: "
            f"{plural(self.samples, 'sample')} per task and arm, "
            f"{plural(self.requests, 'request')}, about {money(self.cost.expected, self.currency)} ({shown})"
        )
        if self.controls:
            yield (
                f"  Controls ({', '.join(self.controls)}) would add about {money(self.controls_cost.expected, self.currency)} on "
                f"all cases, and {money(self.few_controls_cost.expected, self.currency)} on {FEW_CASES} of each task, in a "
                "separate profile"
            )


def cheapest(
    declared: Plan, pilot: Samples, target: Target, spending: Spending, available: int, outcomes: Sequence[str]
) -> Design | None:
    """The cheapest of these designs.

    One model or all, each case once to three times, and the arms that claims need.

    None where no size would do, or what requests cost is not known. One that the tasks have clusters for goes first.
    """
    if not spending.per_request:
        return None
    models = list(dict.fromkeys(declared.models))
    choices = [(model,) for model in models] + ([tuple(models)] if len(models) > 1 else [])
    found = [
        design
        for chosen in choices
        for repeats in REPEATS
        if (design := _design(declared, pilot, target, spending, available, outcomes, chosen, repeats))
    ]
    return min(found, key=lambda design: (not design.enough, design.cost.expected), default=None)


def needed_arms(plan: Plan) -> set[str]:
    """The arms that the plan's claims need: those compared, and the floor."""
    return {
        arm
        for claim in plan.claims
        for arm in (claim.approach, claim.reference, floor_of(claim.reference, plan.quality))
    }


def _design(
    declared: Plan, pilot: Samples, target: Target, spending: Spending, available: int, outcomes: Sequence[str],
    models: tuple[str, ...], repeats: int,
) -> Design | None:  # fmt: skip
    needed = needed_arms(declared)
    arms = tuple(arm for arm in declared.approaches if arm in needed)
    controls = tuple(arm for arm in declared.approaches if arm not in needed)
    tasks, goal = (
        len(declared.tasks),
        replace(target, tests=len(declared.claims) * len(models), model_count=len(models)),
    )
    asked = {arm: sum(arm in declared.arms_of(task) for task in declared.tasks) for arm in declared.approaches}
    sizes = plan(pilot, goal, models=models, tasks=tasks, repeats=[repeats], outcomes=outcomes)
    clusters = sizes["clusters"].to_numpy(dtype=float, na_value=np.nan)
    if np.isnan(clusters).any():
        return None
    most = int(clusters.max())
    samples = max(2, int(np.ceil(most / tasks))) * repeats

    def cost(of: Sequence[str], each: int) -> Range:
        known = ((asked[arm], spending.per_request.get((model, arm))) for model in models for arm in of)
        return Range.total(found.times(each * tasks_of) for tasks_of, found in known if found)

    few, requests = min(FEW_CASES, samples), samples * sum(asked[arm] for arm in arms) * len(models)
    return Design(
        models, arms, repeats, most, most <= available, samples, requests,
        cost(arms, samples), spending.currency, controls, cost(controls, samples), cost(controls, few),
    )  # fmt: skip
