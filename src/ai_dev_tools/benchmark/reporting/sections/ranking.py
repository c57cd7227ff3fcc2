"""Several tools side by side: what each saves or costs, its quality, and when its run pays off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ai_dev_tools.benchmark._util.text import is_missing
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.records.prices import MONEY
from ai_dev_tools.benchmark.reporting.data import RunData, records
from ai_dev_tools.benchmark.reporting.document import SIGNS, Column, Table
from ai_dev_tools.benchmark.reporting.sections.columns import MODEL
from ai_dev_tools.benchmark.reporting.sections.in_short import tool_name

RATIO = "geometric mean over the cases of this tool's cost divided by the reference's; below 1 is cheaper"
COLUMNS: tuple[Column, ...] = (
    Column("place", "#", "number"),
    Column("tool", "Tool"),
    Column("tokens_verdict", "Tokens"),
    Column("tokens", "Ratio", "number", 3, RATIO),
    Column("tokens_low", "from", "number", 3),
    Column("tokens_high", "to", "number", 3),
    Column("time_verdict", "Time"),
    Column("time", "Ratio", "number", 3, f"{RATIO}; the tool's own run is charged to every question"),
    Column("time_low", "from", "number", 3),
    Column("time_high", "to", "number", 3),
    Column("quality", "Quality", "number", 3, "mean score of its answers minus the reference's; -1 to 1"),
    Column("quality_low", "from", "number", 3),
    Column("quality_high", "to", "number", 3),
    Column("tool_s", "Tool s", "number", 2, "seconds that the tool itself takes per case"),
    Column(
        "uses", "Break-even", "number", 0, "so many questions must share one run of the tool until its time is paid for"
    ),
)
MONEY_COLUMNS = (
    Column("money_verdict", "Money"),
    Column("money", "Ratio", "number", 3, RATIO),
    Column("money_low", "from", "number", 3),
    Column("money_high", "to", "number", 3),
)
"""Before quality, where the run has prices."""
CAPTION = (
    "Tools with a verdict that they save come first, then those that are open, then those that cost; within each, the "
    "smaller ratio of {first} comes first. Where intervals overlap, the order may be chance. Ratios, and the difference in "
    "quality, are to {reference}, with 95 % intervals; break-even is how many questions must share one run of the tool."
)


def ranking(data: RunData) -> Iterator[Table]:
    """One row per tool and model; nothing for a single tool."""
    judged: dict[tuple[str, str], dict[str, Row]] = {}
    for row in records(data.verdicts):
        if row["task"] == ALL:
            judged.setdefault((str(row["models"]), str(row["approach"])), {})[str(row["outcome"])] = row
    if len({approach for _, approach in judged}) < 2:
        return
    first = next(name for name in ("tokens", "time", MONEY) if any(name in found for found in judged.values()))
    ordered = sorted(judged.items(), key=lambda item: (item[0][0], *_order(item[1].get(first, {})), item[0][1]))
    rows, places = [], dict.fromkeys((model for model, _ in judged), 0)
    for (model, approach), found in ordered:
        places[model] += 1
        rows.append({"place": places[model], "model": model, **_row(data, model, approach, found)})
    at = [column.key for column in COLUMNS].index("quality")
    shown = (*COLUMNS[:at], *MONEY_COLUMNS, *COLUMNS[at:]) if data.currency else COLUMNS
    columns = shown if len(places) == 1 else (*shown[:2], MODEL, *shown[2:])
    caption = CAPTION.format(first=first, reference=data.reference)
    yield Table("ranking", "Ranking of the tools", caption, columns, rows)


def _order(row: Row) -> tuple[int, float]:
    """Where a tool stands by its word and its ratio."""
    word = "invalid" if row.get("tool_failure") else str(row.get("verdict") or "inconclusive")
    place = ("saves", "inconclusive", "costs", "invalid").index(word) if word in SIGNS else 3
    return place, float("inf") if is_missing(row.get("ratio")) else float(row["ratio"])


def _row(data: RunData, model: str, approach: str, found: Mapping[str, Mapping[str, object]]) -> Row:
    row: Row = {"tool": tool_name(approach)}
    for name, verdict in found.items():
        word = str(verdict["verdict"] or "inconclusive")
        row[f"{name}_verdict"] = f"{SIGNS.get(word, '?')} {word}"
        if not verdict.get("tool_failure"):
            row |= {name: verdict.get("ratio"), f"{name}_low": verdict.get("low"), f"{name}_high": verdict.get("high")}
    quality = data.comparison("quality", approach, model=model)
    paid = _break_even(data, model, approach)
    return row | {
        "quality": quality.get("value"),
        "quality_low": quality.get("low"),
        "quality_high": quality.get("high"),
        "tool_s": paid.get("tool_s"),
        "uses": paid.get("uses"),
    }


def _break_even(data: RunData, model: str, approach: str) -> Row:
    for row in records(data.break_even):
        if (row["model"], row["task"], row["approach"]) == (model, ALL, approach):
            return row
    return {}
