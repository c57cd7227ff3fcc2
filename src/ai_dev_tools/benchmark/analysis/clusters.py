"""The task-weighted estimate of a mean over cluster means, with its small-sample variance.

Estimates over the same pairs share how these are nested in cases, clusters and tasks; `Nesting` works that out once.
References are in docs/statistics.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ClusterEstimate:
    """A mean over tasks of means over clusters, with what its inference needs.

    Attributes:
        estimate: the weighted mean; NaN when there is no value.
        influence: one value per cluster, with mean `estimate` and standard error of the mean `se`; with one task these
            are the cluster means themselves.
        se: standard error (CR2); NaN with fewer than two clusters.
        df: degrees of freedom (Bell and McCaffrey; Welch where tasks differ in spread).
        pairs, cases, clusters, tasks: how much it rests on; what is left out does not count.
        left_out: tasks with one cluster only, for which no spread between clusters exists.
        cells, cell_task: the mean of each cluster within each task, and which of the estimate's tasks that is.
    """

    estimate: float
    influence: Floats
    se: float
    df: float
    pairs: int
    cases: int
    clusters: int
    tasks: int
    left_out: tuple[int, ...] = ()
    cells: Floats = field(default_factory=lambda: np.empty(0))
    cell_task: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @property
    def spread(self) -> float:
        """Standard deviation of the influence values (of the cluster means, with one task)."""
        return float(self.se * np.sqrt(self.clusters)) if self.clusters > 1 else float("nan")


class _Groups:
    """Groups of values with equal keys, sorted by key.

    `first` is the index of each group's first value.
    """

    def __init__(self, keys: ArrayLike) -> None:
        self.label = integer_labels(keys)
        self.first = np.empty(int(self.label.max(initial=-1)) + 1, dtype=np.int64)
        self.first[self.label[::-1]] = np.arange(len(self.label) - 1, -1, -1)
        self.sizes = np.bincount(self.label, minlength=len(self.first))

    def means(self, values: Floats) -> Floats:
        return np.asarray(np.bincount(self.label, weights=values, minlength=len(self.first)) / self.sizes)


def group_means(values: Floats, groups: ArrayLike) -> tuple[Floats, Ints]:
    """Mean of `values` per group; returns means and, per group, the index of its first row.

    Groups come out sorted.
    """
    found = _Groups(groups)
    return found.means(values), found.first


def cluster_estimate(
    values: ArrayLike, cluster: ArrayLike, task: ArrayLike | None = None, case: ArrayLike | None = None
) -> ClusterEstimate:
    """Average repeats within cases, cases within clusters, clusters within tasks, and tasks equally.

    Args:
        values: one number per pair, any unit. Missing values must be left out by the caller.
        cluster, task, case: integer or text labels of the pairs. A cluster may occur in several tasks; it then is one
            independent unit. Without `task` there is one task; without `case` each pair is its own case.

    Tasks with a single cluster are left out when another task has more, because their spread cannot be estimated.
    """
    return Nesting(cluster, task, case).estimate(values)


class Nesting:
    """Which case, cluster and task each pair belongs to; see `cluster_estimate` for the arguments."""

    def __init__(self, cluster: ArrayLike, task: ArrayLike | None = None, case: ArrayLike | None = None) -> None:
        cluster_of = integer_labels(cluster)
        self.pairs = len(cluster_of)
        self.left_out: tuple[int, ...] = ()
        self.inside = np.ones(self.pairs, dtype=bool)
        """Which pairs the estimate rests on: those of no task that is left out."""
        if not self.pairs:
            return
        task_of = integer_labels(task) if task is not None else np.zeros(self.pairs, dtype=np.int64)
        case_of = integer_labels(case) if case is not None else np.arange(self.pairs, dtype=np.int64)
        tasks = int(task_of.max()) + 1
        self._by_case = _Groups(task_of * (int(case_of.max()) + 1) + case_of)
        cluster_of, task_of = cluster_of[self._by_case.first], task_of[self._by_case.first]
        self.cases = len(cluster_of)
        self._by_cluster = _Groups(task_of * (int(cluster_of.max()) + 1) + cluster_of)
        cluster_of, task_of = cluster_of[self._by_cluster.first], task_of[self._by_cluster.first]
        sizes = np.bincount(task_of, minlength=tasks)
        self._kept: NDArray[np.bool_] | None = None
        if (sizes == 1).any() and (sizes > 1).any():
            self.left_out = tuple(int(t) for t in np.flatnonzero(sizes == 1))
            self._kept = sizes[task_of] > 1
            cluster_of, task_of = cluster_of[self._kept], task_of[self._kept]
            cases_inside = self._kept[self._by_cluster.label]
            self.inside = cases_inside[self._by_case.label]
            self.pairs, self.cases = int(self.inside.sum()), int(cases_inside.sum())
        self._task, self._cluster = integer_labels(task_of), integer_labels(cluster_of)
        self._sizes = np.bincount(self._task)
        self.tasks, self.clusters = len(self._sizes), int(self._cluster.max()) + 1

    def estimate(self, values: ArrayLike) -> ClusterEstimate:
        """The estimate of one number per pair; NaN when there is none or one is not finite."""
        y = np.asarray(values, dtype=np.float64)
        if not self.pairs or not np.isfinite(y).all():
            return ClusterEstimate(float("nan"), np.empty(0), float("nan"), float("nan"), self.pairs, 0, 0, 0)
        cells = self._cluster_means(y)
        estimate, influence, se, df = self._weighted(cells)
        counts = (self.pairs, self.cases, self.clusters, self.tasks)
        return ClusterEstimate(estimate, influence, se, df, *counts, self.left_out, cells, self._task)

    def mean(self, values: Floats) -> float:
        """The estimate alone."""
        if not self.pairs or not np.isfinite(values).all():
            return float("nan")
        return float(self._task_means(self._cluster_means(values)).mean())

    def _cluster_means(self, y: Floats) -> Floats:
        y = self._by_cluster.means(self._by_case.means(y))
        return y if self._kept is None else y[self._kept]

    def _task_means(self, y: Floats) -> Floats:
        return np.asarray(np.bincount(self._task, weights=y, minlength=self.tasks) / self._sizes)

    def _weighted(self, y: Floats) -> tuple[float, Floats, float, float]:
        """Equal-weight mean of task means over (task, cluster) cells.

        Its CR2 standard error by cluster, and its df.
        """
        n, task = self._sizes, self._task
        means = self._task_means(y)
        estimate = float(means.mean())
        if self.clusters < 2 or (n < 2).any():
            return estimate, np.full(self.clusters, estimate), float("nan"), float("nan")
        residual = y - means[task]
        scores = np.bincount(self._cluster, weights=self._weight[task] * residual, minlength=self.clusters)
        se = float(np.sqrt(np.sum(scores**2)))
        df = self._equal_df
        if self.tasks > 1:
            variance = np.bincount(task, weights=residual**2, minlength=self.tasks) / (n - 1)
            if (variance > 0).any():
                df = min(df, _degrees(self._weight**2 * variance, self._member))
        influence = estimate + np.sqrt((self.clusters - 1) / self.clusters) * self.clusters * scores
        return estimate, influence, se, df

    @cached_property
    def _weight(self) -> Floats:
        n = self._sizes
        return np.asarray(1.0 / (self.tasks * n * np.sqrt(1 - 1 / n)))

    @cached_property
    def _member(self) -> Floats:
        member = np.zeros((self.tasks, self.clusters))
        member[self._task, self._cluster] = 1.0
        return member

    @cached_property
    def _equal_df(self) -> float:
        """Degrees of freedom if all tasks had the same spread."""
        return _degrees(self._weight**2, self._member)


def integer_labels(labels: ArrayLike) -> Ints:
    """Labels as integers from 0 without gaps, sorted as the labels are."""
    array = np.asarray(labels)
    if array.dtype.kind == "i" and len(array) and array.min() >= 0 and array.max() <= 4 * len(array) + 1024:
        present = np.zeros(int(array.max()) + 1, dtype=np.int64)
        present[array] = 1
        return np.asarray((np.cumsum(present) - 1)[array], dtype=np.int64)
    return np.unique(array, return_inverse=True)[1].astype(np.int64)


def _degrees(weight: Floats, member: Floats) -> float:
    """Satterthwaite degrees of freedom of the CR2 variance.

    They are (tr M)^2 / tr(M^2), where M is the covariance of the scores.

    `weight` (tasks,) is each task's squared weight times its variance; `member` (tasks, clusters) is 0/1.
    """
    n = member.sum(axis=1)
    shared = np.einsum("tg,sg->ts", member, member)
    diagonal = np.einsum("t,tg->g", weight, member)
    lost = np.einsum("t,tg->g", weight / n, member)
    trace = float(np.sum(weight * (n - 1)))
    square = float(
        np.sum(diagonal**2) - 2 * np.sum(diagonal * lost) + np.einsum("t,s,ts->", weight / n, weight / n, shared**2)
    )
    return trace**2 / square if square > 0 else float("nan")
