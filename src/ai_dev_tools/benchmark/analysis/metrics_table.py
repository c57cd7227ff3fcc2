"""The metrics table: every metric by profile, model, task and approach, with all margins.

`compute_metrics` gives one row per cell and metric, `wide` one row per cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ai_dev_tools.benchmark.analysis.cells import DIMENSIONS, MetricCell, SampleColumns
from ai_dev_tools.benchmark.analysis.episode_tokens import PARTS
from ai_dev_tools.benchmark.analysis.money import currency_of, unavailable
from ai_dev_tools.benchmark.analysis.samples import Samples, SamplesLike
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.plugins import METRICS, MONEY, Estimate, Metric

COLUMNS = [*DIMENSIONS, "metric", "unit", "value", "low", "high", "n", "note"]
OF_EPISODES = (
    *("turns_mean", "tool_calls_mean", "tool_used_rate", "limit_rate", "new_input_tokens_mean"),
    *(f"{part}_mean" for part in PARTS),
)
"""Metrics that only tables with episodes have."""


def compute_metrics(samples: SamplesLike, only: Sequence[str] | None = None) -> pd.DataFrame:
    """All registered metrics as a long, tidy table.

    Args:
        samples: prepared samples, or a samples table in any row order.
        only: names of metrics to compute; all by default.

    Returns:
        One row per cell and metric: profile, model, task, approach ("(all)" marks a margin), metric, unit, value,
        low and high (95 %), n (samples in the cell), note (why something is absent). Metrics keep their order.

    Raises:
        ConfigurationError: the table lacks what identifies a sample, or a metric is unknown.
    """
    source = SampleColumns(Samples.of(samples))
    silent = unavailable(source.samples)
    wanted = [METRICS.find(name) for name in only] if only is not None else [*METRICS.values()]
    plugins = [plugin for plugin in wanted if plugin.name not in silent]
    if only is None and not source.samples["turns"].notna().any():
        plugins = [plugin for plugin in plugins if plugin.name not in OF_EPISODES]
    if len(source.samples) == 0:
        return pd.DataFrame(
            {name: pd.Series(dtype="float64" if name in ("value", "low", "high", "n") else "str") for name in COLUMNS}
        )
    units = {MONEY: currency_of(source.samples)} if MONEY not in silent else {}
    single = [len(source.levels(name)) == 1 for name in DIMENSIONS]
    known: dict[tuple[str, ...], list[Estimate]] = {}
    cells: list[tuple[tuple[str, ...], int, str, list[Estimate]]] = []
    for key, cell in source.cells():
        # a margin over a single level is that level
        same = tuple(_only_level(source, d) if single[d] and part == ALL else part for d, part in enumerate(key))
        estimates = known.get(same) or [evaluate(plugin, cell) for plugin in plugins]
        known[same] = estimates
        cells.append((key, len(cell), cell.mixture, estimates))
    # margins after what they sum up
    cells.sort(key=lambda cell: [(part == ALL, part) for part in cell[0]])
    rows = [
        (*key, plugin.name, units.get(plugin.unit, plugin.unit), e.value, e.low, e.high, size, _joined(e.note, mixture))
        for key, size, mixture, estimates in cells
        for plugin, e in zip(plugins, estimates, strict=True)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))


def _only_level(source: SampleColumns, dimension: int) -> str:
    return source.levels(DIMENSIONS[dimension])[0]


def evaluate(plugin: Metric, cell: MetricCell) -> Estimate:
    """Run one metric so that neither an exception nor an impossible number reaches a table."""
    try:
        with np.errstate(all="ignore"):
            result = plugin.function(cell)
    except Exception as error:
        return Estimate.absent(f"{plugin.name} failed: {type(error).__name__}: {error}")
    given = result if isinstance(result, Estimate) else Estimate(result)
    estimate = Estimate(_finite(given.value), _finite(given.low), _finite(given.high), given.note)
    return estimate if np.isfinite(estimate.value) else Estimate.absent(given.note or "no usable value")


def _finite(value: object) -> float:
    """The value as a number, NaN when it is none or not finite."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")
    return number if np.isfinite(number) else float("nan")


def wide(metrics: pd.DataFrame, intervals: bool = True) -> pd.DataFrame:
    """One row per cell and one column per metric, plus `n`.

    Metrics with an interval also have columns `_low` and `_high`.
    """
    keys = [*DIMENSIONS, "n"]
    names = list(dict.fromkeys(metrics["metric"]))
    columns: list[pd.DataFrame] = []
    for part in ("value", "low", "high") if intervals else ("value",):
        table = metrics.pivot_table(index=keys, columns="metric", values=part, sort=False, dropna=False, observed=True)
        table = table.reindex(columns=[n for n in names if part == "value" or (n in table and table[n].notna().any())])
        columns.append(table.add_suffix("" if part == "value" else f"_{part}"))
    order = metrics[keys].drop_duplicates()
    joined = pd.concat(columns, axis=1).reset_index()
    joined.columns.name = None
    return order.merge(joined, on=keys, how="left").reset_index(drop=True)
