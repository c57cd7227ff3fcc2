"""Rows of tables as dictionaries."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ai_dev_tools.benchmark.analysis.rows import records


def test_values_of_every_kind_of_column_are_pythons_own_and_missing_ones_are_none() -> None:
    table = pd.DataFrame(
        {
            "whole": np.array([1, 2]),
            "number": [0.5, np.nan],
            "nullable": pd.array([1, None], dtype="Int64"),
            "flag": np.array([True, False]),
            "unclear": pd.array([True, None], dtype="boolean"),
            "text": ["x", None],
            "string": pd.array(["x", None], dtype="string"),
            "named": pd.Categorical(["x", None]),
            "mixed": [np.float64(2.5), np.int64(3)],
        }
    )
    first, second = records(table)
    assert {name: (type(value), value) for name, value in first.items()} == {
        "whole": (int, 1),
        "number": (float, 0.5),
        "nullable": (int, 1),
        "flag": (bool, True),
        "unclear": (bool, True),
        "text": (str, "x"),
        "string": (str, "x"),
        "named": (str, "x"),
        "mixed": (float, 2.5),
    }
    assert [name for name, value in second.items() if value is None] == [
        "number", "nullable", "unclear", "text", "string", "named",
    ]  # fmt: skip


def test_a_table_without_rows_or_columns_has_none() -> None:
    assert records(pd.DataFrame()) == []
    assert records(pd.DataFrame({"a": []})) == []
