"""Distributions, and the metrics in numbers."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ai_dev_tools.benchmark._util.text import listing, number
from ai_dev_tools.benchmark.analysis.money import THOUGHTS
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples_table import ALL, CUT_OFF
from ai_dev_tools.benchmark.plugins import BUILT_IN
from ai_dev_tools.benchmark.reporting.data import RunData, records, settles_nothing
from ai_dev_tools.benchmark.reporting.document import Column, Figure, Prose, Section, Table, ranked
from ai_dev_tools.benchmark.reporting.sections.columns import (
    APPROACH,
    CLUSTERS,
    MODEL,
    NOTE,
    QUALITY,
    SPEED,
    SUCCESS,
    TASK,
    THROUGHPUT,
    TOKENS_AND_TIME,
)


def distributions(data: RunData) -> Section:
    """Every sample: cumulative shares by arm, and dots by task."""
    samples = data.samples
    usable = samples[samples["status"].isin(["completed", "timeout"])]
    usable = usable.assign(censored=usable["done_reason"].isin(CUT_OFF) | (usable["status"] == "timeout"))
    if not usable[["total_tokens", "duration_s"]].notna().any(axis=None):
        return Section(
            "distributions", "Distributions", (Prose(("No completed request, so there is no distribution to show.",)),)
        )
    cut = int(usable["censored"].sum())
    marked = "None was cut off at the output cap or the time limit."
    if cut:
        marked = (
            f"{number(cut)} of {number(len(usable))} were cut off (at the output cap or the time limit) and are marked as "
            "ticks or hollow dots: their true value is larger."
        )
    return Section("distributions", "Distributions", (_ecdf(data, usable, marked), _strip(data, usable, marked)))


def _ecdf(data: RunData, usable: pd.DataFrame, marked: str) -> Figure:
    panels = (("total_tokens", "tokens per request"), ("duration_s", "seconds per request"))
    parts = [
        usable[["approach", column, "censored"]].rename(columns={column: "value"}).assign(panel=panel)
        for column, panel in panels
    ]
    table = pd.concat(parts, ignore_index=True)[["panel", "approach", "value", "censored"]]
    middle = usable.groupby("approach")[["total_tokens", "duration_s"]].median()
    totals, seconds = middle["total_tokens"], middle["duration_s"]
    medians = listing(
        [
            f"{arm} {number(float(totals[arm]))} tokens and {number(float(seconds[arm]), 2)} s"
            for arm in data.approaches
            if arm in middle.index
        ]
    )
    return Figure(
        "ecdf",
        "Distribution of cost",
        f"Median of the requests drawn: {medians}. A curve further left is cheaper at every rank; curves that cross mean "
        f"that the answer depends on the request. {marked}",
        f"Cumulative distribution of tokens and of seconds per request by approach. Medians: {medians}.",
        "ecdf",
        table,
    )


def _strip(data: RunData, usable: pd.DataFrame, marked: str) -> Figure:
    order = {task: place for place, task in enumerate(data.tasks)}
    middle = (
        usable[usable["approach"] == data.reference].groupby("task")["total_tokens"].median().dropna().sort_values()
    )
    said = ""
    if len(middle) > 1:
        ends = [f"{number(middle[task])} ({data.task_name(str(task))})" for task in (middle.index[0], middle.index[-1])]
        said = f"The median of {data.reference} goes from {ends[0]} to {ends[1]} tokens between tasks. "
    dots = usable.sort_values("task", key=lambda tasks: tasks.map(order), kind="stable", ignore_index=True)
    dots = dots.assign(row=dots["task"].map(data.task_name)).rename(columns={"total_tokens": "value"})
    return Figure(
        "strip",
        "Every sample by task",
        f"One dot per request. {said}Requests about one project resemble each other, which is why tests work on cluster "
        f"means and not on dots. {marked}",
        f"Tokens of every request by task and approach; {number(len(dots))} dots.",
        "strip",
        dots[["row", "approach", "value", "censored", "model", "case"]],
        {"xlabel": "tokens per request"},
    )


METRIC_COLUMNS = (
    MODEL,
    TASK,
    APPROACH,
    Column("n", "Samples", "number"),
    SUCCESS,
    Column("unparseable_rate", "Unparseable", "percent", 1),
    Column("capped_rate", "Capped", "percent", 1),
    QUALITY,
    *TOKENS_AND_TIME,
    *(Column(f"duration_p{q}", f"p{q} s", "number", 2) for q in (25, 50, 75, 90, 95, 99)),
    Column("time_to_first_token_p50", "First token s", "number", 2),
    SPEED,
    Column("tokens_per_second", "Tokens/s", "number", 1),
    THROUGHPUT,
    Column("tokens_per_point", "Tokens per point", "number", 0),
    Column("efficiency_score", "Efficiency", "number", 3),
)


def _columns(data: RunData) -> tuple[Column, ...]:
    """The columns of the metrics table.

    With thoughts if models had any, and money if the run has prices.
    """
    paid = (
        Column("money_mean", f"{data.currency} per 1,000", "number", 3),
        Column("money_per_point", f"{data.currency} per 1,000 points", "number", 3),
    )
    at = [column.key for column in METRIC_COLUMNS].index("efficiency_score")
    columns = (*METRIC_COLUMNS[:at], *paid, *METRIC_COLUMNS[at:]) if data.currency else METRIC_COLUMNS
    if THOUGHTS not in data.samples:
        return columns
    at = [column.key for column in columns].index("total_tokens_mean")
    return (*columns[:at], Column("reasoning_tokens_mean", "of which thoughts", "number", 1), *columns[at:])


def metrics(data: RunData) -> Section:
    """Metrics of every model, task and approach, with percentiles."""
    rows, columns = [], _columns(data)
    for model in ([ALL] if len(data.models) > 1 else []) + data.models:
        for task in [ALL, *data.tasks]:
            for approach in ([ALL] if task == ALL else []) + data.approaches:
                cells = {c.key: data.metric(c.key, model=model, task=task, approach=approach) for c in columns[4:]}
                count = data.metric("samples", model=model, task=task, approach=approach)
                if not count:
                    continue
                names = {
                    "model": ("all models" if model == ALL else model),
                    "task": "all tasks" if task == ALL else data.task_name(task),
                    "approach": "all" if approach == ALL else approach,
                }
                shown = {**names, "n": count["n"], **{key: _shown(key, cell) for key, cell in cells.items()}}
                rows.append(ranked(shown, main=task == ALL))
    caption = (
        "Failed requests count in the rates but never in the means. A percentile for which there are too few samples "
        "is left empty. ../tables/metrics.csv of the run has intervals, and says why a cell is empty."
    )
    return Section(
        "metrics",
        "Metrics and percentiles",
        (
            Table(
                "metrics",
                "Metrics by model, task and approach",
                caption,
                columns,
                rows,
                "No samples, so no metrics.",
            ),
            _latency(data),
            *_efficiency(data),
            *_own_metrics(data),
        ),
    )


def _shown(name: str, cell: Row) -> object:
    """The value of a cell; money a thousand times."""
    value = cell.get("value")
    return 1000 * value if name.startswith("money_") and value is not None else value


LATENCIES = {"duration": "whole request", "time_to_first_token": "until the first token"}
LATENCY_COLUMNS = (
    MODEL,
    APPROACH,
    Column("latency", "Seconds"),
    *(Column(key, label, "number", 3) for key, label in (("mean", "Mean"), ("p50", "p50"), ("p90", "p90"))),
    *(Column(key, key, "number", 3) for key in ("p95", "p99")),
)


def _latency(data: RunData) -> Table:
    """Percentiles of the whole request and of its first token, over all tasks."""
    rows = []
    for model in data.models:
        for approach in data.approaches:
            for name, label in LATENCIES.items():
                cells = {
                    column.key: data.metric(f"{name}_{column.key}", model=model, approach=approach).get("value")
                    for column in LATENCY_COLUMNS[3:]
                }
                if any(value is not None for value in cells.values()):
                    rows.append({"model": model, "approach": approach, "latency": label, **cells})
    caption = (
        "What most requests stay below, over all tasks: if the tail is long compared with the median, a waiting user "
        "notices. A percentile for which there are too few samples is left out; requests that timed out are treated as longer."
    )
    return Table("latency", "Latency percentiles", caption, LATENCY_COLUMNS, rows, "No completed request.")


EFFICIENCY_COLUMNS = (
    MODEL,
    TASK,
    APPROACH,
    Column("reference_score", "Reference score", "number", 3),
    Column("approach_score", "Approach score", "number", 3),
    Column("change_percent", "Change, %", "number", 1),
    Column("low", "95 % from", "number", 1),
    Column("high", "95 % to", "number", 1),
    CLUSTERS,
    NOTE,
)


def _efficiency(data: RunData) -> Iterator[Table]:
    """The change of the composite score; nothing in runs from before it was recorded."""
    if len(data.efficiency):
        caption = (
            f"Change of the composite efficiency score against {data.reference} over the pairs asked in both arms, positive "
            "is better. Exploratory; the score ignores quality and cannot reach 1 on real models."
        )
        rows = [
            ranked(
                _named(data, row),
                main=row["task"] == ALL and row["approach"] in data.compared,
                quiet=settles_nothing(row, ("change_percent", "low", "high")),
            )
            for row in data.ordered(data.efficiency)
            if not _repeated(data, row)
        ]
        yield Table("efficiency", f"Efficiency against {data.reference}", caption, EFFICIENCY_COLUMNS, rows)


def _repeated(data: RunData, row: Row) -> bool:
    """Whether a row over all models only says again what the row of the single model says."""
    return row["model"] == ALL and len(data.models) == 1


def _named(data: RunData, row: Row) -> Row:
    """A row of a derived table with model and task as people read them."""
    task = "all tasks" if row["task"] == ALL else data.task_name(row["task"])
    return {**row, "task": task, "model": "all models" if row["model"] == ALL else row["model"]}


OWN_COLUMNS = (
    Column("metric", "Metric"),
    MODEL,
    TASK,
    APPROACH,
    Column("value", "Value", "number", 4),
    Column("low", "95 % from", "number", 4),
    Column("high", "95 % to", "number", 4),
    Column("unit", "Unit"),
    NOTE,
)


def _own_metrics(data: RunData) -> Iterator[Table]:
    """Custom metrics, which no fixed column can know; nothing if there are none."""
    own = {
        row["name"]: row["description"]
        for row in records(data.definitions)
        if row["kind"] == "metric" and not row["origin"].startswith(BUILT_IN)
    }
    if own:
        mine = data.metrics[data.metrics["metric"].isin(own)]
        rows = [
            ranked(_named(data, row), main=row["task"] == ALL)
            for row in data.ordered(mine)
            if row["profile"] == data.profile and row["approach"] != ALL and not _repeated(data, row)
        ]
        said = "; ".join(f"{name}: {text}" for name, text in own.items())
        yield Table("own-metrics", "Custom metrics", said, OWN_COLUMNS, rows)
