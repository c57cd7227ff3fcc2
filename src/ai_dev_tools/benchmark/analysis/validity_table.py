"""The validity ledger: what every check said of every sample."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ai_dev_tools.benchmark.analysis.check_results import categorical
from ai_dev_tools.benchmark.analysis.samples import Samples, SamplesLike
from ai_dev_tools.benchmark.analysis.samples_table import words
from ai_dev_tools.benchmark.plugins import CHECKS

IDENTITY = words("profile instance model task approach sample case")
LEDGER = [*IDENTITY, *words("check status value voids")]


def check_samples(samples: SamplesLike) -> pd.DataFrame:
    """The validity ledger: one row per sample and check, in the order of samples, then of checks.

    Columns: profile, instance, model, task, approach, sample, case, check, status (ok, flagged, unknown), value
    (float32, in the check's unit), voids (outcomes a flagged sample is removed from). Text columns are categorical.
    """
    prepared = Samples.of(samples)
    table, results = prepared.frame, prepared.checks
    size = len(results)
    columns: dict[str, object] = {}
    for name in IDENTITY:
        source = table[name]
        if isinstance(source.dtype, pd.CategoricalDtype):
            repeated = np.repeat(source.cat.codes.to_numpy(), size)
            columns[name] = pd.Categorical.from_codes(repeated, dtype=source.dtype)
        else:
            columns[name] = np.repeat(source.to_numpy(dtype=np.float32), size)
    which = np.tile(np.arange(size, dtype=np.int16), len(table))
    columns["check"] = categorical(which, [result.plugin.name for result in results])
    state = np.stack([result.state for result in results], axis=1).ravel() if len(table) else np.empty(0, dtype=np.int8)
    columns["status"] = categorical(state, ["ok", "flagged", "unknown"])
    values = [result.values.astype(np.float32) for result in results]
    columns["value"] = np.stack(values, axis=1).ravel() if len(table) else np.empty(0, dtype=np.float32)
    voids = [result.plugin.voided for result in results]
    names = sorted(set(voids))
    columns["voids"] = categorical(np.array([names.index(v) for v in voids], dtype=np.int8)[which], names)
    return pd.DataFrame(columns, columns=LEDGER)


def summarise(ledger: pd.DataFrame) -> pd.DataFrame:
    """How often each check flagged.

    Columns: check, voids, description, samples, flagged, unknown, share (of known).
    """
    counts = pd.crosstab(ledger["check"], ledger["status"], dropna=False).reindex(
        columns=["ok", "flagged", "unknown"], fill_value=0
    )
    rows = []
    for plugin in CHECKS.values():
        ok, flagged, unknown = (
            int(counts[s].get(plugin.name, 0)) if plugin.name in counts.index else 0 for s in counts.columns
        )
        share = flagged / (ok + flagged) if ok + flagged else float("nan")
        voids = plugin.voided
        rows.append((plugin.name, voids, plugin.description, ok + flagged + unknown, flagged, unknown, share))
    return pd.DataFrame(rows, columns=["check", "voids", "description", "samples", "flagged", "unknown", "share"])
