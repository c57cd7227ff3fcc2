"""Where the cost comes from: parts of seconds, tokens and money, and how the arms differ in each."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ai_dev_tools.benchmark._util.text import number
from ai_dev_tools.benchmark.analysis.money import PARTS as MONEY_PARTS
from ai_dev_tools.benchmark.analysis.money import parts_of
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.plugins import is_agent
from ai_dev_tools.benchmark.reporting.data import RunData, plain_float, settles_nothing
from ai_dev_tools.benchmark.reporting.document import Column, Figure, Prose, Section, Table, ranked
from ai_dev_tools.benchmark.reporting.sections.columns import (
    APPROACH,
    HIGH,
    LOW,
    MODEL,
    NOTE,
    PAIRS,
)
from ai_dev_tools.benchmark.reporting.sections.episodes import episodes

PARTS = {"rest": "sampling, wait, transport", "prefill": "read prompt", "decode": "write answer"}
"""Parts of the time in words for people, in figure and table alike."""


def cost(data: RunData) -> Section:
    """Where tokens and seconds go."""
    parts = {
        "seconds per request": [
            (f"{name}_mean", PARTS.get(name, name)) for name in ("tool", "load", "prefill", "decode", "rest")
        ],
        "tokens per request": [("input_tokens_mean", "input"), ("output_tokens_mean", "output")],
    }
    rows = [
        {
            "panel": panel,
            "bar": _bar(data, model, approach),
            "part": part,
            "value": plain_float(data.metric(metric, model=model, approach=approach).get("value")),
        }
        for panel, metrics in parts.items()
        for metric, part in metrics
        for model in data.models
        for approach in data.approaches
    ]
    table = pd.DataFrame([*rows, *_money_parts(data)])
    if not len(table) or not table["value"].notna().any():
        return Section(
            "cost", "Where the cost comes from", (Prose(("No completed request, so there is no cost to break down.",)),)
        )
    table = table[table.groupby(["panel", "part"])["value"].transform("max") > 0]
    biggest = [_largest(table, a) for a in data.approaches]
    said = "; ".join(part for part in biggest if part)
    agents = any(map(is_agent, data.approaches))
    saved = (
        "A tool that saves an agent from reading files reduces the" if agents else "Condensing the context reduces the"
    )
    figure = Figure(
        "cost",
        "Where the cost comes from",
        (
            f"Largest part of the time: {said}. {saved} cost of reading the prompt. The cost of "
            "writing changes only as far as the answers do, and the tool's own run time is added."
        ),
        f"Stacked bars of mean seconds{', mean tokens and mean money' if data.currency else ' and mean tokens'} per request by "
        f"approach. Largest part of the time: {said}.",
        "stack",
        table,
    )
    return Section("cost", "Where the cost comes from", (figure, _differences(data), *episodes(data)))


def _bar(data: RunData, model: str, approach: str) -> str:
    return approach + (f" · {model}" if len(data.models) > 1 else "")


def _money_parts(data: RunData) -> Iterator[Row]:
    """The parts of the money that a thousand completed requests cost; nothing without prices."""
    if not data.currency:
        return
    done = data.samples[data.samples["status"] == "completed"]
    parts = parts_of(done)
    for name, part in MONEY_PARTS.items():
        value = pd.Series(getattr(parts, name), index=done.index)
        for model in data.models:
            for approach in data.approaches:
                mine = value[(done["model"] == model) & (done["approach"] == approach)].dropna()
                yield {
                    "panel": f"{data.currency} per 1,000 requests",
                    "bar": _bar(data, model, approach),
                    "part": part,
                    "value": 1000 * float(mine.mean()) if len(mine) else float("nan"),
                }


COST_COLUMNS = (
    MODEL,
    APPROACH,
    Column("component", "Part"),
    Column("unit", "Unit"),
    Column("reference_mean", "Reference mean", "number", 3),
    Column("approach_mean", "Approach mean", "number", 3),
    Column("difference", "Difference", "number", 3),
    LOW,
    HIGH,
    Column("share_percent", "Share of it, %", "number", 1),
    PAIRS,
    NOTE,
)


def _differences(data: RunData) -> Table:
    """The difference to the reference taken apart, over all tasks."""
    rows = [
        ranked(
            _per_thousand(row, data.currency) | {"component": PARTS.get(row["component"], row["component"])},
            main=row["approach"] in data.compared,
            quiet=settles_nothing(row, ("difference", "low", "high")),
        )
        for row in data.ordered(data.costs)
        if row["task"] == ALL and row["model"] != ALL
    ]
    caption = (
        f"The parts of the difference to {data.reference}, per request over all tasks: negative parts save, positive ones "
        "cost. ../tables/costs.csv of the run has the single tasks."
    )
    return Table("costs", "What the difference is made of", caption, COST_COLUMNS, rows, "Nothing to compare.")


def _per_thousand(row: Row, currency: str) -> Row:
    """A row about money counts a thousand requests: one costs too little to be read."""
    if not currency or row["unit"] != currency:
        return row
    names = ("reference_mean", "approach_mean", "difference", "low", "high")
    scaled = {name: None if row[name] is None else 1000 * row[name] for name in names}
    return {**row, **scaled, "unit": f"{currency} per 1,000"}


def _largest(table: pd.DataFrame, approach: str) -> str:
    mine = table[(table["panel"] == "seconds per request") & (table["bar"].str.split(" · ").str[0] == approach)]
    by_part = mine.groupby("part")["value"].mean()
    return f"{approach}: {by_part.idxmax()} ({number(by_part.max(), 2)} s)" if by_part.sum() > 0 else ""
