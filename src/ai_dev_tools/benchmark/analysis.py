"""From blocks to tables: one call makes them all, and the same samples make the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from ai_dev_tools.benchmark.comparison import compare
from ai_dev_tools.benchmark.metrics import compute_metrics
from ai_dev_tools.benchmark.prompts import SKIPPED, read_prompts
from ai_dev_tools.benchmark.sampletable import prepare
from ai_dev_tools.benchmark.tables import samples_table


def write_tables(blocks: Sequence[Path], prompts: Sequence[Path], outputs: Mapping[str, Path], reference: str) -> None:
    """Make every table of a run.

    Args:
        blocks: block files.
        prompts: prompts of every task of the run, for declared strata and for cases that were skipped.
        outputs: files to write: `samples`, `parquet`, `metrics`, `comparisons`, `skipped`.
        reference: the arm that the others are compared with.

    Raises:
        ConfigurationError: a block or prompts file is damaged.
    """
    rows = [row for path in prompts for row in read_prompts(path).values()]
    strata = {(row.task, row.case): row.stratum for row in rows}
    samples = samples_table(blocks, strata)
    samples.to_parquet(outputs["parquet"], index=False)
    _write(samples, outputs["samples"])
    prepared = prepare(samples)
    _write(compute_metrics(prepared), outputs["metrics"])
    _write(_comparisons(prepared, reference), outputs["comparisons"])
    skipped = {(row.task, row.case): row.error.message for row in rows if row.error and row.error.class_ == SKIPPED}
    _write(
        pd.DataFrame([(*key, why) for key, why in sorted(skipped.items())], columns=["task", "case", "reason"]),
        outputs["skipped"],
    )


def _comparisons(samples: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Every arm against the reference; no rows where the reference was not asked."""
    arms: Iterable[str] = sorted(set(samples["approach"].astype(str)))
    if reference not in arms:
        return compare(samples.iloc[0:0], reference, reference)
    parts = [compare(samples, arm, reference) for arm in arms if arm != reference]
    return pd.concat(parts, ignore_index=True) if parts else compare(samples.iloc[0:0], reference, reference)


def _write(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, lineterminator="\n")
