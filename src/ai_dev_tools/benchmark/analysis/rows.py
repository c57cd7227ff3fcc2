"""Rows of tables as dictionaries, for whatever goes through a table row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import pandas as pd

Row: TypeAlias = dict[str, Any]
"""A row by column; what a value is, the column decides."""


def records(table: pd.DataFrame) -> list[Row]:
    """The rows of a table, None if a value is missing."""
    if not len(table):
        return []
    plain = table.astype(object).where(table.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]
