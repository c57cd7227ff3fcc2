"""From blocks to tables: one call makes them all, and the same samples make the same bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from ai_dev_tools.benchmark.analysis.comparison import compare
from ai_dev_tools.benchmark.analysis.controls import realised_lengths
from ai_dev_tools.benchmark.analysis.decomposition import break_even, decompose, efficiency_change
from ai_dev_tools.benchmark.analysis.flatten import samples_table
from ai_dev_tools.benchmark.analysis.metrics import compute_metrics
from ai_dev_tools.benchmark.analysis.money import unavailable, with_prices
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.analysis.sensitivity import sensitivity
from ai_dev_tools.benchmark.analysis.tool_failures import with_tool_failures
from ai_dev_tools.benchmark.analysis.validity_table import check_samples
from ai_dev_tools.benchmark.analysis.verdicts import judge, measure_claims
from ai_dev_tools.benchmark.config.thresholds import ValidityThresholds
from ai_dev_tools.benchmark.plugins import catalogue, only_plugins, reference_for
from ai_dev_tools.benchmark.prompts import SKIPPED, read_prompts
from ai_dev_tools.benchmark.records.paths import TABLE_NAMES
from ai_dev_tools.benchmark.records.plan import read_plans, up_to
from ai_dev_tools.benchmark.records.table_files import write_csv

DEFINITIONS = ["kind", "name", "unit", "description", "origin", "options"]


def write_tables(
    blocks: Sequence[Path],
    prompts: Sequence[Path],
    plans: Path,
    outputs: Mapping[str, Path],
    reference: str,
    thresholds: Mapping[str, float],
    plugins: Sequence[str] = (),
    shown: str = "tools",
    plan: str | None = None,
) -> None:
    """Make every table of a run.

    Args:
        blocks: block files.
        prompts: prompts of every task of the run, for declared strata and for cases that were skipped.
        plans: the plan ledger.
        outputs: files to write: as named in `paths.TABLE_FILES`.
        reference: the arm that the others are compared with.
        thresholds: settings of `ValidityThresholds`.
        plugins: as the setting of that name has them.
        shown: the arm whose findings the control arms were made from.
        plan: hash of the plan to judge by; the latest of the ledger by default.

    Raises:
        ConfigurationError: a block, prompts, plan or plugin file is damaged.
    """
    with only_plugins(plugins):
        _write_tables(blocks, prompts, plans, outputs, reference, thresholds, shown, plan)


def _write_tables(
    blocks: Sequence[Path],
    prompts: Sequence[Path],
    plans: Path,
    outputs: Mapping[str, Path],
    reference: str,
    thresholds: Mapping[str, object],
    shown: str,
    plan: str | None,
) -> None:
    rows = [row for path in prompts for row in read_prompts(path).values()]
    table = samples_table(blocks, {(row.task, row.case): row.stratum for row in rows})
    declared = up_to(read_plans(plans), plan)
    if declared and (prices := declared[-1].prices):
        table = with_prices(table, prices.rates, prices.currency)
    table.to_parquet(outputs["samples_parquet"], index=False)
    samples = Samples.prepare(table, ValidityThresholds.model_validate(thresholds), reference)
    ledger = check_samples(samples)
    ledger.to_parquet(outputs["validity_parquet"], index=False)
    measured = measure_claims(samples, declared)
    judged = with_tool_failures(judge(measured), samples.frame, blocks)
    skipped = {(row.task, row.case): row.error.message for row in rows if row.error and row.error.class_ == SKIPPED}
    made = {
        "samples": table,
        "metrics": compute_metrics(samples),
        "comparisons": _each_arm(samples, lambda arm, reference: compare(samples, arm, reference)),
        "costs": _each_arm(samples, lambda arm, reference: decompose(samples, arm, reference)),
        "break_even": _each_arm(samples, lambda arm, reference: break_even(samples, arm, reference)),
        "efficiency": _each_arm(samples, lambda arm, reference: efficiency_change(samples, arm, reference)),
        "validity": ledger[ledger["status"] == "flagged"],
        "verdicts": judged.verdicts,
        "checks": judged.checks,
        "reasons": judged.reasons,
        "controls": realised_lengths(samples, shown),
        "skipped": pd.DataFrame([(*k, why) for k, why in sorted(skipped.items())], columns=["task", "case", "reason"]),
        "definitions": pd.DataFrame(catalogue(unavailable(table)), columns=DEFINITIONS),
        "sensitivity": sensitivity(measured),
    }
    for name in TABLE_NAMES:
        write_csv(made[name], outputs[name])
    outputs["verdicts_json"].write_text(_as_json(judged.verdicts), encoding="utf-8")


def _as_json(table: pd.DataFrame) -> str:
    """Rows as JSON objects; what is absent or without limit is null."""
    rows = [
        {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]
    return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _each_arm(samples: Samples, make: Callable[[str, str], pd.DataFrame]) -> pd.DataFrame:
    """What `make` says of every arm and its reference.

    An empty table of the same columns if there is none.
    """
    arms = samples.levels("approach")
    held = [(arm, reference_for(arm, samples.reference)) for arm in arms]
    parts = [make(arm, reference) for arm, reference in held if arm != reference and reference in arms]
    nothing = f"not {samples.reference}", samples.reference
    return pd.concat(parts, ignore_index=True) if parts else make(*nothing).iloc[0:0]
