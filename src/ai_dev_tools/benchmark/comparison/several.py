"""Several runs as the sections of a comparison or batch see them: their samples, arms, effects and model sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.comparison.run import Run
from ai_dev_tools.benchmark.comparison.tables import arms, by_run, effects, per_run
from ai_dev_tools.benchmark.records.model_size import parameters, recorded_size
from ai_dev_tools.benchmark.records.plan import Plan
from ai_dev_tools.benchmark.reporting.data import RunData, is_claimed, plain_samples


@dataclass(frozen=True)
class SeveralRuns:
    """Runs next to each other.

    Attributes:
        runs: in the order in which they are shown.
        samples: those that are put next to each other, with the run's name as column `run`.
        reference: the arm that the others are compared with.
    """

    runs: tuple[Run, ...]
    samples: pd.DataFrame
    reference: str

    @cached_property
    def parts(self) -> dict[str, pd.DataFrame]:
        """The samples of each run, prepared."""
        return by_run(self.samples)

    @cached_property
    def arms(self) -> pd.DataFrame:
        """One row per run, model and arm over all tasks."""
        return per_run(self.parts, arms)

    @cached_property
    def effects(self) -> pd.DataFrame:
        """Every arm against the reference within each run, over all tasks."""
        return per_run(self.parts, lambda part: effects(part, self.reference))

    @cached_property
    def sizes(self) -> dict[str, tuple[float, str]]:
        """Billions of parameters of each model whose size is known, and where that is known from."""
        sessions = [session for run in self.runs for session in run.sessions]
        found: dict[str, tuple[float, str]] = {}
        for model in sorted(set(self.samples["model"].astype(str))):
            if (size := recorded_size(model, sessions)) is not None:
                found[model] = (size, "server")
            elif (size := parameters(model)) is not None:
                found[model] = (size, "name")
        return found

    @cached_property
    def data(self) -> dict[str, RunData]:
        """Each run as the sections of its own report see it, as far as samples, plan and verdicts tell."""
        return {run.name: _as_data(run) for run in self.runs}

    @property
    def margin(self) -> float:
        """The ratio below which a claim counts as saving: the strictest of the runs' plans."""
        return min(one.margin for one in self.data.values())

    @property
    def names(self) -> list[str]:
        return [run.name for run in self.runs]

    def ordered(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Rows from small to large models, runs in their order, tools before other approaches."""

        def place(row: Mapping[str, Any]) -> tuple[Any, ...]:
            size = self.sizes.get(row["model"], (float("inf"), ""))[0]
            return size, row["model"], self.names.index(row["run"]), not is_claimed(row["approach"]), row["approach"]

        return sorted(rows, key=place)


def _as_data(run: Run) -> RunData:
    return RunData(
        about=_planned(run.plans[-1]) if run.plans else {},
        samples=plain_samples(run.samples),
        verdicts=pd.DataFrame(run.verdicts),
        plans=run.plans,
        sessions=run.sessions,
    )


def _planned(plan: Plan) -> dict[str, Any]:
    """What the plan says that the run asks for, in the words of `Experiment.about`."""
    return {
        "profile": plan.profile,
        "models": list(plan.models),
        "tasks": {task: task.replace("_", " ") for task in plan.tasks},
        "approaches": dict.fromkeys(plan.approaches, ""),
        "expected": dict.fromkeys(plan.tasks, plan.samples * len(plan.approaches)),
    }


def overall(verdicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The verdicts over all tasks, those that claims are about."""
    return [row for row in verdicts if row.get("task") == ALL]
