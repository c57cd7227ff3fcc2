"""The comparison with the baseline, and quality against cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ai_dev_tools.benchmark.analysis.sampletable import ALL
from ai_dev_tools.benchmark.report.data import REFERENCE, RunData, plain_float
from ai_dev_tools.benchmark.report.model import Column, Figure, Prose, Section, Table
from ai_dev_tools.benchmark.report.sections.controls import controls_table
from ai_dev_tools.benchmark.report.text import is_missing, listing, number

PANELS = {"tokens": "Tokens", "time": "Time, tool run included"}
COMPARED = ("tokens", "time", "quality", "input_tokens", "output_tokens", "time_to_first_token", "server_cpu")
COMPARISON_COLUMNS = (
    Column("model", "Model"),
    Column("task", "Task"),
    Column("approach", "Approach"),
    Column("comparison", "Of what"),
    Column(
        "value",
        "Ratio or difference",
        "number",
        3,
        "geometric-mean ratio to the baseline; for quality the mean difference",
    ),
    Column("low", "95 % from", "number", 3),
    Column("high", "95 % to", "number", 3),
    Column("change_percent", "Saved %", "number", 1, "100 (1 − ratio); positive is cheaper"),
    Column("bill_ratio", "Bill ratio", "number", 3, "total of this approach over total of the baseline"),
    Column("pairs", "Pairs", "number"),
    Column("clusters", "Clusters", "number"),
    Column("p_adjusted", "p (BH)", "number", 4, "adjusted within the family of exploratory comparisons"),
    Column("note", "Note"),
)


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
                    named = "all tasks" if task == ALL else data.task_name(task)
                    rows.append({**found, "task": named, "comparison": name.replace("_", " ")})
    blocks: list[Any] = [_forest(data, approach) for approach in data.compared]
    caption = (
        "Every row compares the same cases, pair by pair. A ratio below 1 is cheaper; only the verdicts above "
        "carry a verdict word, everything here is exploratory."
    )
    table = Table(
        "comparisons",
        "All comparisons with the baseline",
        caption,
        COMPARISON_COLUMNS,
        rows,
        "No case was answered by the baseline and by another approach, so there is nothing to compare.",
    )
    return Section("comparison", "Baseline vs Tools Comparison", (*(b for b in blocks if b), table))


def _forest(data: RunData, approach: str) -> Figure | None:
    rows = []
    for model, task in _scopes(data):
        for name, panel in PANELS.items():
            found = data.comparison(name, approach, model=model, task=task)
            label = ("all tasks" if task == ALL else data.task_name(task)) + (
                f" · {model}" if len(data.models) > 1 else ""
            )
            value = {
                key: np.nan if is_missing(found.get(key)) else float(found[key]) for key in ("value", "low", "high")
            }
            rows.append(
                {
                    "panel": panel,
                    "label": label,
                    "model": model,
                    "task": task,
                    "ratio": value["value"],
                    "low": value["low"],
                    "high": value["high"],
                    "overall": task == ALL,
                    "clusters": found.get("clusters"),
                }
            )
    table = pd.DataFrame(rows)
    if not len(table) or table["ratio"].notna().sum() == 0:
        return None
    heads = [
        f"{panel.split(',')[0].lower()} {_spoken(data.comparison(name, approach, model=data.models[0]))}"
        for name, panel in PANELS.items()
    ]
    overall = f"Over all tasks on {data.models[0]}: {'; '.join(heads)}." if data.models else ""
    margin = (
        float(data.plans[-1]["claims"][0].get("margin_ratio", 0.95))
        if data.plans and data.plans[-1].get("claims")
        else 0.95
    )
    return Figure(
        id=f"forest-{approach}",
        title=f"Cost of {approach} relative to {REFERENCE}",
        caption=(
            f"{overall} An interval wholly left of the grey band is cheaper beyond the margin, wholly right of it "
            "dearer; one that touches the band settles nothing. Arrowheads: the interval goes on beyond the edge; "
            "few clusters give unbounded ones."
        ),
        alt=f"Forest plot of the ratio of {approach} to {REFERENCE} per task, for tokens and for time. {overall}",
        plot="forest",
        data=table,
        options={"margin": margin},
    )


def _spoken(row: Mapping[str, Any]) -> str:
    if is_missing(row.get("value")):
        return "cannot be compared"
    ends = (
        "no interval"
        if is_missing(row.get("low"))
        else f"95 % interval {number(row['low'], 3)} to {number(row.get('high'), 3)}"
    )
    return f"ratio {number(row['value'], 3)} ({ends})"


def quality(data: RunData) -> Section:
    """Quality against cost with the Pareto front, and quality of each arm including the controls."""
    rows = []
    for cost, panel in (
        ("total_tokens_mean", "mean tokens per request"),
        ("duration_mean", "mean seconds per request"),
    ):
        for approach in data.approaches:
            for model in data.models:
                for task in [ALL, *data.tasks]:
                    price, good = (
                        data.metric(cost, model=model, task=task, approach=approach),
                        data.metric("quality", model=model, task=task, approach=approach),
                    )
                    if is_missing(price.get("value")) or is_missing(good.get("value")):
                        continue
                    rows.append(
                        {
                            "panel": panel,
                            "approach": approach,
                            "model": model,
                            "task": task,
                            "overall": task == ALL,
                            "cost": float(price["value"]),
                            "quality": float(good["value"]),
                            "quality_low": plain_float(good.get("low")),
                            "quality_high": plain_float(good.get("high")),
                        }
                    )
    if not rows:
        return Section(
            "quality", "Quality against cost", (Prose(("No completed, scored sample: quality cannot be shown.",)),)
        )
    table = pd.DataFrame(rows)
    table["front"] = _front(table)
    best = {a: data.metric("quality", approach=a).get("value") for a in data.approaches}
    said = listing([f"{a} {number(v, 3)}" for a, v in best.items() if not is_missing(v)])
    figure = Figure(
        id="pareto",
        title="Quality against cost",
        caption=(
            f"Mean quality over everything: {said}. Up and to the left is better: an approach is worth its cost "
            "only where nothing cheaper scores as high (the dashed front joins those, over all tasks). Large "
            "marks: all tasks; small marks: single tasks; bars: 95 % intervals over clusters."
        ),
        alt=f"Scatter of mean quality against mean cost by approach. Mean quality: {said}.",
        plot="pareto",
        data=table,
    )
    return Section("quality", "Quality against cost", (figure, _controls_figure(data), controls_table(data)))


def _front(table: pd.DataFrame) -> pd.Series:
    """Points over all tasks that no other point of their panel beats in both cost and quality."""
    best: set[Any] = set()
    for _, part in table[table["overall"]].groupby("panel", sort=False):
        for index, row in part.iterrows():
            beaten = (
                (part["cost"] <= row["cost"])
                & (part["quality"] >= row["quality"])
                & ((part["cost"] < row["cost"]) | (part["quality"] > row["quality"]))
            )
            if not beaten.any():
                best.add(index)
    return pd.Series([index in best for index in table.index], index=table.index)


def _controls_figure(data: RunData) -> Figure:
    rows = []
    for task in [ALL, *data.tasks]:
        for approach in data.approaches:
            found = data.metric("quality", task=task, approach=approach)
            if found:
                rows.append(
                    {
                        "row": "all tasks" if task == ALL else data.task_name(task),
                        "approach": approach,
                        "value": plain_float(found.get("value")),
                        "low": plain_float(found.get("low")),
                        "high": plain_float(found.get("high")),
                    }
                )
    floor = data.metric("quality", approach="no_context").get("value")
    base = data.metric("quality", approach=REFERENCE).get("value")
    said = (
        ""
        if is_missing(floor) or is_missing(base)
        else f"The floor (no_context) scores {number(floor, 3)}, the baseline {number(base, 3)}. "
    )
    return Figure(
        id="controls",
        title="Control arms: what guessing and brevity score",
        caption=(
            f"{said}Schema-bound guessing scores above 0, so an approach proves something only by what it scores "
            "above no_context; where the baseline does not beat it, equal quality means nothing."
        ),
        alt=f"Mean quality with 95 % interval by task and approach. {said}",
        plot="dots",
        data=pd.DataFrame(rows),
        options={"xlabel": "quality (0 to 1)", "xlim": (-0.03, 1.03)},
    )
