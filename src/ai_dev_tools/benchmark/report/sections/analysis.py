"""The comparison, quality against cost, distributions, where cost comes from, and the metrics in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ai_dev_tools.benchmark.report.data import ALL, REFERENCE, RunData
from ai_dev_tools.benchmark.report.model import Column, Figure, Prose, Section, Table
from ai_dev_tools.benchmark.report.text import is_missing, listing, number

PANELS = {"tokens": "Tokens", "time": "Time (tools' own run time included)"}
COMPARED = ("tokens", "time", "quality", "input_tokens", "output_tokens", "time_to_first_token", "server_cpu")
COMPARISON_COLUMNS = (
    Column("model", "Model"),
    Column("task", "Task"),
    Column("approach", "Approach"),
    Column("comparison", "Of what"),
    Column("value", "Ratio or difference", "number", 3, "geometric-mean ratio to the baseline; for quality the mean difference"),
    Column("low", "95 % from", "number", 3),
    Column("high", "95 % to", "number", 3),
    Column("change_percent", "Saved %", "number", 1, "100 (1 − ratio); positive is cheaper"),
    Column("bill_ratio", "Bill ratio", "number", 3, "total of this approach over total of the baseline"),
    Column("pairs", "Pairs", "number"),
    Column("clusters", "Clusters", "number"),
    Column("p_adjusted", "p (BH)", "number", 4, "adjusted within the family of exploratory comparisons"),
    Column("note", "Note"),
)


def _show_model(data: RunData, model: str) -> str:
    return "all models" if model == ALL else model


def _scopes(data: RunData) -> list[tuple[str, str]]:
    """(model, task) from the whole to its parts; a single model is not repeated."""
    models = data.models if len(data.models) == 1 else [*data.models]
    return [(model, task) for model in models for task in [ALL, *data.tasks]]


def comparison(data: RunData) -> Section:
    """Ratio with interval per task and model, as forest plot and table."""
    rows = []
    for approach in data.approaches:
        for model, task in _scopes(data):
            for name in COMPARED:
                if found := data.comparison(name, approach, model=model, task=task):
                    rows.append({**found, "task": "all tasks" if task == ALL else data.task_name(task)})
    blocks: list[Any] = [_forest(data, approach) for approach in data.compared]
    caption = "Every row compares the same cases, pair by pair. A ratio below 1 is cheaper; only the verdicts above carry a verdict word, everything here is exploratory."
    table = Table("comparisons", "All comparisons with the baseline", caption, COMPARISON_COLUMNS, rows, "No case was answered by the baseline and by another approach, so there is nothing to compare.")
    return Section("comparison", "Baseline vs Tools Comparison", (*(b for b in blocks if b), table))


def _forest(data: RunData, approach: str) -> Figure | None:
    rows = []
    for model, task in _scopes(data):
        for name, panel in PANELS.items():
            found = data.comparison(name, approach, model=model, task=task)
            label = ("all tasks" if task == ALL else data.task_name(task)) + (f" · {model}" if len(data.models) > 1 else "")
            value = {key: np.nan if is_missing(found.get(key)) else float(found[key]) for key in ("value", "low", "high")}
            rows.append({"panel": panel, "label": label, "model": model, "task": task, "ratio": value["value"], "low": value["low"], "high": value["high"], "overall": task == ALL, "clusters": found.get("clusters")})
    table = pd.DataFrame(rows)
    if not len(table) or table["ratio"].notna().sum() == 0:
        return None
    heads = [f"{panel.split(' (')[0].lower()} {_spoken(data.comparison(name, approach, model=data.models[0]))}" for name, panel in PANELS.items()]
    overall = f"Over all tasks on {data.models[0]}: {'; '.join(heads)}." if data.models else ""
    margin = float(data.plans[-1]["claims"][0].get("margin_ratio", 0.95)) if data.plans and data.plans[-1].get("claims") else 0.95
    return Figure(
        id=f"forest-{approach}",
        title=f"Cost of {approach} relative to {REFERENCE}",
        caption=f"{overall} An interval wholly left of the grey band is cheaper beyond the margin, wholly right of it dearer; one that touches the band settles nothing. Arrowheads: the interval goes on beyond the edge; few clusters give unbounded ones.",
        alt=f"Forest plot of the ratio of {approach} to {REFERENCE} per task, for tokens and for time. {overall}",
        plot="forest",
        data=table,
        options={"margin": margin},
    )


def _spoken(row: Mapping[str, Any]) -> str:
    if is_missing(row.get("value")):
        return "cannot be compared"
    ends = "no interval" if is_missing(row.get("low")) else f"95 % interval {number(row['low'], 3)} to {number(row.get('high'), 3)}"
    return f"ratio {number(row['value'], 3)} ({ends})"


def quality(data: RunData) -> Section:
    """Quality against cost with the Pareto front, and quality of each arm including the controls."""
    rows = []
    for cost, panel in (("total_tokens_mean", "mean tokens per request"), ("duration_mean", "mean seconds per request")):
        for approach in data.approaches:
            for model in data.models:
                for task in [ALL, *data.tasks]:
                    price, good = data.metric(cost, model=model, task=task, approach=approach), data.metric("quality", model=model, task=task, approach=approach)
                    if is_missing(price.get("value")) or is_missing(good.get("value")):
                        continue
                    rows.append({"panel": panel, "approach": approach, "model": model, "task": task, "overall": task == ALL, "cost": float(price["value"]), "quality": float(good["value"]), "quality_low": _float(good.get("low")), "quality_high": _float(good.get("high"))})
    if not rows:
        return Section("quality", "Quality against cost", (Prose(("No completed, scored sample: quality cannot be shown.",)),))
    table = pd.DataFrame(rows)
    table["front"] = _front(table)
    best = {a: data.metric("quality", approach=a).get("value") for a in data.approaches}
    said = listing([f"{a} {number(v, 3)}" for a, v in best.items() if not is_missing(v)])
    figure = Figure(
        id="pareto",
        title="Quality against cost",
        caption=f"Mean quality over everything: {said}. Up and to the left is better: an approach is worth its cost only where nothing cheaper scores as high (the dashed front joins those, over all tasks). Large marks: all tasks; small marks: single tasks; bars: 95 % intervals over clusters.",
        alt=f"Scatter of mean quality against mean cost by approach. Mean quality: {said}.",
        plot="pareto",
        data=table,
    )
    return Section("quality", "Quality against cost", (figure, _controls_figure(data)))


def _float(value: Any) -> float:
    return float("nan") if is_missing(value) else float(value)


def _front(table: pd.DataFrame) -> pd.Series:
    """Points over all tasks that no other point of their panel beats in both cost and quality."""
    marks = pd.Series(False, index=table.index)
    for _, part in table[table["overall"]].groupby("panel", sort=False):
        for index, row in part.iterrows():
            beaten = (part["cost"] <= row["cost"]) & (part["quality"] >= row["quality"]) & ((part["cost"] < row["cost"]) | (part["quality"] > row["quality"]))
            marks.loc[index] = not beaten.any()
    return marks


def _controls_figure(data: RunData) -> Figure:
    rows = []
    for task in [ALL, *data.tasks]:
        for approach in data.approaches:
            found = data.metric("quality", task=task, approach=approach)
            if found:
                rows.append({"row": "all tasks" if task == ALL else data.task_name(task), "approach": approach, "value": _float(found.get("value")), "low": _float(found.get("low")), "high": _float(found.get("high"))})
    floor = data.metric("quality", approach="no_context").get("value")
    base = data.metric("quality", approach=REFERENCE).get("value")
    said = "" if is_missing(floor) or is_missing(base) else f"The floor (no_context) scores {number(floor, 3)}, the baseline {number(base, 3)}. "
    return Figure(
        id="controls",
        title="Control arms: what guessing and brevity score",
        caption=f"{said}Schema-bound guessing scores above 0, so an approach proves something only by what it scores above no_context; where the baseline does not beat it, equal quality means nothing.",
        alt=f"Mean quality with 95 % interval by task and approach. {said}",
        plot="dots",
        data=pd.DataFrame(rows),
        options={"xlabel": "quality (0 to 1)", "xlim": (-0.03, 1.03)},
    )


def distributions(data: RunData) -> Section:
    """Every sample: cumulative shares by arm, and dots by task."""
    samples = data.samples
    usable = samples[samples["status"].isin(["completed", "timeout"])]
    cut = (usable["done_reason"] == "length") | (usable["status"] == "timeout")
    parts = []
    for column, panel in (("total_tokens", "tokens per request"), ("duration_s", "seconds per request")):
        parts.append(pd.DataFrame({"panel": panel, "approach": usable["approach"], "value": usable[column].astype(float), "censored": cut}))
    table = pd.concat(parts, ignore_index=True)
    if not table["value"].notna().any():
        return Section("distributions", "Distributions", (Prose(("No completed request: there is nothing to distribute.",)),))
    medians = listing([f"{a} {number(usable.loc[usable['approach'] == a, 'total_tokens'].median())} tokens and {number(usable.loc[usable['approach'] == a, 'duration_s'].median(), 2)} s" for a in data.approaches if (usable["approach"] == a).any()])
    marked = f"{number(int(cut.sum()))} of {number(len(usable))} are cut off (at the output cap or the time limit) and marked: their true value is larger."
    figure = Figure("ecdf", "Distribution of cost", f"Median per request: {medians}. A curve further left is cheaper at every rank; curves that cross mean that the answer depends on the request. {marked}", f"Cumulative distribution of tokens and of seconds per request by approach. Medians: {medians}.", "ecdf", table)
    dots = pd.DataFrame({"row": [data.task_name(t) for t in usable["task"]], "approach": usable["approach"].to_numpy(), "value": usable["total_tokens"].to_numpy(dtype=float), "censored": cut.to_numpy(), "model": usable["model"].to_numpy(), "case": usable["case"].to_numpy()})
    order = {data.task_name(t): n for n, t in enumerate(data.tasks)}
    dots = dots.sort_values("row", key=lambda names: names.map(order), kind="stable", ignore_index=True)
    strip = Figure("strip", "Every sample by task", f"One dot per request. Tasks differ more than repeats of a case, which is why the test works on cluster means and not on dots. {marked} Hollow dots are cut off.", f"Tokens of every request by task and approach; {number(len(dots))} dots.", "strip", dots, {"xlabel": "tokens per request"})
    return Section("distributions", "Distributions", (figure, strip))


def cost(data: RunData) -> Section:
    """Where tokens and seconds go."""
    parts = {
        "seconds per request": (("tool_mean", "tool"), ("load_mean", "load"), ("queue_mean", "wait"), ("prefill_mean", "read prompt"), ("decode_mean", "write answer")),
        "tokens per request": (("input_tokens_mean", "input"), ("output_tokens_mean", "output")),
    }
    rows = [
        {"panel": panel, "bar": approach + (f" · {model}" if len(data.models) > 1 else ""), "part": part, "value": _float(data.metric(metric, model=model, approach=approach).get("value"))}
        for panel, metrics in parts.items()
        for metric, part in metrics
        for model in data.models
        for approach in data.approaches
    ]
    table = pd.DataFrame(rows)
    if not len(table) or not table["value"].notna().any():
        return Section("cost", "Where the cost comes from", (Prose(("No completed request: there is no cost to take apart.",)),))
    table["value"] = table["value"].fillna(0.0)
    biggest = [_largest(table, a) for a in data.approaches]
    said = "; ".join(part for part in biggest if part)
    figure = Figure("cost", "Where the cost comes from", f"Largest part of the time: {said}. Condensing the context can only shrink what reading the prompt costs; what writing the answer costs stays, and the tool's own run time is added.", f"Stacked bars of mean seconds and mean tokens per request by approach. Largest part of the time: {said}.", "stack", table)
    return Section("cost", "Where the cost comes from", (figure,))


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
                cells = {c.key: data.metric(c.key, model=model, task=task, approach=approach) for c in METRIC_COLUMNS[4:]}
                count = data.metric("samples", model=model, task=task, approach=approach)
                if not count:
                    continue
                names = {"model": _show_model(data, model), "task": "all tasks" if task == ALL else data.task_name(task), "approach": "all" if approach == ALL else approach}
                rows.append({**names, "n": count["n"], **{key: cell.get("value") for key, cell in cells.items()}})
    caption = "Failed requests count in the rates and never in the means; a percentile that so few samples cannot give stays empty. Intervals, and why a cell is empty, are in tables/metrics.csv."
    return Section("metrics", "Metrics and percentiles", (Table("metrics", "Metrics by model, task and approach", caption, METRIC_COLUMNS, rows, "No samples, so no metrics."),))
