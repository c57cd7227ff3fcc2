"""Pairs of samples as plain columns, for estimates that read few columns of many parts."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ai_dev_tools.benchmark.analysis.clusters import Nesting

Rows = NDArray[np.intp]


class Pairs:
    """What `pairing.pair_up` makes, or a part of it.

    `unpaired` counts the samples of both sides that have no partner.

    `pairs[name]` is an array: numbers as they are, a text column as the codes of its sorted categories. Each column is
    converted once for all parts.
    """

    def __init__(self, frame: pd.DataFrame, unpaired: int = 0) -> None:
        self.frame, self.unpaired = frame, unpaired
        self._whole: Pairs | None = None
        self._rows: Rows | None = None
        self._columns: dict[str, NDArray[Any]] = {}

    def part(self, rows: Rows | NDArray[np.bool_]) -> Pairs:
        """Some of the pairs, by mask or by position."""
        inside = np.flatnonzero(rows) if rows.dtype == bool else np.asarray(rows, dtype=np.intp)
        if rows.dtype == bool and len(inside) == len(self):
            return self
        part = Pairs.__new__(Pairs)
        part.frame, part.unpaired, part._columns = self.frame, self.unpaired, {}
        part._whole = self._whole or self
        part._rows = inside if self._rows is None else self._rows[inside]
        return part

    def __len__(self) -> int:
        return len(self.frame) if self._rows is None else len(self._rows)

    def __contains__(self, name: str) -> bool:
        return name in self.frame

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._columns:
            if self._whole is not None:
                self._columns[name] = self._whole[name][self._rows]
            else:
                values = self.frame[name]
                text = isinstance(values.dtype, pd.CategoricalDtype)
                self._columns[name] = values.cat.codes.to_numpy() if text else values.to_numpy()
        return self._columns[name]

    def texts(self, name: str) -> list[str]:
        """The values of a text column that occur, sorted."""
        categories = self.frame[name].cat.categories
        return sorted(str(categories[code]) for code in np.unique(self[name]) if code >= 0)

    def have(self, name: str, text: str) -> NDArray[np.bool_]:
        """Which pairs have this text in a column."""
        categories = self.frame[name].cat.categories
        code = categories.get_loc(text) if text in categories else -2
        return np.asarray(self[name] == code)

    def first_text(self, name: str) -> str:
        """The text of the first pair in a column."""
        return str(self.frame[name].cat.categories[self[name][0]])

    def usual_text(self, name: str) -> str:
        """The most common text of a column, of equally common ones the first; empty ones do not count."""
        counts = np.bincount(self[name][~self.have(name, "")], minlength=1)
        if not counts.any():
            return ""
        return min(map(str, self.frame[name].cat.categories[np.flatnonzero(counts == counts.max())]))

    @cached_property
    def nesting(self) -> Nesting:
        """How the pairs are nested in cases, clusters and tasks."""
        return Nesting(self["unit"], self["task_number"], self["case_number"])
