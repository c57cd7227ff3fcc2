"""The comparison with the baseline, and quality against cost."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import pandas as pd

from ai_dev_tools.benchmark._util.text import is_missing, listing, number, plural, ratio_axis, signed
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.plugins import is_agent
from ai_dev_tools.benchmark.records.names import figure_id
from ai_dev_tools.benchmark.records.prices import MONEY
from ai_dev_tools.benchmark.reporting.data import REFERENCE, RunData, plain_float, settles_nothing
from ai_dev_tools.benchmark.reporting.document import Block, Column, Figure, Prose, Section, Table, ranked
from ai_dev_tools.benchmark.reporting.sections.columns import APPROACH, CLUSTERS, HIGH, LOW, MODEL, NOTE, PAIRS, TASK
from ai_dev_tools.benchmark.reporting.sections.controls import controls_table

MOST_SPOKEN = 4
PANELS = {"tokens": "Tokens", "time": "Time, tool run included"}
MONEY_PANEL = {MONEY: "Money"}
COMPARED = ("tokens", "time", MONEY, "quality", "input_tokens", "output_tokens", "time_to_first_token", "server_cpu")
COMPARISON_COLUMNS = (
    MODEL,
    TASK,
    APPROACH,
    Column("comparison", "Measure"),
    Column(
        "value",
        "Ratio or difference",
        "number",
        3,
        "geometric-mean ratio to the reference; for quality the mean difference",
    ),
    LOW,
    HIGH,
    Column("change_percent", "Saved, %", "number", 1, "100 (1 − ratio); positive is cheaper"),
    Column("bill_ratio", "Bill ratio", "number", 3, "total of this approach over total of the reference"),
    PAIRS,
    CLUSTERS,
    Column("p_adjusted", "p (BH)", "number", 4, "adjusted within the family of exploratory comparisons"),
    NOTE,
)


def _scopes(data: RunData) -> list[tuple[str, str]]:
    """(model, task), of each model the whole before its parts."""
    return [(model, task) for model in data.models for task in [ALL, *data.tasks]]


def _compared(data: RunData) -> list[str]:
    """Every comparison of the run: those that claims are about first, custom ones last."""
    return list(dict.fromkeys([*COMPARED, *data.comparisons.get("comparison", ())]))


def _panels(data: RunData) -> dict[str, str]:
    """The outcomes that are drawn."""
    return {**PANELS, **(MONEY_PANEL if data.currency else {})}


def comparison(data: RunData) -> Section:
    """Ratio with interval per task and model, as forest plot and table."""
    names = _compared(data)
    rows = []
    for approach in data.approaches:
        for model, task in _scopes(data):
            for name in names:
                if found := data.comparison(name, approach, model=model, task=task):
                    named = "all tasks" if task == ALL else data.task_name(task)
                    shown = {**found, "task": named, "comparison": name.replace("_", " ")}
                    main = task == ALL and approach in data.compared and name in ("tokens", "time", MONEY, "quality")
                    rows.append(ranked(shown, main=main, quiet=settles_nothing(found, least=data.least_clusters)))
    blocks: list[Block | None] = [_forest(data, approach) for approach in data.compared]
    caption = (
        "Every row compares the same cases, pair by pair. A ratio below 1 is cheaper. Only the verdicts above "
        "are conclusions; everything here is exploratory."
    )
    table = Table(
        "comparisons",
        f"All comparisons with {data.reference}",
        caption,
        COMPARISON_COLUMNS,
        rows,
        f"No case was answered by {data.reference} and by another approach, so there is nothing to compare.",
    )
    usual = data.reference == REFERENCE and data.compared in (["tools"], [])
    title = "Baseline vs Tools Comparison" if usual else f"{data.reference} vs {listing(data.compared)}"
    return Section("comparison", title, (*(b for b in blocks if b), table))


def _forest(data: RunData, approach: str) -> Figure | None:
    table = _ratios(data, approach)
    if not len(table) or not table["ratio"].notna().any():
        return None
    overall = " ".join(_over_all_tasks(data, approach, model) for model in data.models[:MOST_SPOKEN])
    drawn = " and ".join(f"for {name}" for name in _panels(data))
    settled = _settled(table, data.margin, _panels(data))
    return Figure(
        id=figure_id("forest", approach),
        title=f"Cost of {approach} relative to {data.reference}",
        caption=(
            f"{overall} {settled}An interval entirely left of the grey band is cheaper beyond the "
            "margin, entirely right of it more expensive; if it touches the band, the result is open. Arrowheads: the interval "
            "continues beyond the edge; few clusters give unbounded ones."
        ),
        alt=f"Forest plot of the ratio of {approach} to {data.reference} per task, {drawn}. {overall}",
        plot="forest",
        data=table,
        options={"margin": data.margin, "xlabel": ratio_axis(data.reference)},
    )


def _ratios(data: RunData, approach: str) -> pd.DataFrame:
    """What the forest plot of an approach shows: one row per model, task and cost."""
    rows = []
    for model, task in _scopes(data):
        label = ("all tasks" if task == ALL else data.task_name(task)) + (f" · {model}" if len(data.models) > 1 else "")
        for name, panel in _panels(data).items():
            found = data.comparison(name, approach, model=model, task=task)
            rows.append(
                {
                    "panel": panel,
                    "label": label,
                    "model": model,
                    "task": task,
                    "ratio": plain_float(found.get("value")),
                    "low": plain_float(found.get("low")),
                    "high": plain_float(found.get("high")),
                    "overall": task == ALL,
                    "clusters": found.get("clusters"),
                }
            )
    return pd.DataFrame(rows)


def _over_all_tasks(data: RunData, approach: str, model: str) -> str:
    """`Over all tasks on llama3.2:1b: tokens ratio 0.617 (…); time ratio 0.712 (…).`"""
    heads = [f"{name} {_in_words(data.comparison(name, approach, model=model))}" for name in _panels(data)]
    return f"Over all tasks on {model}: {'; '.join(heads)}."


def _settled(table: pd.DataFrame, margin: float, panels: Mapping[str, str]) -> str:
    """How many single tasks are entirely on one side of the band; nothing for one task."""
    tasks = table[~table["overall"]]
    every = tasks["label"].nunique()
    if every < 2:
        return ""
    sides = {"left of the band": tasks["high"] < margin, "right": tasks["low"] > 1 / margin}
    parts = []
    for side, inside in sides.items():
        counts = [f"{name} {int((inside & (tasks['panel'] == panel)).sum())}" for name, panel in panels.items()]
        parts.append(f"entirely {side}: {', '.join(counts)}")
    return f"Of {plural(every, 'row')} of single tasks, {'; '.join(parts)}. "


def _in_words(row: Row) -> str:
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
    table = _points(data)
    if not len(table):
        return Section(
            "quality", "Quality against cost", (Prose(("No completed, scored sample: quality cannot be shown.",)),)
        )
    best = {a: data.metric("quality", approach=a).get("value") for a in data.approaches}
    models = " A line joins the approaches of one model." if len(data.models) > 1 else ""
    said = listing([f"{a} {number(v, 3)}" for a, v in best.items() if not is_missing(v)])
    figure = Figure(
        id="pareto",
        title="Quality against cost",
        caption=(
            f"Mean quality over everything: {said}. Up and to the left is better: an approach is worth its cost "
            f"only if nothing cheaper scores as high (the dashed front). {_on_the_front(table)} Large marks: all "
            f"tasks; small marks: single tasks; bars: 95 % intervals over clusters.{models}"
        ),
        alt=f"Scatter of mean quality against mean cost by approach. Mean quality: {said}.",
        plot="pareto",
        data=table,
    )
    # each control is about what one prompt shows
    controls = () if all(map(is_agent, data.approaches)) else (controls_table(data),)
    return Section("quality", "Quality against cost", (figure, _controls_figure(data), *controls))


def _points(data: RunData) -> pd.DataFrame:
    """Mean quality and both mean costs of each approach, model and task that has them.

    `front` as `_front` finds it.
    """
    rows = []
    for cost, panel in (
        ("total_tokens_mean", "mean tokens per request"),
        ("duration_mean", "mean seconds per request"),
        *((("money_mean", f"mean {data.currency} per request"),) if data.currency else ()),
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
    table = pd.DataFrame(rows)
    return table.assign(front=_front(table)) if rows else table


def _front(table: pd.DataFrame) -> pd.Series:
    """Points over all tasks that no other point of their panel beats in both cost and quality."""
    best: set[Hashable] = set()
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


def _on_the_front(table: pd.DataFrame) -> str:
    """Who is on the front, over all tasks, in either cost."""
    whole = table[table["overall"]]
    names = whole["approach"] + (" on " + whole["model"] if whole["model"].nunique() > 1 else "")
    found = {panel: list(names[whole["front"] & (whole["panel"] == panel)]) for panel in whole["panel"].unique()}
    if len(set(map(tuple, found.values()))) == 1:
        return f"On it, over all tasks: {listing(next(iter(found.values())))}."
    parts = [f"{listing(members)} by {panel}" for panel, members in found.items()]
    return f"On it, over all tasks: {'; '.join(parts) or 'nothing'}."


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
    said = " ".join(_above_the_floor(data, floor) for floor in dict.fromkeys(data.floors.values()))
    references = " or ".join(data.floors)
    return Figure(
        id="controls",
        title="Control arms: what guessing and brevity score",
        caption=(
            f"{said} Guessing within the answer format can score above 0, so an approach proves something only by "
            f"its score above the floor. Where {references} does not beat its floor, equal quality means nothing."
        ),
        alt=f"Mean quality with 95 % interval by task and approach. {said}",
        plot="dots",
        data=pd.DataFrame(rows),
        options={"xlabel": "quality (0 to 1)", "xlim": (-0.03, 1.03)},
    )


def _above_the_floor(data: RunData, floor: str) -> str:
    """What guessing scores, and by how much each other arm that this is the floor of differs from it."""
    arms = [name for name in data.approaches if is_agent(name) == is_agent(floor)]
    scores = {name: data.metric("quality", approach=name).get("value") for name in arms}
    guessed = scores.pop(floor, None)
    if guessed is None:
        return f"The floor ({floor}) has no score here, so nothing tells quality from guessing."
    others = [f"{name} {signed(value - guessed, 3)}" for name, value in scores.items() if value is not None]
    return f"The floor ({floor}) scores {number(guessed, 3)}; relative to it: {listing(others)}."
