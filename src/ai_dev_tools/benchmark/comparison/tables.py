"""Several runs side by side: costs of each arm, effects within each run, differences between two."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from ai_dev_tools.benchmark.analysis.comparison import compare
from ai_dev_tools.benchmark.analysis.metrics import compute_metrics, wide
from ai_dev_tools.benchmark.analysis.money import is_priced
from ai_dev_tools.benchmark.analysis.pairing import By
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.comparison.run import StoredRun
from ai_dev_tools.benchmark.plugins import reference_for
from ai_dev_tools.benchmark.records.prices import CURRENCY, MONEY

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
MONEY_MEASURES = ["money_mean", "money_per_point"]
KEY = ["task", "case", "repeat"]


def together(runs: Sequence[StoredRun]) -> pd.DataFrame:
    """The samples of all runs, with the run's name as column `run`."""
    return pd.concat([run.samples.assign(run=run.name) for run in runs], ignore_index=True)


def shared_cases(samples: Samples, by: str) -> Samples:
    """Only the (task, case, repeat) that were asked under every value of column `by`."""
    frame = samples.frame
    sides = [set(map(tuple, part[KEY].drop_duplicates().to_numpy())) for _, part in frame.groupby(by, observed=True)]
    common = set.intersection(*sides) if sides else set()
    return samples.part(np.array([key in common for key in map(tuple, frame[KEY].to_numpy())], dtype=bool))


def per_run(samples: Samples, names: Sequence[str], make: Callable[[Samples], pd.DataFrame]) -> pd.DataFrame:
    """What `make` gives for each run by itself, with the run's name as first column.

    Runs in the order of `names`.
    """
    made = [make(samples.where("run", name)) for name in names]
    for name, table in zip(names, made, strict=True):
        table.insert(0, "run", name)
    return pd.concat(made, ignore_index=True)


def compared(samples: Samples) -> list[str]:
    """What is compared: money too, where every sample has a price in one currency."""
    return [*COMPARED[:2], *([MONEY] if _all_priced(samples) else []), *COMPARED[2:]]


def _all_priced(samples: Samples) -> bool:
    return is_priced(samples.frame) and bool(samples.frame[CURRENCY].notna().all())


def arms(samples: Samples) -> pd.DataFrame:
    """One row per profile, model and arm over all tasks: number of requests, quality and cost."""
    more = MONEY_MEASURES if _all_priced(samples) else []
    table = wide(compute_metrics(samples, only=[*MEASURES, *more]))
    table = table[(table["task"] == ALL) & (table[["profile", "model", "approach"]] != ALL).all(axis=1)]
    return table.reindex(columns=[*ARM_COLUMNS, *more]).reset_index(drop=True)


def effects(samples: Samples, reference: str) -> pd.DataFrame:
    """Every arm against its reference within its own run, per profile and model, over all tasks."""
    held = [(arm, reference_for(arm, reference)) for arm in samples.levels("approach")]
    parts = [
        compare(samples, arm, against, comparisons=compared(samples), strata=False)
        for arm, against in held
        if arm != against
    ]
    return _chosen(parts, EFFECT_COLUMNS, tasks=False)


def changes(samples: Samples, after: str, before: str, by: By, tasks: bool = False) -> pd.DataFrame:
    """What differs between two runs or profiles: arm by arm, over the models and cases that both have.

    Args:
        by: the column that `after` and `before` are values of.
        tasks: also task by task, in a column `task`; otherwise over all tasks only.
    """
    parts = []
    for arm in samples.levels("approach"):
        # an arm is compared with itself: when its requests ran compared with those of the reference does not matter here
        mine = samples.by_themselves((samples.frame["approach"] == arm).to_numpy())
        parts.append(compare(mine, after, before, by=by, comparisons=compared(samples), strata=False).assign(arm=arm))
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
