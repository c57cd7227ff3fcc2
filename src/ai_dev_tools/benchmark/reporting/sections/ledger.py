"""The plans of a run, oldest first: what each added, and the level at which it is tested."""

from __future__ import annotations

from collections.abc import Sequence

from ai_dev_tools.benchmark.analysis.continuity import additions, departures
from ai_dev_tools.benchmark.analysis.plan_in_force import looks_of
from ai_dev_tools.benchmark.records.plan import DeclaredPlan
from ai_dev_tools.benchmark.reporting.data import RunData
from ai_dev_tools.benchmark.reporting.document import Column, Table

COLUMNS = (
    Column("number", "Plan", "number"),
    Column("plan", "Hash"),
    Column("declared", "Declared"),
    Column("samples", "Samples per task and arm", "number"),
    Column(
        "level", "Level", "number", 5, "alpha / 2^k, for the claim that most of the plans so far have made: k of them"
    ),
    Column("added", "Adds to the previous plan"),
    Column("changed", "Leaves out or changes"),
)
CAPTION = (
    "A later plan that only adds counts as one more look, and the earlier samples count for it too. If it leaves out or "
    "changes something, the results may have been the reason, so the samples of the previous plan are exploratory for it."
)


def ledger_table(data: RunData) -> Table:
    """One row per plan of the ledger; every plan has at least its hash."""
    rows = [
        {
            "number": number,
            "plan": plan.plan,
            "declared": plan.declared_at,
            "samples": plan.samples,
            "level": plan.alpha / 2 ** _looks(data.plans[:number]),
            "added": "; ".join(additions(before, plan)) if before else "",
            "changed": "; ".join(departures(before, plan)) if before else "",
        }
        for number, (plan, before) in enumerate(zip(data.plans, [None, *data.plans], strict=False), start=1)
    ]
    return Table("plans", "Plans", CAPTION, COLUMNS, rows, "No plan was declared: everything is exploratory.")


def _looks(plans: Sequence[DeclaredPlan]) -> int:
    """The highest number of looks at any claim of the last plan; plans that differ only in prices count once."""
    plan = plans[-1]
    earlier = [other for other in {each.plan: each for each in plans}.values() if other.plan != plan.plan]
    return max(looks_of(plan, earlier).values(), default=1)
