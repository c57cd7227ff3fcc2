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
    """Tasks whose cases all come from one project: what is said of them holds for that project, however many clusters."""
    rules: int = 1
    """Version of the rules that verdicts are made by."""
    protocol: int | None = None
    options: dict[str, Any] = {}
    contents: dict[str, dict[str, str]] = {}
    """By task and case, a digest of question, files and truth; plans of older versions have none."""
    tools: dict[str, str] = {}
    """A digest of each tool's file; plans of older versions have none."""


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
        earlier: the plans of the profile before this one, oldest first.
    """

    plan: Plan
    declared: bool
    looks: dict[tuple[str, str], int]
    earlier: tuple[Plan, ...] = ()


def undertaking(samples: pd.DataFrame, plans: Sequence[Plan], profile: str) -> Undertaking:
    """The profile's latest plan with the number of each look; without a plan, the obvious claims as exploratory."""
    own = list({plan.plan: plan for plan in plans if plan.profile == profile}.values())
    if not own:
        return Undertaking(_assumed(samples, profile), False, {})
    *earlier, plan = own
    # a claim is known by what it compares: another name, margin or reference does not make its first look anew
    looks = {
        (claim.id, model): 1 + sum(makes(other, claim, model) for other in earlier if not _restated(other, plan))
        for claim in plan.claims
        for model in plan.models
    }
    return Undertaking(plan, True, looks, tuple(earlier))


def makes(plan: Plan, claim: Claim, model: str) -> bool:
    """Whether a plan made this claim of this model, whatever its margin and reference."""
    same = any((c.endpoint, c.approach) == (claim.endpoint, claim.approach) for c in plan.claims)
    return same and model in plan.models


def _restated(earlier: Plan, later: Plan) -> bool:
    """Whether the later plan is the earlier one, as a newer version of this project writes it: no look of its own."""
    content = {name: getattr(earlier, name) for name in earlier.model_fields_set - {"plan", "rules"}}
    return earlier.rules < later.rules and all(getattr(later, name) == value for name, value in content.items())


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


def planned_samples(samples: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """The prepared samples that the plan speaks of: its profile, models, tasks, cases, the first n of each arm."""
    task, case = samples["task"].cat, samples["case"].cat
    planned = np.zeros((len(task.categories), len(case.categories)), dtype=bool)
    for row, name in enumerate(task.categories):
        planned[row] = np.isin(list(case.categories), list(plan.tasks.get(str(name), ())))
    inside = planned[task.codes.to_numpy(), case.codes.to_numpy()]
    inside &= ((samples["profile"] == plan.profile) & samples["model"].isin(plan.models)).to_numpy()
    return samples[inside & ~(samples["sample"] >= plan.samples).to_numpy()]
