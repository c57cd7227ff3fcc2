"""Distributions, where cost comes from, and the metrics in numbers."""

from __future__ import annotations

import pandas as pd

from ai_dev_tools.benchmark.analysis.sampletable import ALL
from ai_dev_tools.benchmark.report.data import RunData, plain_float, records
from ai_dev_tools.benchmark.report.model import Column, Figure, Prose, Section, Table
from ai_dev_tools.benchmark.report.text import listing, number


def distributions(data: RunData) -> Section:
    """Every sample: cumulative shares by arm, and dots by task."""
    samples = data.samples
    usable = samples[samples["status"].isin(["completed", "timeout"])]
    cut = (usable["done_reason"] == "length") | (usable["status"] == "timeout")
    parts = []
    for column, panel in (("total_tokens", "tokens per request"), ("duration_s", "seconds per request")):
        parts.append(
            pd.DataFrame(
                {"panel": panel, "approach": usable["approach"], "value": usable[column].astype(float), "censored": cut}
            )
        )
    table = pd.concat(parts, ignore_index=True)
    if not table["value"].notna().any():
        return Section(
            "distributions", "Distributions", (Prose(("No completed request: there is nothing to distribute.",)),)
        )
    medians = listing(
        [
            (
                f"{a} {number(usable.loc[usable['approach'] == a, 'total_tokens'].median())} tokens and "
                f"{number(usable.loc[usable['approach'] == a, 'duration_s'].median(), 2)} s"
            )
            for a in data.approaches
            if (usable["approach"] == a).any()
        ]
    )
    marked = (
        f"{number(int(cut.sum()))} of {number(len(usable))} are cut off (at the output cap or the time limit) and "
        "marked: their true value is larger."
    )
    figure = Figure(
        "ecdf",
        "Distribution of cost",
        (
            f"Median per request: {medians}. A curve further left is cheaper at every rank; curves that cross mean "
            f"that the answer depends on the request. {marked}"
        ),
        f"Cumulative distribution of tokens and of seconds per request by approach. Medians: {medians}.",
        "ecdf",
        table,
    )
    dots = pd.DataFrame(
        {
            "row": [data.task_name(t) for t in usable["task"]],
            "approach": usable["approach"].to_numpy(),
            "value": usable["total_tokens"].to_numpy(dtype=float),
            "censored": cut.to_numpy(),
            "model": usable["model"].to_numpy(),
            "case": usable["case"].to_numpy(),
        }
    )
    order = {data.task_name(t): n for n, t in enumerate(data.tasks)}
    dots = dots.sort_values("row", key=lambda names: names.map(order), kind="stable", ignore_index=True)
    strip = Figure(
        "strip",
        "Every sample by task",
        (
            "One dot per request. Tasks differ more than repeats of a case, which is why the test works on cluster "
            f"means and not on dots. {marked} Hollow dots are cut off."
        ),
        f"Tokens of every request by task and approach; {number(len(dots))} dots.",
        "strip",
        dots,
        {"xlabel": "tokens per request"},
    )
    return Section("distributions", "Distributions", (figure, strip))


def cost(data: RunData) -> Section:
    """Where tokens and seconds go."""
    parts = {
        "seconds per request": (
            ("tool_mean", "tool"),
            ("load_mean", "load"),
            ("queue_mean", "wait"),
            ("prefill_mean", "read prompt"),
            ("decode_mean", "write answer"),
        ),
        "tokens per request": (("input_tokens_mean", "input"), ("output_tokens_mean", "output")),
    }
    rows = [
        {
            "panel": panel,
            "bar": approach + (f" · {model}" if len(data.models) > 1 else ""),
            "part": part,
            "value": plain_float(data.metric(metric, model=model, approach=approach).get("value")),
        }
        for panel, metrics in parts.items()
        for metric, part in metrics
        for model in data.models
        for approach in data.approaches
    ]
    table = pd.DataFrame(rows)
    if not len(table) or not table["value"].notna().any():
        return Section(
            "cost", "Where the cost comes from", (Prose(("No completed request: there is no cost to take apart.",)),)
        )
    table["value"] = table["value"].fillna(0.0)
    biggest = [_largest(table, a) for a in data.approaches]
    said = "; ".join(part for part in biggest if part)
    figure = Figure(
        "cost",
        "Where the cost comes from",
        (
            f"Largest part of the time: {said}. Condensing the context can only shrink what reading the prompt "
            "costs; what writing the answer costs stays, and the tool's own run time is added."
        ),
        f"Stacked bars of mean seconds and mean tokens per request by approach. Largest part of the time: {said}.",
        "stack",
        table,
    )
    return Section("cost", "Where the cost comes from", (figure, _differences(data)))


COST_COLUMNS = (
    Column("model", "Model"),
    Column("approach", "Approach"),
    Column("component", "Part"),
    Column("unit", "Unit"),
    Column("reference_mean", "Baseline mean", "number", 3),
    Column("approach_mean", "Approach mean", "number", 3),
    Column("difference", "Difference", "number", 3),
    Column("low", "95 % from", "number", 3),
    Column("high", "95 % to", "number", 3),
    Column("share_percent", "Share of it, %", "number", 1),
    Column("pairs", "Pairs", "number"),
    Column("note", "Note"),
)


def _differences(data: RunData) -> Table:
    """The difference to the baseline taken apart, over all tasks."""
    rows = [row for row in records(data.costs) if row["task"] == ALL and row["model"] != ALL]
    caption = (
        "What makes the difference to the baseline, per request over all tasks: negative parts save, positive ones "
        "cost. Tasks one by one are in tables/costs.csv."
    )
    return Table("costs", "What the difference is made of", caption, COST_COLUMNS, rows, "Nothing to compare.")


def _largest(table: pd.DataFrame, approach: str) -> str:
    mine = table[(table["panel"] == "seconds per request") & (table["bar"].str.split(" · ").str[0] == approach)]
    by_part = mine.groupby("part")["value"].mean()
    return f"{approach}: {by_part.idxmax()} ({number(by_part.max(), 2)} s)" if by_part.sum() > 0 else ""


METRIC_COLUMNS = (
    Column("model", "Model"),
    Column("task", "Task"),
    Column("approach", "Approach"),
    Column("n", "Samples", "number"),
    Column("success_rate", "Success", "percent", 1),
    Column("unparseable_rate", "Unparseable", "percent", 1),
    Column("capped_rate", "Capped", "percent", 1),
    Column("quality", "Quality", "number", 3),
    Column("input_tokens_mean", "Input tokens", "number", 1),
    Column("output_tokens_mean", "Output tokens", "number", 1),
    Column("total_tokens_mean", "Total tokens", "number", 1),
    Column("duration_mean", "Mean s", "number", 2),
    *(Column(f"duration_p{q}", f"p{q} s", "number", 2) for q in (25, 50, 75, 90, 95, 99)),
    Column("time_to_first_token_p50", "First token s", "number", 2),
    Column("decode_tokens_per_second", "Decode tok/s", "number", 1),
    Column("tokens_per_second", "Tokens/s", "number", 1),
    Column("throughput", "Requests/s", "number", 3),
    Column("tokens_per_point", "Tokens per point", "number", 0),
    Column("efficiency_score", "Efficiency", "number", 3),
)


def metrics(data: RunData) -> Section:
    """Metrics of every model, task and approach, with percentiles."""
    rows = []
    for model in ([ALL] if len(data.models) > 1 else []) + data.models:
        for task in [ALL, *data.tasks]:
            for approach in ([ALL] if task == ALL else []) + data.approaches:
                cells = {
                    c.key: data.metric(c.key, model=model, task=task, approach=approach) for c in METRIC_COLUMNS[4:]
                }
                count = data.metric("samples", model=model, task=task, approach=approach)
                if not count:
                    continue
                names = {
                    "model": ("all models" if model == ALL else model),
                    "task": "all tasks" if task == ALL else data.task_name(task),
                    "approach": "all" if approach == ALL else approach,
                }
                rows.append({**names, "n": count["n"], **{key: cell.get("value") for key, cell in cells.items()}})
    caption = (
        "Failed requests count in the rates and never in the means; a percentile that so few samples cannot give "
        "stays empty. Intervals, and why a cell is empty, are in tables/metrics.csv."
    )
    return Section(
        "metrics",
        "Metrics and percentiles",
        (
            Table(
                "metrics",
                "Metrics by model, task and approach",
                caption,
                METRIC_COLUMNS,
                rows,
                "No samples, so no metrics.",
            ),
        ),
    )
