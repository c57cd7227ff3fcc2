"""How metrics are estimated from the samples of a cell: shares, means, percentiles, speeds.

Missing is never 0: an estimate that cannot be had is NaN and its `note` says why.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.analysis.cells import MetricCell
from ai_dev_tools.benchmark.analysis.clusters import Floats, Ints
from ai_dev_tools.benchmark.analysis.spreads import mean_interval, percentile_interval, share_interval
from ai_dev_tools.benchmark.plugins import Estimate


def proportion(hits: NDArray[np.bool_], clusters: Ints, empty: str) -> Estimate:
    """The share of samples that are hit, with a Wilson interval over clusters."""
    return Estimate(float(hits.mean()), *share_interval(hits, clusters)) if len(hits) else Estimate.absent(empty)


def summary_of(cell: MetricCell, column: str, what: Callable[[Floats], float], least: int = 1) -> Estimate:
    """A statistic of the known values of completed samples, without an interval."""
    values = cell.completed(column)
    if len(values) < least:
        return Estimate.absent(_why_empty(cell, column, least))
    note = (
        f"{int(cell.is_timeout.sum())} timed out, not in it" if column == "duration_s" and cell.is_timeout.any() else ""
    )
    return Estimate(float(what(values)), note=note)


def _why_empty(cell: MetricCell, column: str, least: int = 1) -> str:
    if not cell.is_completed.any():
        return "no completed sample"
    known = len(cell.completed(column))
    return f"needs at least {least} values, has {known}" if known else f"{column} is missing or impossible throughout"


def mean_of(cell: MetricCell, column: str) -> Estimate:
    """The mean of the known values of completed samples, with a t interval over clusters."""
    values = cell.completed(column)
    if not len(values):
        return Estimate.absent(_why_empty(cell, column))
    clusters = cell.clusters_of(column)
    low, high = mean_interval(values, clusters)
    note = "" if np.isfinite(low) else _why_no_interval(values, clusters)
    if column == "duration_s" and cell.is_timeout.any():
        note = f"{int(cell.is_timeout.sum())} timed out, not in it" + (f"; {note}" if note else "")
    return Estimate(float(values.mean()), low, high, note)


def _why_no_interval(values: Floats, clusters: Ints) -> str:
    if len(values) == 1:
        return "no interval from one value"
    return "no interval from one cluster" if len(np.unique(clusters)) == 1 else "no interval: all values are equal"


def _percentile(ordered: Floats, clusters: Ints, q: float, cut: float = float("inf")) -> Estimate:
    """A percentile of sorted values of which those from `cut` on may have become larger."""
    n, needed = len(ordered), int(np.ceil(1 / min(q, 1 - q) - 1e-9))
    if n < needed:
        return Estimate.absent(f"needs {plural(needed, 'sample')}, has {n}")
    # a percentile between two values is known only where both are
    if float(np.quantile(ordered, q, method="higher")) >= cut:
        return Estimate.absent("lies beyond a timeout")
    low, high = percentile_interval(ordered, clusters, q)
    if not high < cut:
        high = float("nan")
    absent = [name for name, end in (("lower", low), ("upper", high)) if not np.isfinite(end)]
    note = f"n is too small for the {' and '.join(absent)} end" if absent else ""
    return Estimate(float(np.quantile(ordered, q)), low, high, note)


def duration_percentile(cell: MetricCell, q: float) -> Estimate:
    """A percentile of durations; those that timed out count as longer."""
    ordered, clusters, cut = cell.durations
    return _percentile(ordered, clusters, q, cut) if len(ordered) else Estimate.absent(_why_empty(cell, "duration_s"))


def first_token_percentile(cell: MetricCell, q: float) -> Estimate:
    """A percentile of the times to the first token."""
    name = "time_to_first_token_s"
    order = np.argsort(cell.completed(name), kind="stable")
    ordered, clusters = cell.completed(name)[order], cell.clusters_of(name)[order]
    return (
        _percentile(ordered, clusters, q)
        if len(ordered)
        else Estimate.absent(_why_empty(cell, "time_to_first_token_s"))
    )


def per_second(cell: MetricCell, amount: str, seconds: str, minus: str = "") -> Estimate:
    """A sum of tokens (or other amounts) over a sum of seconds, of completed samples with both.

    Args:
        minus: column of tokens that do not count.
    """
    count, time = cell.column(amount), cell.column(seconds)
    if minus:
        count = count - np.nan_to_num(cell.column(minus))
    use = cell.is_completed & np.isfinite(count) & np.isfinite(time)
    total = float(time[use].sum())
    if total > 0:
        return Estimate(float(count[use].sum()) / total)
    if use.any():
        return Estimate.absent(f"{seconds} is zero throughout")
    if len(cell.completed(amount)) and len(cell.completed(seconds)):
        return Estimate.absent(f"{amount} and {seconds} are never known in the same sample")
    return Estimate.absent(_why_empty(cell, seconds if len(cell.completed(amount)) else amount))


def scores_of(cell: MetricCell) -> Floats:
    """The score of each sample; an answer that timed out is worth nothing."""
    score = cell.column("score")
    return np.where(cell.is_timeout & np.isnan(score), 0.0, score)


def per_point(cell: MetricCell, columns: tuple[str, ...]) -> Estimate:
    """What was spent over what was scored; the columns are added."""
    cost = sum((cell.column(name) for name in columns), start=np.zeros(len(cell)))
    score = scores_of(cell)
    use = np.isfinite(cost) & np.isfinite(score)
    points = float(score[use].sum())
    if not use.any():
        return Estimate.absent("no scored sample with known cost")
    if not points > 0:
        return Estimate.absent("no point of quality was earned")
    left = int((np.isfinite(score) & ~use).sum())
    return Estimate(float(cost[use].sum()) / points, note=f"cost unknown of {left}, not in it" if left else "")
