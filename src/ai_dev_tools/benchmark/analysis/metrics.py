"""Metrics of every profile x model x task x approach and of every margin of that table.

One metric is one function of a `MetricCell`, registered with `@metric`; `metrics_table` computes them. Missing is never 0: a
metric that cannot be had is NaN and its `note` says why.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.analysis.cell_estimates import (
    duration_percentile,
    first_token_percentile,
    mean_of,
    per_point,
    per_second,
    proportion,
    scores_of,
    summary_of,
)
from ai_dev_tools.benchmark.analysis.cells import DIMENSIONS, Cell, MetricCell
from ai_dev_tools.benchmark.analysis.clusters import cluster_estimate
from ai_dev_tools.benchmark.analysis.metrics_table import compute_metrics, wide
from ai_dev_tools.benchmark.analysis.money import THOUGHTS
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.analysis.statistics import infer
from ai_dev_tools.benchmark.plugins import MONEY, Estimate, metric

__all__ = ["ALL", "Cell", "DIMENSIONS", "Estimate", "compute_metrics", "metric", "wide"]
_BY_ORDER = "order-statistic interval over clusters"
EFFICIENCY_WEIGHTS = {"success": 0.4, "throughput": 0.3, "tokens_per_second": 0.2, "duration": 0.1}


def _define(
    name: str, estimate: Callable[..., float | Estimate], *, unit: str, description: str, **arguments: object
) -> None:
    """A metric that is this estimate of a cell with these arguments."""

    @metric(name, unit=unit, description=description)
    def defined(cell: MetricCell) -> float | Estimate:
        return estimate(cell, **arguments)


# ------------------------------------------------------------------------------------------ counts


def _count(cell: MetricCell, status: str) -> float:
    return float(cell.count("status", status))


def _rate(cell: MetricCell, status: str) -> Estimate:
    return proportion(cell.has("status", status), cell.clusters, "no sample")


@metric("samples", unit="samples", description="Requests in the cell, whatever came of them")
def samples_total(cell: MetricCell) -> float:
    return float(len(cell))


for _status, _plural in (("completed", "completed"), ("failed", "failed"), ("timeout", "timeouts")):
    _define(_plural, _count, status=_status, unit="samples", description=f"Samples with status {_status}")
for _status, _name in (("completed", "success_rate"), ("failed", "error_rate"), ("timeout", "timeout_rate")):
    _define(_name, _rate, status=_status, unit="share",
            description=f"Samples with status {_status} / all samples; Wilson interval over clusters")  # fmt: skip


@metric(
    "unparseable_rate",
    unit="share",
    description="Completed answers that could not be parsed / completed; Wilson interval over clusters",
)
def unparseable_rate(cell: MetricCell) -> Estimate:
    parsed = cell.column("parsed")
    known = cell.is_completed & np.isfinite(parsed)
    return proportion(parsed[known] == 0, cell.clusters[known], "no completed sample")


@metric(
    "capped_rate",
    unit="share",
    description="Completed answers cut at the cap, or for looping / completed; Wilson interval over clusters",
)
def capped_rate(cell: MetricCell) -> Estimate:
    capped = cell.has("done_reason", "length") | cell.has("done_reason", "loop")
    return proportion(capped[cell.is_completed], cell.clusters[cell.is_completed], "no completed sample")


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
    return proportion(calls[known] > 0, cell.clusters[known], "no episode with a tool that can be used")


@metric(
    "limit_rate",
    unit="share",
    description="Completed episodes that had to answer at a limit / completed; Wilson interval over clusters",
)
def limit_rate(cell: MetricCell) -> Estimate:
    known = _episodes(cell)
    return proportion(cell.has("done_reason", "limit")[known], cell.clusters[known], "no completed episode")


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


_define("duration_total", summary_of, column="duration_s", what=np.sum, unit="s",
        description="Sum of durations of completed requests")  # fmt: skip
_define("duration_mean", mean_of, column="duration_s", unit="s",
        description="Mean duration of completed requests; t interval over clusters")  # fmt: skip
_define("duration_std", summary_of, column="duration_s", what=partial(np.std, ddof=1), least=2, unit="s",
        description="Standard deviation (n - 1) of durations of completed requests")  # fmt: skip
_define(
    "duration_min", summary_of, column="duration_s", what=np.min, unit="s", description="Shortest completed request"
)
_define("duration_max", summary_of, column="duration_s", what=np.max, unit="s", description="Longest completed request")
for _q in (25, 50, 75, 90, 95, 99):
    _define(f"duration_p{_q}", duration_percentile, q=_q / 100, unit="s",
            description=f"{_q}th percentile of durations, timed-out ones counted as longer; {_BY_ORDER}")  # fmt: skip
for _q in (50, 90, 95, 99):
    _define(
        f"time_to_first_token_p{_q}",
        first_token_percentile,
        q=_q / 100,
        unit="s",
        description=f"{_q}th percentile of times to the first token of completed requests; order-statistic interval over clusters",
    )


for _column, _name, _text in (
    ("time_to_first_token_s", "time_to_first_token_mean", "Mean time from sending to the first piece of the answer"),
    ("rest_s", "rest_mean", "Mean of what no phase of the server holds: sampling, answer grammar, waiting, transport"),
    ("load_s", "load_mean", "Mean wait for the model to be loaded"),
    ("prompt_eval_s", "prefill_mean", "Mean time to read the prompt"),
    ("eval_s", "decode_mean", "Mean time to generate the answer"),
    ("tool_s", "tool_mean", "Mean run time of the tools behind the context, not amortised"),
):
    _define(_name, mean_of, column=_column, unit="s", description=f"{_text}; t interval over clusters")


# ------------------------------------------------------------------------------------------ tokens

for _column, _name, _text in (
    ("turns", "turns_mean", "Mean requests of an episode"),
    ("tool_calls", "tool_calls_mean", "Mean actions of an episode that the judged tool carried out"),
):
    _define(_name, mean_of, column=_column, unit="", description=f"{_text}; t interval over clusters")

for _column, _text in (
    ("opening_tokens", "its first message, sent again with every turn"),
    ("file_tokens", "results of the agent's own file actions, sent again with every later turn"),
    ("tool_result_tokens", "results of the judged tool, sent again with every later turn"),
    ("own_message_tokens", "the model's earlier messages"),
):
    _define(f"{_column}_mean", mean_of, column=_column, unit="tokens",
            description=f"Mean prompt tokens of an episode that are {_text}; t interval over clusters")  # fmt: skip

for _kind in ("input", "output", "total"):
    _define(f"{_kind}_tokens_sum", summary_of, column=f"{_kind}_tokens", what=np.sum, unit="tokens",
            description=f"Sum of {_kind} tokens of completed requests")  # fmt: skip
    _define(f"{_kind}_tokens_mean", mean_of, column=f"{_kind}_tokens", unit="tokens",
            description=f"Mean {_kind} tokens per completed request; t interval over clusters")  # fmt: skip

_define("reasoning_tokens_mean", mean_of, column=THOUGHTS, unit="tokens",
        description="Mean generated tokens that are thoughts, where the server counts them apart; t "
        "interval over clusters")  # fmt: skip


_define("tokens_per_second", per_second, amount="total_tokens", seconds="duration_s", unit="tokens/s",
        description="Total tokens / duration, summed over completed requests")  # fmt: skip
_define(
    "prefill_tokens_per_second",
    per_second,
    amount="input_tokens",
    seconds="prompt_eval_s",
    minus="prompt_cached_tokens",
    unit="tokens/s",
    description="Newly read prompt tokens / prefill time",
)
_define("decode_tokens_per_second", per_second, amount="output_tokens", seconds="eval_s", unit="tokens/s",
        description="Output tokens / decode time; Ollama leaves sampling and grammar out of that "
        "time, so it overstates speed")  # fmt: skip


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


_define("server_cpu_mean", mean_of, column="server_cpu_s", unit="s",
        description="Mean CPU time of the server process per completed request; t interval over clusters")  # fmt: skip
_define("server_cores", per_second, amount="server_cpu_s", seconds="duration_s", unit="cores",
        description="CPU time of the server process / duration: cores it kept busy")  # fmt: skip
_define("server_peak_rss", summary_of, column="server_peak_rss_bytes", what=np.max, unit="bytes",
        description="Largest resident memory of the server process seen")  # fmt: skip
_define("other_cores", per_second, amount="other_cpu_s", seconds="span_s", unit="cores",
        description="CPU time of everything else on the machine / duration, while requests ran")  # fmt: skip


# ------------------------------------------------------------------------------------------ quality


@metric(
    "quality",
    unit="0..1",
    description="Mean score; unparseable and timed-out answers count 0; t interval over clusters",
)
def quality(cell: MetricCell) -> Estimate:
    score = scores_of(cell)
    known = np.isfinite(score)
    if not known.any():
        return Estimate.absent("no scored sample")
    # one task weight here: a margin over tasks is the plain mean over clusters, as a reader of the table expects
    e = cluster_estimate(score[known], cell.clusters[known])
    inference = infer(e, resamples=0)
    notes = []
    if left := int((cell.is_completed & ~known).sum()):
        notes.append(f"{plural(left, 'answer')} without a score, not in it")
    if not inference.usable:
        notes.append("no interval from one cluster" if e.clusters < 2 else "no interval: all clusters are equal")
    # a bound that does not exist stays so: NaN is neither more nor less
    low, high = np.maximum(inference.bound("low", 0.025), 0.0), np.minimum(inference.bound("high", 0.025), 1.0)
    return Estimate(e.estimate, float(low), float(high), "; ".join(notes))


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
    rate, speed = throughput(cell), per_second(cell, "total_tokens", "duration_s")
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


_define("money_sum", summary_of, column="money", what=np.sum, unit=MONEY,
        description="What completed requests cost at the prices of the run")  # fmt: skip
_define("money_mean", mean_of, column="money", unit=MONEY,
        description="Mean cost of a completed request; t interval over clusters")  # fmt: skip
_define("tokens_per_point", per_point, columns=("total_tokens",), unit="tokens",
        description="Tokens spent (timed-out samples included) / sum of scores")  # fmt: skip
_define("seconds_per_point", per_point, columns=("attempts_s", "tool_s"), unit="s",
        description="Seconds spent (all attempts, tools, timed-out samples) / sum of scores")  # fmt: skip
_define("money_per_point", per_point, columns=("money",), unit=MONEY,
        description="Money spent (timed-out samples included) / sum of scores")  # fmt: skip
