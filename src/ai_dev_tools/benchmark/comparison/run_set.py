"""A set of runs for comparisons and batches: their samples, arms, effects and model sizes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.comparison.run import StoredRun
from ai_dev_tools.benchmark.comparison.tables import arms, effects, per_run
from ai_dev_tools.benchmark.records.about import RunAbout
from ai_dev_tools.benchmark.records.model_size import parameters, recorded_size
from ai_dev_tools.benchmark.records.plan import Plan
from ai_dev_tools.benchmark.reporting.data import RunData, is_claimed, plain_samples


@dataclass(frozen=True)
class RunSet:
    """Runs next to each other.

    Attributes:
        runs: in the order in which they are shown.
        samples: those that are put next to each other, prepared, with the run's name as column `run`.
    """

    runs: tuple[StoredRun, ...]
    samples: Samples

    @cached_property
    def arms(self) -> pd.DataFrame:
        """One row per run, model and arm over all tasks."""
        return per_run(self.samples, self.names, arms)

    @cached_property
    def effects(self) -> pd.DataFrame:
        """Every arm against the reference within each run, over all tasks."""
        return per_run(self.samples, self.names, lambda part: effects(part, self.reference))

    @cached_property
    def sizes(self) -> dict[str, tuple[float, str]]:
        """Billions of parameters of each model whose size is known, and where that is known from."""
        sessions = [session for run in self.runs for session in run.sessions]
        found: dict[str, tuple[float, str]] = {}
        for model in self.samples.levels("model"):
            if (size := recorded_size(model, sessions)) is not None:
                found[model] = (size, "server")
            elif (size := parameters(model)) is not None:
                found[model] = (size, "name")
        return found

    @cached_property
    def data(self) -> dict[str, RunData]:
        """Each run as the sections of its own report see it, from its samples, plan and verdicts."""
        return {run.name: _as_data(run) for run in self.runs}

    @property
    def margin(self) -> float:
        """The ratio below which a claim counts as saving: the strictest of the runs' plans."""
        return min(one.margin for one in self.data.values())

    @property
    def reference(self) -> str:
        """The arm that the others are compared with; agents have their own."""
        return self.samples.reference

    @cached_property
    def against(self) -> str:
        """The arms that others are compared with, for a sentence: `baseline`, or `agent or baseline`."""
        return " or ".join(sorted(set(self.effects["reference"].dropna().astype(str)))) or self.reference

    @property
    def names(self) -> list[str]:
        return [run.name for run in self.runs]

    def ordered(self, rows: list[Row]) -> list[Row]:
        """Rows from small to large models, runs in their order, tools before other approaches."""

        def place(row: Row) -> tuple[float, str, int, bool, str]:
            size = self.sizes.get(row["model"], (float("inf"), ""))[0]
            return size, row["model"], self.names.index(row["run"]), not is_claimed(row["approach"]), row["approach"]

        return sorted(rows, key=place)


def _as_data(run: StoredRun) -> RunData:
    return RunData(
        about=_planned(run.plans[-1]) if run.plans else RunAbout(),
        samples=plain_samples(run.samples),
        verdicts=pd.DataFrame(run.verdicts),
        plans=run.plans,
        sessions=run.sessions,
    )


def _planned(plan: Plan) -> RunAbout:
    """What the plan says that the run asks for."""
    return RunAbout(
        profile={"name": plan.profile},
        models=list(plan.models),
        tasks={task: task.replace("_", " ") for task in plan.tasks},
        approaches=dict.fromkeys(plan.approaches, ""),
        expected={task: plan.expected(task) for task in plan.tasks},
    )


def overall(verdicts: list[Row]) -> list[Row]:
    """The verdicts over all tasks, those that claims are about."""
    return [row for row in verdicts if row.get("task") == ALL]
