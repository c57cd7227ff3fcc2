"""How plans of a ledger relate: whether a later one continues an earlier one, and what it adds.

A plan *continues* an earlier one when it asks and claims everything that the earlier one asked and claimed, by the same
rules: it may only add. Samples that were asked under the earlier plan then count for the later one, whose look pays for
them with a smaller level. Whatever is left out or changed could have been chosen because of what the samples said.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.records.plan import DeclaredPlan, Plan

MOST_NAMED = 3


def times(plan: Plan, task: str) -> dict[str, int]:
    """How often a plan asks each case of a task in each arm; cases that it does not reach are absent."""
    cases = plan.tasks.get(task, ())
    rounds, rest = divmod(plan.samples, max(1, len(cases)))
    asked = {case: rounds + (place < rest) for place, case in enumerate(cases)}
    return {case: often for case, often in asked.items() if often}


def foreseen(plan: Plan, samples: pd.DataFrame) -> NDArray[np.bool_]:
    """Which samples a plan asks for: its models, arms, and each case as often as its samples reach."""
    inside = (samples["model"].isin(plan.models) & samples["approach"].isin(plan.approaches)).to_numpy()
    task, case = (samples[name].astype("category").cat for name in ("task", "case"))
    often = [times(plan, str(name)) for name in task.categories]
    most = np.array([[asked.get(str(name), 0) for name in case.categories] for asked in often], dtype=np.float64)
    if not len(samples):
        return np.asarray(inside, dtype=bool)
    repeat = samples["repeat"].fillna(0).to_numpy(dtype=np.float64)
    return np.asarray(inside & (repeat < most[task.codes.to_numpy(), case.codes.to_numpy()]), dtype=bool)


def departures(earlier: Plan, later: Plan) -> list[str]:
    """What the later plan leaves out or changes, in words; nothing where it continues the earlier one."""
    return [*_rules(earlier, later), *_claims(earlier, later), *_requests(earlier, later)]


def _rules(earlier: Plan, later: Plan) -> Iterator[str]:
    pairs: dict[str, tuple[object, object]] = {
        "the protocol": (earlier.protocol, later.protocol),
        "alpha": (earlier.alpha, later.alpha),
    }
    before, after = earlier.quality.model_dump(), later.quality.model_dump()
    pairs |= {f"quality.{name}": (before[name], after[name]) for name in before}
    pairs |= {
        f"options.{name}": (earlier.options.get(name), later.options.get(name))
        for name in sorted({*earlier.options, *later.options})
    }
    if later.agents:  # an earlier plan without agents is continued by one that adds them
        pairs |= {f"agent.{name}": (old, later.agents.get(name)) for name, old in earlier.agents.items()}
    yield from (f"{name} is {new} instead of {old}" for name, (old, new) in pairs.items() if old != new)
    changed = [name for name in _other_code(earlier, later) if name.startswith("scorer ")]
    yield from (f"another version of {name}" for name in changed)
    for task in earlier.tasks:
        if (task in earlier.single_source) != (task in later.single_source) and task in later.tasks:
            yield f"single_source of task '{task}' changed"


def _claims(earlier: Plan, later: Plan) -> Iterator[str]:
    made = {(claim.outcome, claim.approach): claim for claim in later.claims}
    for claim in earlier.claims:
        now = made.get((claim.outcome, claim.approach))
        if now is None:
            yield f"claim {claim.id} is left out"
            continue
        for name in ("reference", "margin_ratio"):
            old, new = getattr(claim, name), getattr(now, name)
            if old != new:
                yield f"{name} of claim {claim.id} is {new} instead of {old}"


def _requests(earlier: Plan, later: Plan) -> Iterator[str]:
    for what, before, after in (
        ("model", earlier.models, later.models),
        ("arm", earlier.approaches, later.approaches),
        ("task", tuple(earlier.tasks), tuple(later.tasks)),
    ):
        if missing := [name for name in before if name not in after]:
            yield f"{what} {_named(missing)} {_is(missing)} left out"
    if later.samples < earlier.samples:
        yield f"{plural(later.samples, 'sample')} per task and arm instead of {earlier.samples}"
    for task in earlier.tasks:
        if task not in later.tasks:
            continue
        asked, now = times(earlier, task), times(later, task)
        lost = [case for case, often in asked.items() if now.get(case, 0) < often]
        if lost and later.samples >= earlier.samples:
            yield f"case {_named(lost)} of task '{task}' {_is(lost)} left out{_how_many(asked, later, task)}"
        old, new = earlier.contents.get(task, {}), later.contents.get(task, {})
        if other := [case for case in asked if case in old and case in new and old[case] != new[case]]:
            yield f"question, files or truth of case {_named(other)} of task '{task}' changed"


def price_changes(earlier: Plan, later: Plan, model: str | None = None) -> list[str]:
    """What a later plan counts with in money that an earlier one did not, in words.

    It bears on claims about money alone. Prices that were named after the samples could have been chosen to suit them.

    Args:
        model: look at its price alone.
    """
    if earlier.prices is None:
        return ["prices came after it"] if later.prices else []
    if later.prices is None:
        return ["prices are left out"]
    before, after = earlier.prices, later.prices
    if before.currency != after.currency:
        return [f"prices are in {after.currency} instead of {before.currency}"]
    names = [model] if model else [name for name in before.rates if name in after.rates]
    changed = [name for name in names if before.rates.get(name) != after.rates.get(name)]
    return [f"the price of {_named(changed)} changed"] if changed else []


def _named(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:MOST_NAMED]) + more


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _how_many(before: dict[str, int], later: Plan, task: str) -> str:
    """With how many samples a later plan would ask all that an earlier one asked, where its cases suffice."""
    cases = list(later.tasks[task])
    if not set(before) <= set(cases):
        return ""
    needed = max((often - 1) * len(cases) + cases.index(case) + 1 for case, often in before.items())
    return f" (new cases came between: {plural(needed, 'sample')} would reach all)"


def additions(earlier: Plan, later: Plan) -> list[str]:
    """What the later plan adds, in words."""
    found = []
    if later.samples > earlier.samples:
        found.append(f"{plural(later.samples - earlier.samples, 'more sample')} per task and arm")
    for what, before, after in (
        ("task", tuple(earlier.tasks), tuple(later.tasks)),
        ("model", earlier.models, later.models),
        ("arm", earlier.approaches, later.approaches),
    ):
        if new := [name for name in after if name not in before]:
            found.append(f"{what} {_named(new)}")
    known = {(claim.outcome, claim.approach) for claim in earlier.claims}
    if fresh := [claim.id for claim in later.claims if (claim.outcome, claim.approach) not in known]:
        found.append(f"claim {', '.join(fresh)}")
    changed = [name for name, digest in later.tools.items() if earlier.tools.get(name, digest) != digest]
    if changed:
        found.append(f"another version of tool {_named(changed)}")
    arms = [name for name in _other_code(earlier, later) if name.startswith("approach ")]
    prices = ["other prices"] if earlier.prices and price_changes(earlier, later) else []
    return [*found, *(f"another version of {name}" for name in arms), *prices]


def _other_code(earlier: Plan, later: Plan) -> list[str]:
    """What both plans use of plugins and that has changed between them."""
    return [name for name, digest in later.plugins.items() if earlier.plugins.get(name, digest) != digest]


def share_requests(one: Plan, other: Plan) -> bool:
    """Whether two plans ask a model the same case."""
    tasks = (task for task in one.tasks if task in other.tasks)
    return bool(set(one.models) & set(other.models)) and any(
        times(one, task).keys() & times(other, task).keys() for task in tasks
    )


def compared_with(earlier: DeclaredPlan, later: Plan) -> str:
    """One line on what a later plan does to an earlier one's claims."""
    if changed := departures(earlier, later):
        return f"does not continue plan {earlier.plan}: {', '.join(changed)}"
    added = ", ".join(additions(earlier, later)) or "nothing new"
    return f"continues plan {earlier.plan} with {added}"
