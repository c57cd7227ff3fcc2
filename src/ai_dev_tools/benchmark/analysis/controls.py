"""Whether control arms are as long as intended: their prompt tokens compared with the tool's arm."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ai_dev_tools.benchmark.analysis.samples import Samples, SamplesLike
from ai_dev_tools.benchmark.analysis.samples_table import ALL, levels
from ai_dev_tools.benchmark.plugins import FINDINGS_CONTROLS, TOOL_PREFIX

COMPARABLE = (0.9, 1.1)
"""Realised ratios of prompt tokens within which an excerpt has the length of the findings."""
COLUMNS = ["profile", "model", "task", "approach", "reference", "pairs", "token_ratio", "comparable", "note"]


def realised_lengths(samples: SamplesLike, reference: str = "tools") -> pd.DataFrame:
    """Prompt tokens of each control arm over those of the tool's arm that it was made from, pair by pair.

    Args:
        samples: prepared samples, or a samples table.
        reference: the arm whose findings the controls were made from; where it is not there, the only tools-NAME.

    Returns:
        One row per profile, model, control arm and task, and one over all tasks ("(all)"). `token_ratio` is total input
        tokens over total input tokens of pairs that completed in both arms. `comparable` is asked of `excerpt` only,
        which is cut by characters: a text with other tokens per character is not an excerpt of the same length.
    """
    table = Samples.of(samples).frame
    arms = levels(table["approach"])
    named = [arm for arm in arms if arm.startswith(TOOL_PREFIX)]
    if len(named) == 1 and reference not in arms:
        reference = named[0]
    keys = ["profile", "instance", "model", "task", "sample"]
    known = table.loc[
        (table["status"] == "completed") & (table["input_tokens"] > 0), [*keys, "approach", "input_tokens"]
    ]
    rows = []
    for arm in FINDINGS_CONTROLS:
        own, other = (known[known["approach"] == name] for name in (arm, reference))
        pairs = own[[*keys, "input_tokens"]].merge(other[[*keys, "input_tokens"]], on=keys, suffixes=("", "_tools"))
        for (profile, model), part in pairs.groupby(["profile", "model"], observed=True, sort=True):
            scopes = [(ALL, part), *part.groupby("task", observed=True, sort=True)]
            rows += [_row(str(profile), str(model), str(task), arm, reference, scope) for task, scope in scopes]
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(profile: str, model: str, task: str, arm: str, reference: str, pairs: pd.DataFrame) -> tuple[object, ...]:
    ratio = float(pairs["input_tokens"].sum() / pairs["input_tokens_tools"].sum())
    low, high = COMPARABLE
    inside = bool(np.isfinite(ratio) and low <= ratio <= high)
    note = "" if inside or arm != "excerpt" else f"not of equal length: outside {low:g} to {high:g}, so not compared"
    return (profile, model, task, arm, reference, len(pairs), ratio, inside if arm == "excerpt" else None, note)
