"""Several runs side by side: what each arm took, what the tools changed within each run, what differs between two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from ai_dev_tools.benchmark.analysis.comparison import compare
from ai_dev_tools.benchmark.analysis.metrics import compute_metrics, wide
from ai_dev_tools.benchmark.analysis.samples_table import ALL, prepare
from ai_dev_tools.benchmark.comparison.run import Run

MEASURES = [
    "samples", "success_rate", "quality", "input_tokens_mean", "output_tokens_mean", "total_tokens_mean",
    "duration_mean", "tokens_per_second", "throughput", "decode_tokens_per_second", "tokens_per_point",
]  # fmt: skip
INTERVALS = ["quality_low", "quality_high"]
ARM_COLUMNS = ["profile", "model", "approach", *MEASURES, *INTERVALS]
EFFECT_COLUMNS = [
    "profile", "model", "approach", "reference", "comparison", "value", "low", "high", "change_percent",
    "pairs", "clusters", "note",
]  # fmt: skip
COMPARED = ["tokens", "time", "quality"]
KEY = ["task", "case", "repeat"]


def together(runs: Sequence[Run]) -> pd.DataFrame:
    """The samples of all runs, with the run's name as column `run`."""
    return pd.concat([run.samples.assign(run=run.name) for run in runs], ignore_index=True)


def shared_cases(samples: pd.DataFrame, by: str) -> pd.DataFrame:
    """Only the (task, case, repeat) that were asked under every value of column `by`."""
    sides = [set(map(tuple, part[KEY].drop_duplicates().to_numpy())) for _, part in samples.groupby(by, observed=True)]
    common = set.intersection(*sides) if sides else set()
    keep = [key in common for key in map(tuple, samples[KEY].to_numpy())]
    return samples[keep].reset_index(drop=True)


def by_run(samples: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The samples of each run, prepared; runs in the order in which they come."""
    names = samples["run"].astype(str)
    return {name: prepare(samples[names == name]) for name in dict.fromkeys(names)}


def per_run(parts: Mapping[str, pd.DataFrame], make: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """What `make` gives for each run by itself, with the run's name as first column."""
    made = [make(part) for part in parts.values()]
    for name, table in zip(parts, made, strict=True):
        table.insert(0, "run", name)
    return pd.concat(made, ignore_index=True)


def arms(samples: pd.DataFrame) -> pd.DataFrame:
    """One row per profile, model and arm over all tasks: number of requests, quality and cost."""
    table = wide(compute_metrics(prepare(samples), only=MEASURES))
    table = table[(table["task"] == ALL) & (table[["profile", "model", "approach"]] != ALL).all(axis=1)]
    return table.reindex(columns=ARM_COLUMNS).reset_index(drop=True)


def effects(samples: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Every arm against the reference within its own run, per profile and model, over all tasks."""
    prepared = prepare(samples)
    others = [arm for arm in sorted(set(samples["approach"].astype(str))) if arm != reference]
    parts = [compare(prepared, arm, reference, comparisons=COMPARED, strata=False) for arm in others]
    return _chosen(parts, EFFECT_COLUMNS, tasks=False)


def changes(samples: pd.DataFrame, after: str, before: str, by: Any, tasks: bool = False) -> pd.DataFrame:
    """What differs between two runs or profiles: arm by arm, over the models and cases that both have.

    Args:
        by: the column that `after` and `before` are values of.
        tasks: also task by task, in a column `task`; otherwise over all tasks only.
    """
    prepared = prepare(samples)
    parts = []
    for arm in sorted(set(samples["approach"].astype(str))):
        mine = prepared[prepared["approach"] == arm]
        parts.append(compare(mine, after, before, by=by, comparisons=COMPARED, strata=False).assign(arm=arm))
    table = _chosen(parts, [*EFFECT_COLUMNS, "arm", *(["task"] if tasks else [])], tasks)
    table = table.rename(columns={"approach": "after", "reference": "before", "arm": "approach"})
    first = ["model", *(["task"] if tasks else []), "approach", "after", "before"]
    return table[[*first, *(name for name in table.columns if name not in (*first, "profile"))]]


def _chosen(parts: Sequence[pd.DataFrame], columns: Sequence[str], tasks: bool) -> pd.DataFrame:
    """Rows of single models over all tasks, or also of each task."""
    if not parts:
        return pd.DataFrame(columns=list(columns))
    table = pd.concat(parts, ignore_index=True)
    wanted = (table["stratum"] == ALL) & (table["model"] != ALL)
    return (
        table[wanted if tasks else wanted & (table["task"] == ALL)]
        .reindex(columns=list(columns))
        .reset_index(drop=True)
    )
