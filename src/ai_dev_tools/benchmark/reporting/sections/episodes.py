"""What an agent did with its turns, and where the tokens of an episode go."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ai_dev_tools.benchmark._util.text import is_missing, listing, number
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.plugins import is_agent
from ai_dev_tools.benchmark.reporting.data import RunData, plain_float
from ai_dev_tools.benchmark.reporting.document import Block, Column, Figure, Table, ranked
from ai_dev_tools.benchmark.reporting.sections.columns import APPROACH, MODEL, TASK

TOKEN_PARTS = {
    "opening_tokens_mean": "question, instructions, actions",
    "file_tokens_mean": "results of file actions",
    "tool_result_tokens_mean": "results of the tool",
    "own_message_tokens_mean": "own earlier messages",
    "output_tokens_mean": "written",
}
"""Metrics of the parts of an episode's tokens, in words for the figure."""
COLUMNS = (
    MODEL,
    TASK,
    APPROACH,
    Column("n", "Episodes", "number"),
    Column("turns_mean", "Turns", "number", 1),
    Column("tool_calls_mean", "Tool calls", "number", 1),
    Column("tool_used_rate", "Used the tool", "percent", 1),
    Column("limit_rate", "Reached a limit", "percent", 1),
    Column("opening_tokens_mean", "Opening", "number", help="tokens: question, instructions and offered actions"),
    Column("file_tokens_mean", "Files", "number", help="tokens: results of the agent's own file actions"),
    Column("tool_result_tokens_mean", "Tool results", "number", help="tokens: results of the judged tool"),
    Column(
        "own_message_tokens_mean", "Own messages", "number", help="tokens: the model's earlier messages, sent again"
    ),
    Column("output_tokens_mean", "Written", "number", help="tokens that the model generated"),
    Column("new_input_tokens_mean", "Newly read", "number", help="prompt tokens that were not in the server's cache"),
)


def episodes(data: RunData) -> Iterator[Block]:
    """A figure and a table of the agents' arms; nothing in a run without them."""
    arms = [arm for arm in data.approaches if not is_missing(_mean(data, "turns_mean", approach=arm))]
    if not arms:
        return
    bars = pd.DataFrame(
        {
            "panel": "tokens per episode",
            "bar": arm + (f" · {model}" if len(data.models) > 1 else ""),
            "part": part,
            "value": _mean(data, metric, model=model, approach=arm),
        }
        for model in data.models
        for arm in arms
        for metric, part in TOKEN_PARTS.items()
    ).dropna(subset="value")
    if len(bars):
        yield _figure(bars)
    absent = [arm for arm in data.approaches if is_agent(arm) and arm not in arms]
    yield _table(data, arms, f" Without a completed episode: {listing(absent)}." if absent else "")


def _mean(data: RunData, metric: str, **place: str) -> float | None:
    return plain_float(data.metric(metric, **place).get("value"))


def _figure(bars: pd.DataFrame) -> Figure:
    bars = bars[bars.groupby("part")["value"].transform("max") > 0]
    largest = bars.loc[bars.groupby("bar", sort=False)["value"].idxmax()]
    said = listing([f"{row.bar}: {row.part} ({number(row.value)} tokens)" for row in largest.itertuples()])
    return Figure(
        "episode_tokens",
        "Where the tokens of an episode go",
        f"Largest part: {said}. The whole conversation is sent again with every turn, so the opening counts once per turn and "
        "an early result counts in every turn after it. If an arm with a tool has a longer opening, that is the tool's "
        "instructions and the descriptions of what it offers.",
        f"Stacked bars of mean tokens per episode by arm and by what they are. Largest part: {said}.",
        "stack",
        bars,
    )


def _table(data: RunData, arms: list[str], absent: str) -> Table:
    rows = [
        ranked(
            {
                "model": model,
                "task": "all tasks" if task == ALL else data.task_name(task),
                "approach": arm,
                "n": data.metric("samples", model=model, task=task, approach=arm).get("n"),
                **{column.key: _mean(data, column.key, model=model, task=task, approach=arm) for column in COLUMNS[4:]},
            },
            main=task == ALL,
        )
        for model in data.models
        for task in [ALL, *data.tasks]
        for arm in arms
    ]
    caption = (
        "Means of completed episodes; the last six columns are tokens. A tool that is never used says nothing about its "
        "help, and a limit that many episodes reach decides much of the result. Newly read tokens were not in the server's "
        f"cache; a bill counts all that were sent.{absent}"
    )
    return Table("episodes", "Turns, tool calls and limits", caption, COLUMNS, rows, "No episodes.")
