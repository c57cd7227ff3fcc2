"""Cells of the metrics table: groups of samples with fast access to their columns."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ai_dev_tools.benchmark.analysis.activity import Activity
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.analysis.samples_table import ALL, codes
from ai_dev_tools.benchmark.analysis.validity import backward_steps

Floats = NDArray[np.float64]
LONGEST = float(np.finfo(np.float64).max)
"""Stands for a duration without limit where values are interpolated: with infinity that gives no number."""
DIMENSIONS = ("profile", "model", "task", "approach")


class SampleColumns:
    """Prepared samples with their columns as arrays, each converted once."""

    def __init__(self, samples: Samples) -> None:
        self._prepared, self.samples = samples, samples.frame
        self._columns: dict[str, NDArray[Any]] = {}
        self._codes: dict[str, dict[str, int]] = {}

    def column(self, name: str) -> NDArray[Any]:
        """A column as floats (missing = NaN), or as integer codes for text and truth values (missing = -1)."""
        if name not in self._columns:
            values = self.samples[name]
            if isinstance(values.dtype, pd.CategoricalDtype):
                self._columns[name] = values.cat.codes.to_numpy()
            elif str(values.dtype) == "boolean":
                self._columns[name] = values.to_numpy(dtype=np.float64, na_value=np.nan)
            else:
                self._columns[name] = values.to_numpy()
        return self._columns[name]

    def code(self, name: str, category: str) -> int:
        """The integer that stands for a text value, -2 when it does not occur."""
        if name not in self._codes:
            self._codes[name] = {str(text): number for number, text in enumerate(self.samples[name].cat.categories)}
        return self._codes[name].get(category, -2)

    def levels(self, name: str) -> list[str]:
        """The values of a text column that occur, sorted."""
        return self._prepared.levels(name)

    @cached_property
    def unit(self) -> NDArray[np.int64]:
        """The statistical unit of each sample: the cluster (within any task)."""
        return codes(self.samples, ["cluster"])

    @cached_property
    def clock_jumped(self) -> NDArray[np.bool_]:
        """Samples before which the clock was set back.

        Their start times do not show what ran at the same time.
        """
        return np.asarray(backward_steps(self.samples) > self._prepared.thresholds.clock_s)

    @cached_property
    def atypical(self) -> dict[str, NDArray[np.bool_]]:
        """Which samples differ from most in how they were taken, by what differs; empty where none does."""
        checks = {"model digest": "model_digest_changed", "protocol version": "protocol_mixed"}
        found = {name: self._prepared.flagged(check) for name, check in checks.items()}
        return {name: flagged for name, flagged in found.items() if flagged.any()}

    def cells(self) -> Iterator[tuple[tuple[str, ...], MetricCell]]:
        """Every combination of profile, model, task, approach that occurs, and every margin, in fixed order."""
        texts = {name: self.samples[name].cat.categories for name in DIMENSIONS}
        for kept in product((True, False), repeat=len(DIMENSIONS)):
            names = [name for name, keep in zip(DIMENSIONS, kept, strict=True) if keep]
            group = codes(self.samples, names)
            order = np.argsort(group, kind="stable")
            starts = np.flatnonzero(np.r_[True, np.diff(group[order]) != 0]) if len(order) else np.array([0])
            for rows in np.split(order, starts[1:]):
                key = tuple(
                    str(texts[name][self.column(name)[rows[0]]]) if keep and len(rows) else ALL
                    for name, keep in zip(DIMENSIONS, kept, strict=True)
                )
                yield key, MetricCell(self, rows)


class MetricCell:
    """Samples of one cell of the metrics table.

    `column` gives all values of a column, `completed` the known ones of completed samples.
    """

    def __init__(self, source: SampleColumns, rows: NDArray[np.intp]) -> None:
        self._source = source
        self._rows = rows
        self._cache: dict[str, NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def frame(self) -> pd.DataFrame:
        """The samples as a DataFrame: convenient, slower than `column`."""
        return self._source.samples.iloc[self._rows]

    def column(self, name: str) -> NDArray[Any]:
        """All values of a column: floats with NaN for missing; integer codes for text."""
        if name not in self._cache:
            self._cache[name] = self._source.column(name)[self._rows]
        return self._cache[name]

    def count(self, name: str, category: str) -> int:
        """How many samples have this text in a column."""
        return int(np.count_nonzero(self.has(name, category)))

    def has(self, name: str, category: str) -> NDArray[np.bool_]:
        """Which samples have this text in a column."""
        return np.asarray(self.column(name) == self._source.code(name, category))

    @cached_property
    def is_completed(self) -> NDArray[np.bool_]:
        """Which samples completed."""
        return self.has("status", "completed")

    @cached_property
    def is_timeout(self) -> NDArray[np.bool_]:
        """Which samples timed out."""
        return self.has("status", "timeout")

    def completed(self, name: str) -> Floats:
        """Known values of a column among completed samples."""
        values = self.column(name)[self.is_completed]
        return np.asarray(values[np.isfinite(values)], dtype=np.float64)

    def clusters_of(self, name: str) -> NDArray[np.int64]:
        """Cluster labels of the values that `completed` gives."""
        return np.asarray(self.clusters[self.is_completed & np.isfinite(self.column(name))])

    def sum(self, name: str) -> float:
        """Sum of a column over completed samples; NaN when none is known."""
        values = self.completed(name)
        return float(values.sum()) if len(values) else float("nan")

    @cached_property
    def clusters(self) -> NDArray[np.int64]:
        """Integer label of each sample's cluster."""
        return np.asarray(self._source.unit[self._rows])

    @property
    def mixture(self) -> str:
        """What makes the cell a mixture of things that do not belong together; "" for nothing."""
        names = [name for name, flagged in self._source.atypical.items() if flagged[self._rows].any()]
        return f"holds samples of another {' and '.join(names)}" if names else ""

    @property
    def clock_jumped(self) -> bool:
        """Whether the clock ran backwards during the cell, so that start times cannot be compared."""
        return bool(self._source.clock_jumped[self._rows].any())

    @cached_property
    def durations(self) -> tuple[Floats, NDArray[np.int64], float]:
        """Sorted durations of completed and timed-out samples, and their clusters.

        Third, the shortest timed-out duration, or infinity.

        A timed-out one of unknown duration stands last: it is not known to be shorter than any.
        """
        seen = self.column("duration_s")
        values = np.where(self.is_timeout & np.isnan(seen), LONGEST, seen)
        known = ~np.isnan(values) & (self.is_completed | self.is_timeout)
        order = np.argsort(values[known], kind="stable")
        return values[known][order], self.clusters[known][order], float(values[self.is_timeout].min(initial=np.inf))

    @cached_property
    def is_timed(self) -> NDArray[np.bool_]:
        """Of which samples start and duration are known."""
        return np.asarray(np.isfinite(self.column("start")) & np.isfinite(self.column("duration_s")))

    @cached_property
    def activity(self) -> tuple[float, int]:
        """Seconds during which at least one timed request of the cell was in flight, and the most at one time."""
        if not self.is_timed.any():
            return float("nan"), 0
        activity = Activity.of(self.column("start")[self.is_timed], self.column("duration_s")[self.is_timed])
        return activity.busy_s, activity.peak


Cell = MetricCell
"""Its name before, which plugins may import."""
