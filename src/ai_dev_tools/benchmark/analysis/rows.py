"""Rows of tables as dictionaries, for whatever goes through a table row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Row: TypeAlias = dict[str, Any]
"""A row by column; what a value is, the column decides."""


def records(table: pd.DataFrame) -> list[Row]:
    """The rows of a table, None if a value is missing.

    Column by column: a frame of objects made from all of them at once takes seven times as long, and a report makes many.
    """
    names = [str(name) for name in table.columns]
    columns = [_plain(table.iloc[:, place]) for place in range(len(names))]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(column: pd.Series) -> list[object]:
    """The values of a column as Python's own, None if one is missing."""
    values, missing = column.astype(object).tolist(), column.isna().tolist()
    return [
        None if gone else value.item() if isinstance(value, np.generic) else value
        for value, gone in zip(values, missing, strict=True)
    ]
