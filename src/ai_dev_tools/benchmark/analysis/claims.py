"""What a run set out to show: the claims of its plan, which look this is, and whether the planned samples are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ai_dev_tools.benchmark.errors import ConfigurationError

CONTROLS = frozenset({"no_context", "excerpt", "shuffled", "mismatched"})
Label = Literal["planned", "interim", "exploratory"]
Ratio = Annotated[float, Field(gt=0, lt=1)]


class _Entry(BaseModel):
    """A part of a plan; a newer plan may say more than this reads."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Claim(_Entry):
    """One thing a plan sets out to show."""

    id: str
    endpoint: Literal["tokens", "time"]
    approach: str
    reference: str = "baseline"
    margin_ratio: Ratio = 0.95


class QualityRule(_Entry):
    """When answers count as not worse: margins are absolute differences of the 0..1 score."""

    margin: Ratio = 0.10
    task_veto: Ratio = 0.20
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    floor: str = "no_context"


class Plan(_Entry):
    """The part of a ledger entry that verdicts need."""

    plan: str
    profile: str
    models: tuple[str, ...]
    tasks: dict[str, tuple[str, ...]]
    approaches: tuple[str, ...]
    samples: Annotated[int, Field(ge=1)]
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    claims: tuple[Claim, ...]
    quality: QualityRule = QualityRule()
    single_source: tuple[str, ...] = ()
    """Tasks whose cases all come from one file: what is said of them holds for that file, however many clusters."""


def parse_plans(entries: Sequence[Mapping[str, Any]]) -> list[Plan]:
    """Ledger entries as plans, oldest first.

    Raises:
        ConfigurationError: an entry is not a plan.
    """
    plans = []
    for number, entry in enumerate(entries, start=1):
        data = {
            key: list(value) if key == "models" and not isinstance(value, str) else value
            for key, value in entry.items()
        }
        try:
            plans.append(Plan.model_validate(data))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"]))
            raise ConfigurationError(f"plan {number} of the ledger: '{field}': {first['msg']}") from None
    return plans


@dataclass(frozen=True)
class Undertaking:
    """The plan that a profile's samples are judged by.

    Attributes:
        plan: the latest plan of the profile, or assumed claims when there is none.
        declared: False when the plan was assumed.
        looks: by (claim id, model), how many plans of the profile have made that claim, this one included.
    """

    plan: Plan
    declared: bool
    looks: dict[tuple[str, str], int]


def undertaking(samples: pd.DataFrame, plans: Sequence[Plan], profile: str) -> Undertaking:
    """The profile's latest plan with the number of each look; without a plan, the obvious claims as exploratory."""
    own = [plan for plan in plans if plan.profile == profile]
    if not own:
        return Undertaking(_assumed(samples, profile), False, {})
    looks: dict[tuple[str, str], int] = {}
    seen: set[str] = set()
    for plan in own:
        if plan.plan in seen:
            continue
        seen.add(plan.plan)
        for claim in plan.claims:
            for model in plan.models:
                looks[claim.id, model] = looks.get((claim.id, model), 0) + 1
    return Undertaking(own[-1], True, looks)


def _assumed(samples: pd.DataFrame, profile: str) -> Plan:
    here = samples[samples["profile"] == profile]
    arms = sorted(set(here["approach"].astype(str)))
    tested = [arm for arm in arms if arm != "baseline" and arm not in CONTROLS]
    pairs = here[["task", "case"]].astype(str).drop_duplicates()
    last = here["sample"].max()
    return Plan(
        plan="none",
        profile=profile,
        models=tuple(sorted(set(here["model"].astype(str)))),
        tasks={str(task): tuple(part["case"]) for task, part in pairs.groupby("task")},
        approaches=tuple(arms),
        samples=int(last) + 1 if np.isfinite(last) else max(1, len(here)),
        claims=tuple(
            Claim(id=f"{endpoint}:{arm}", endpoint=endpoint, approach=arm)
            for arm in tested
            for endpoint in ("tokens", "time")
        ),
    )


@dataclass(frozen=True)
class Standing:
    """What may be said of one claim on one model: `label`, and why it is less than planned."""

    label: Label
    reasons: tuple[str, ...]
    planned: int
    present: int


def planned_samples(samples: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """The prepared samples that the plan speaks of: its profile, models, tasks, cases, the first n of each arm."""
    task, case = samples["task"].cat, samples["case"].cat
    planned = np.zeros((len(task.categories), len(case.categories)), dtype=bool)
    for row, name in enumerate(task.categories):
        planned[row] = np.isin(list(case.categories), list(plan.tasks.get(str(name), ())))
    inside = planned[task.codes.to_numpy(), case.codes.to_numpy()]
    inside &= ((samples["profile"] == plan.profile) & samples["model"].isin(plan.models)).to_numpy()
    return samples[inside & ~(samples["sample"] >= plan.samples).to_numpy()]


def standing(samples: pd.DataFrame, work: Undertaking, claim: Claim, model: str) -> Standing:
    """Judge whether the planned samples of a claim are all there and younger than the plan.

    Args:
        samples: result of `planned_samples`.
    """
    plan = work.plan
    arms = [
        arm for arm in dict.fromkeys((claim.approach, claim.reference, plan.quality.floor)) if arm in plan.approaches
    ]
    rows = samples[(samples["model"] == model) & samples["approach"].isin(arms)]
    planned = plan.samples * len(plan.tasks) * len(arms)
    unique = rows.drop_duplicates(
        ["instance", "task", "approach", "sample" if rows["sample"].notna().all() else "case"]
    )
    instances = max(1, rows["instance"].nunique())
    present = len(unique) // instances
    if not work.declared:
        return Standing("exploratory", ("no plan was declared before the run",), planned, present)
    reasons = []
    older = int((rows["plan"] != plan.plan).sum())
    if older:
        reasons.append(f"{older} of {len(rows)} samples are older than the plan")
    if present < planned:
        return Standing(
            "interim", (f"interim look: {present} of {planned} planned samples are there", *reasons), planned, present
        )
    return Standing("exploratory" if reasons else "planned", tuple(reasons), planned, present)
