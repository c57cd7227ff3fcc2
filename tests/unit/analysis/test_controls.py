"""The realised length of control arms: tokens against the arm they were made from, pair by pair."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from ai_dev_tools.benchmark.analysis.controls import realised_lengths


def samples(**tokens: list[int | None]) -> pd.DataFrame:
    """A samples table from the input tokens of each arm; None is a failed sample."""
    rows: list[dict[str, Any]] = [
        {
            "profile": "light",
            "instance": "small",
            "model": "fake:1b",
            "task": "colours" if number < 2 else "shapes",
            "case": f"case{number}",
            "cluster": f"case{number}",
            "approach": arm.replace("_", "-") if arm.startswith("tools") else arm,
            "sample": number,
            "repeat": 0,
            "status": "completed" if count else "failed",
            "input_tokens": count,
        }
        for arm, counts in tokens.items()
        for number, count in enumerate(counts)
    ]
    return pd.DataFrame(rows)


def ratios(table: pd.DataFrame, **given: str) -> dict[tuple[str, str], tuple[float, object]]:
    rows = realised_lengths(table, **given).to_dict("records")
    return {(row["approach"], row["task"]): (round(row["token_ratio"], 3), row["comparable"]) for row in rows}


def test_totals_over_pairs_that_completed_in_both_arms() -> None:
    table = samples(tools=[100, 200, 100], excerpt=[110, 190, 300], baseline=[900, 900, 900])
    assert ratios(table) == {
        ("excerpt", "(all)"): (1.5, False),
        ("excerpt", "colours"): (1.0, True),
        ("excerpt", "shapes"): (3.0, False),
    }
    assert ratios(samples(tools=[100, 200, None], excerpt=[110, None, 300]))["excerpt", "(all)"] == (1.1, True)


def test_only_an_excerpt_is_meant_to_be_of_equal_length() -> None:
    found = realised_lengths(samples(tools=[100], mismatched=[300], excerpt=[300]))
    rows = found[found["task"] == "(all)"].set_index("approach")
    assert rows["note"]["excerpt"] == "not of equal length: outside 0.9 to 1.1, so not compared"
    assert rows["note"]["mismatched"] == ""
    assert rows["comparable"]["mismatched"] is None


@pytest.mark.parametrize("given", [{}, {"reference": "tools-mine"}], ids=["found", "named"])
def test_a_judged_tool_is_the_reference(given: dict[str, str]) -> None:
    assert ratios(samples(tools_mine=[100], excerpt=[90]), **given)["excerpt", "(all)"] == (0.9, True)


def test_nothing_to_compare_is_an_empty_table() -> None:
    assert realised_lengths(samples(tools=[100], baseline=[900])).empty
    assert realised_lengths(samples(excerpt=[100], baseline=[900])).empty
