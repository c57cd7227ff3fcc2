"""Metrics of every profile x model x task x approach and of every margin of that table.

One metric is one function of a `MetricCell`, registered with `@metric`; `metrics_table` computes them. Missing is never 0: a
metric that cannot be had is NaN and its `note` says why.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ai_dev_tools.benchmark.analysis.cells import DIMENSIONS, Cell, MetricCell
from ai_dev_tools.benchmark.analysis.clusters import Floats, Ints, cluster_estimate
from ai_dev_tools.benchmark.analysis.metrics_table import compute_metrics, wide
from ai_dev_tools.benchmark.analysis.money import THOUGHTS
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.analysis.spreads import mean_interval, percentile_interval, share_interval
from ai_dev_tools.benchmark.analysis.statistics import infer
from ai_dev_tools.benchmark.plugins import MONEY, Estimate, metric

__all__ = ["ALL", "Cell", "DIMENSIONS", "Estimate", "compute_metrics", "metric", "wide"]
EFFICIENCY_WEIGHTS = {"success": 0.4, "throughput": 0.3, "tokens_per_second": 0.2, "duration": 0.1}

# ------------------------------------------------------------------------------------------ counts


def _count(cell: MetricCell, status: str) -> float:
    return float(cell.count("status", status))


def _rate(cell: MetricCell, status: str) -> Estimate:
    return _proportion(cell.has("status", status), cell.clusters, "no sample")


def _proportion(hits: NDArray[np.bool_], clusters: Ints, empty: str) -> Estimate:
    return Estimate(float(hits.mean()), *share_interval(hits, clusters)) if len(hits) else Estimate.absent(empty)


@metric("samples", unit="samples", description="Requests in the cell, whatever came of them")
def samples_total(cell: MetricCell) -> float:
    return float(len(cell))


for _status, _plural in (("completed", "completed"), ("failed", "failed"), ("timeout", "timeouts")):
    metric(_plural, unit="samples", description=f"Samples with status {_status}")(partial(_count, status=_status))
for _status, _name in (("completed", "success_rate"), ("failed", "error_rate"), ("timeout", "timeout_rate")):
    metric(
        _name, unit="share", description=f"Samples with status {_status} / all samples; Wilson interval over clusters"
    )(partial(_rate, status=_status))


@metric(
    "unparseable_rate",
    unit="share",
    description="Completed answers that could not be parsed / completed; Wilson interval over clusters",
)
def unparseable_rate(cell: MetricCell) -> Estimate:
    parsed = cell.column("parsed")
    known = cell.is_completed & np.isfinite(parsed)
    return _proportion(parsed[known] == 0, cell.clusters[known], "no completed sample")


@metric(
    "capped_rate",
    unit="share",
    description="Completed answers cut at the cap, or for looping / completed; Wilson interval over clusters",
)
def capped_rate(cell: MetricCell) -> Estimate:
    capped = cell.has("done_reason", "length") | cell.has("done_reason", "loop")
    return _proportion(capped[cell.is_completed], cell.clusters[cell.is_completed], "no completed sample")


# ------------------------------------------------------------------------------------------ episodes


def _episodes(cell: MetricCell) -> NDArray[np.bool_]:
    return np.asarray(cell.is_completed & np.isfinite(cell.column("turns")))


@metric(
    "tool_used_rate",
    unit="share",
    description="Completed episodes in which the agent used the judged tool / completed; Wilson interval over clusters",
)
def tool_used_rate(cell: MetricCell) -> Estimate:
    calls = cell.column("tool_calls")
    known = _episodes(cell) & np.isfinite(calls)
    return _proportion(calls[known] > 0, cell.clusters[known], "no episode with a tool that can be used")


@metric(
    "limit_rate",
    unit="share",
    description="Completed episodes that had to answer at a limit / completed; Wilson interval over clusters",
)
def limit_rate(cell: MetricCell) -> Estimate:
    known = _episodes(cell)
    return _proportion(cell.has("done_reason", "limit")[known], cell.clusters[known], "no completed episode")


@metric(
    "new_input_tokens_mean",
    unit="tokens",
    description="Mean prompt tokens of an episode that were not in the cache: what the machine read, and not what a bill counts",
)
def new_input_tokens_mean(cell: MetricCell) -> Estimate:
    new = (cell.column("input_tokens") - cell.column("prompt_cached_tokens"))[_episodes(cell)]
    known = new[np.isfinite(new)]
    return Estimate(float(known.mean())) if len(known) else Estimate.absent("no completed episode with known counts")


# ------------------------------------------------------------------------------------------ duration


def _summary(cell: MetricCell, column: str, what: Callable[[Floats], Any], least: int = 1) -> Estimate:
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


def _mean(cell: MetricCell, column: str) -> Estimate:
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
        return Estimate.absent(f"needs {needed} samples, has {n}")
    # a percentile between two values is known only where both are
    if float(np.quantile(ordered, q, method="higher")) >= cut:
        return Estimate.absent("lies beyond a timeout")
    low, high = percentile_interval(ordered, clusters, q)
    if not high < cut:
        high = float("nan")
    absent = [name for name, end in (("lower", low), ("upper", high)) if not np.isfinite(end)]
    note = f"n is too small for the {' and '.join(absent)} end" if absent else ""
    return Estimate(float(np.quantile(ordered, q)), low, high, note)


def _duration_percentile(cell: MetricCell, q: float) -> Estimate:
    ordered, clusters, cut = cell.durations
    return _percentile(ordered, clusters, q, cut) if len(ordered) else Estimate.absent(_why_empty(cell, "duration_s"))


def _first_token_percentile(cell: MetricCell, q: float) -> Estimate:
    name = "time_to_first_token_s"
    order = np.argsort(cell.completed(name), kind="stable")
    ordered, clusters = cell.completed(name)[order], cell.clusters_of(name)[order]
    return (
        _percentile(ordered, clusters, q)
        if len(ordered)
        else Estimate.absent(_why_empty(cell, "time_to_first_token_s"))
    )


metric("duration_total", unit="s", description="Sum of durations of completed requests")(
    partial(_summary, column="duration_s", what=np.sum)
)
metric("duration_mean", unit="s", description="Mean duration of completed requests; t interval over clusters")(
    partial(_mean, column="duration_s")
)
metric("duration_std", unit="s", description="Standard deviation (n - 1) of durations of completed requests")(
    partial(_summary, column="duration_s", what=partial(np.std, ddof=1), least=2)
)
metric("duration_min", unit="s", description="Shortest completed request")(
    partial(_summary, column="duration_s", what=np.min)
)
metric("duration_max", unit="s", description="Longest completed request")(
    partial(_summary, column="duration_s", what=np.max)
)
for _q in (25, 50, 75, 90, 95, 99):
    metric(
        f"duration_p{_q}",
        unit="s",
        description=f"{_q}th percentile of durations, timed-out ones counted as longer; order-statistic interval over clusters",
    )(partial(_duration_percentile, q=_q / 100))
for _q in (50, 90, 95, 99):
    metric(
        f"time_to_first_token_p{_q}",
        unit="s",
        description=f"{_q}th percentile of times to the first token of completed requests; order-statistic interval over clusters",
    )(partial(_first_token_percentile, q=_q / 100))


for _column, _name, _text in (
    ("time_to_first_token_s", "time_to_first_token_mean", "Mean time from sending to the first piece of the answer"),
    ("rest_s", "rest_mean", "Mean of what no phase of the server holds: sampling, answer grammar, waiting, transport"),
    ("load_s", "load_mean", "Mean wait for the model to be loaded"),
    ("prompt_eval_s", "prefill_mean", "Mean time to read the prompt"),
    ("eval_s", "decode_mean", "Mean time to generate the answer"),
    ("tool_s", "tool_mean", "Mean run time of the tools behind the context, not amortised"),
):
    metric(_name, unit="s", description=f"{_text}; t interval over clusters")(partial(_mean, column=_column))


# ------------------------------------------------------------------------------------------ tokens

for _column, _name, _text in (
    ("turns", "turns_mean", "Mean requests of an episode"),
    ("tool_calls", "tool_calls_mean", "Mean actions of an episode that the judged tool carried out"),
):
    metric(_name, unit="", description=f"{_text}; t interval over clusters")(partial(_mean, column=_column))

for _column, _text in (
    ("opening_tokens", "its first message, sent again with every turn"),
    ("file_tokens", "results of the agent's own file actions, sent again with every later turn"),
    ("tool_result_tokens", "results of the judged tool, sent again with every later turn"),
    ("own_message_tokens", "the model's earlier messages"),
):
    metric(
        f"{_column}_mean",
        unit="tokens",
        description=f"Mean prompt tokens of an episode that are {_text}; t interval over clusters",
    )(partial(_mean, column=_column))

for _kind in ("input", "output", "total"):
    metric(f"{_kind}_tokens_sum", unit="tokens", description=f"Sum of {_kind} tokens of completed requests")(
        partial(_summary, column=f"{_kind}_tokens", what=np.sum)
    )
    metric(
        f"{_kind}_tokens_mean",
        unit="tokens",
        description=f"Mean {_kind} tokens per completed request; t interval over clusters",
    )(partial(_mean, column=f"{_kind}_tokens"))

metric(
    "reasoning_tokens_mean",
    unit="tokens",
    description="Mean generated tokens that are thoughts, where the server counts them apart; t interval over clusters",
)(partial(_mean, column=THOUGHTS))


def _speed(cell: MetricCell, tokens: str, seconds: str, minus: str = "") -> Estimate:
    count, time = cell.column(tokens), cell.column(seconds)
    if minus:
        count = count - np.nan_to_num(cell.column(minus))
    use = cell.is_completed & np.isfinite(count) & np.isfinite(time)
    total = float(time[use].sum())
    if total > 0:
        return Estimate(float(count[use].sum()) / total)
    if use.any():
        return Estimate.absent(f"{seconds} is zero throughout")
    if len(cell.completed(tokens)) and len(cell.completed(seconds)):
        return Estimate.absent(f"{tokens} and {seconds} are never known in the same sample")
    return Estimate.absent(_why_empty(cell, seconds if len(cell.completed(tokens)) else tokens))


metric("tokens_per_second", unit="tokens/s", description="Total tokens / duration, summed over completed requests")(
    partial(_speed, tokens="total_tokens", seconds="duration_s")
)
metric("prefill_tokens_per_second", unit="tokens/s", description="Newly read prompt tokens / prefill time")(
    partial(_speed, tokens="input_tokens", seconds="prompt_eval_s", minus="prompt_cached_tokens")
)
metric(
    "decode_tokens_per_second",
    unit="tokens/s",
    description="Output tokens / decode time; Ollama leaves sampling and grammar out of that time, so it overstates speed",
)(partial(_speed, tokens="output_tokens", seconds="eval_s"))


# ------------------------------------------------------------------------------------------ the machine


@metric(
    "throughput", unit="1/s", description="Completed requests / seconds in which at least one request of the cell ran"
)
def throughput(cell: MetricCell) -> Estimate:
    busy, _ = cell.activity
    if cell.clock_jumped:
        return Estimate.absent("a clock ran backwards")
    if not busy > 0:
        return Estimate.absent("start or duration unknown")
    done, timed = int(cell.is_completed.sum()), int((cell.is_completed & cell.is_timed).sum())
    return Estimate(
        timed / busy, note=f"start or duration unknown of {done - timed}, not in it" if done > timed else ""
    )


@metric("peak_concurrency", unit="requests", description="Most requests of the cell in flight at one time")
def peak_concurrency(cell: MetricCell) -> Estimate:
    _, peak = cell.activity
    if cell.clock_jumped:
        return Estimate.absent("a clock ran backwards")
    return Estimate(float(peak)) if peak else Estimate.absent("start or duration unknown")


metric(
    "server_cpu_mean",
    unit="s",
    description="Mean CPU time of the server process per completed request; t interval over clusters",
)(partial(_mean, column="server_cpu_s"))
metric("server_cores", unit="cores", description="CPU time of the server process / duration: cores it kept busy")(
    partial(_speed, tokens="server_cpu_s", seconds="duration_s")
)
metric("server_peak_rss", unit="bytes", description="Largest resident memory of the server process seen")(
    partial(_summary, column="server_peak_rss_bytes", what=np.max)
)
metric(
    "other_cores", unit="cores", description="CPU time of everything else on the machine / duration, while requests ran"
)(partial(_speed, tokens="other_cpu_s", seconds="span_s"))


# ------------------------------------------------------------------------------------------ quality


@metric(
    "quality",
    unit="0..1",
    description="Mean score; unparseable and timed-out answers count 0; t interval over clusters",
)
def quality(cell: MetricCell) -> Estimate:
    score = _scores(cell)
    known = np.isfinite(score)
    if not known.any():
        return Estimate.absent("no scored sample")
    # one task weight here: a margin over tasks is the plain mean over clusters, as a reader of the table expects
    e = cluster_estimate(score[known], cell.clusters[known])
    inference = infer(e, resamples=0)
    notes = []
    if left := int((cell.is_completed & ~known).sum()):
        notes.append(f"{left} answers without a score, not in it")
    if not inference.usable:
        notes.append("no interval from one cluster" if e.clusters < 2 else "no interval: all clusters are equal")
    # a bound that does not exist stays so: NaN is neither more nor less
    low, high = np.maximum(inference.bound("low", 0.025), 0.0), np.minimum(inference.bound("high", 0.025), 1.0)
    return Estimate(e.estimate, float(low), float(high), "; ".join(notes))


def _scores(cell: MetricCell) -> Floats:
    """The score of each sample; an answer that timed out is worth nothing."""
    score = cell.column("score")
    return np.where(cell.is_timeout & np.isnan(score), 0.0, score)


@metric(
    "efficiency_score",
    unit="0..1",
    description="Composite of the system replaced: 0.4 success + 0.3 throughput/(10/s) + 0.2 tokens per second/1000 + "
    "0.1 (1 - mean duration/60 s), each clipped to 0..1. Real models reach neither 10 requests nor 1000 tokens "
    "per second, so it cannot reach 1, and it ignores quality: prefer tokens and seconds per point of quality",
)
def efficiency_score(cell: MetricCell) -> Estimate:
    if not cell.is_completed.any():
        return Estimate(0.0, note="no completed sample")
    rate, speed = throughput(cell), _speed(cell, "total_tokens", "duration_s")
    seconds = cell.completed("duration_s")
    if not (np.isfinite(rate.value) and np.isfinite(speed.value) and len(seconds)):
        return Estimate.absent(rate.note or speed.note or "needs throughput, tokens and durations")
    return Estimate(efficiency(float(cell.is_completed.mean()), rate.value, speed.value, float(seconds.mean())))


def efficiency(success: float, throughput: float, tokens_per_second: float, mean_duration: float) -> float:
    """The composite score from its parts (share, 1/s, tokens/s, s); 0..1."""
    parts = {
        "success": success,
        "throughput": throughput / 10,
        "tokens_per_second": tokens_per_second / 1000,
        "duration": 1 - mean_duration / 60,
    }
    return float(sum(weight * min(max(parts[name], 0.0), 1.0) for name, weight in EFFICIENCY_WEIGHTS.items()))


def _per_point(cell: MetricCell, columns: tuple[str, ...]) -> Estimate:
    cost = sum((cell.column(name) for name in columns), start=np.zeros(len(cell)))
    score = _scores(cell)
    use = np.isfinite(cost) & np.isfinite(score)
    points = float(score[use].sum())
    if not use.any():
        return Estimate.absent("no scored sample with known cost")
    if not points > 0:
        return Estimate.absent("no point of quality was earned")
    left = int((np.isfinite(score) & ~use).sum())
    return Estimate(float(cost[use].sum()) / points, note=f"cost unknown of {left}, not in it" if left else "")


metric("money_sum", unit=MONEY, description="What completed requests cost at the prices of the run")(
    partial(_summary, column="money", what=np.sum)
)
metric("money_mean", unit=MONEY, description="Mean cost of a completed request; t interval over clusters")(
    partial(_mean, column="money")
)
metric("tokens_per_point", unit="tokens", description="Tokens spent (timed-out samples included) / sum of scores")(
    partial(_per_point, columns=("total_tokens",))
)
metric(
    "seconds_per_point", unit="s", description="Seconds spent (all attempts, tools, timed-out samples) / sum of scores"
)(partial(_per_point, columns=("attempts_s", "tool_s")))
metric("money_per_point", unit=MONEY, description="Money spent (timed-out samples included) / sum of scores")(
    partial(_per_point, columns=("money",))
)
