"""Rows of tables as dictionaries, for code that reads a table row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Row: TypeAlias = dict[str, Any]
"""A row by column; what a value is, the column decides."""


def records(table: pd.DataFrame) -> list[Row]:
    """The rows of a table, None if a value is missing.

    Column by column, each in the way that is quickest for what it holds: a report goes through a thousand small tables, and a
    frame of objects made from all columns at once takes many times as long.
    """
    names = [str(name) for name in table.columns]
    columns = [_plain(column) for _, column in table.items()]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(column: pd.Series) -> list[object]:
    """The values of a column as Python's own, None if one is missing."""
    values: list[object] = column.tolist()
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biu":
        return values
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "f":
        return [value if value == value else None for value in values]
    if column.dtype.type is str:
        return [value if isinstance(value, str) else None for value in values]
    return [
        None if gone else value.item() if isinstance(value, np.generic) else value
        for value, gone in zip(values, column.isna().tolist(), strict=True)
    ]
