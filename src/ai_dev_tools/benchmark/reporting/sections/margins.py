"""The verdicts that the same samples would get at other margins."""

from __future__ import annotations

from collections.abc import Iterator

from ai_dev_tools.benchmark.reporting.data import RunData, records
from ai_dev_tools.benchmark.reporting.document import Column, Table, ranked

COLUMNS = (
    Column("claim", "Claim"),
    Column("models", "Model"),
    Column("setting", "Margin of"),
    Column("value", "Margin", "number", 2),
    Column("declared", "Declared"),
    Column("verdict", "Word"),
    Column("reasons", "Why"),
)
SETTINGS = {"margin_ratio": "cost, as a ratio", "quality.margin": "quality, as a loss"}
CAPTION = (
    "Exploratory: the verdict that each claim would get at another margin, one margin at a time. The real verdicts are those "
    "at the declared margins. If the verdict changes from row to row, it depends on the choice of the margin."
)


def margins_table(data: RunData) -> Iterator[Table]:
    """One row per claim, model and margin; nothing in runs from before this was computed."""
    if len(data.sensitivity):
        found = records(data.sensitivity)
        words: dict[tuple[object, object], set[object]] = {}
        for row in found:
            words.setdefault((row["claim"], row["models"]), set()).add(row["verdict"])
        rows = [
            ranked(
                {**row, "setting": SETTINGS.get(row["setting"], row["setting"])},
                main=False,
                quiet=len(words[row["claim"], row["models"]]) == 1,
            )
            for row in found
        ]
        same = "" if any(len(each) > 1 for each in words.values()) else "Here no word does. "
        yield Table("other-margins", "Verdicts at other margins", f"{CAPTION} {same}".strip(), COLUMNS, rows)
