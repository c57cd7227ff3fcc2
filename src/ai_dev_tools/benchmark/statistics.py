"""The inference of the protocol on arrays: cluster estimates, the wider of two intervals, families, power.

scipy and statsmodels supply distributions, Wilson intervals, adjustments and power. Written here is what they lack:
the task-weighted cluster estimate with its small-sample variance, and the studentised bootstrap of cluster means.
References are in docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
RESAMPLES = 4_999
SEED = 20_250_716
_CELLS = 4_000_000
"""Elements of one block of resamples: bounds memory to about 100 MB whatever the number of clusters."""


@dataclass(frozen=True)
class ClusterEstimate:
    """A mean over tasks of means over clusters, with what its inference needs.

    Attributes:
        estimate: the weighted mean; NaN when there is no value.
        influence: one value per cluster, with mean `estimate` and standard error of the mean `se`; with one task these
            are the cluster means themselves.
        se: standard error (CR2); NaN with fewer than two clusters.
        df: degrees of freedom (Bell and McCaffrey; Welch where tasks differ in spread).
        pairs, cases, clusters, tasks: how much it rests on.
        left_out: tasks with one cluster only, for which no spread between clusters exists.
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

    @property
    def spread(self) -> float:
        """Standard deviation of the influence values (of the cluster means, with one task)."""
        return float(self.se * np.sqrt(self.clusters)) if self.clusters > 1 else float("nan")


def group_means(values: Floats, groups: Ints) -> tuple[Floats, Ints]:
    """Mean of `values` per group; returns means and, per group, the index of its first row. Groups come out sorted."""
    compact = _labels(groups)
    size = int(compact.max(initial=-1)) + 1
    first = np.empty(size, dtype=np.int64)
    first[compact[::-1]] = np.arange(len(compact) - 1, -1, -1)
    return np.bincount(compact, weights=values, minlength=size) / np.bincount(compact, minlength=size), first


def cluster_estimate(
    values: ArrayLike, cluster: ArrayLike, task: ArrayLike | None = None, case: ArrayLike | None = None
) -> ClusterEstimate:
    """Average repeats within (task, case), cases within (task, cluster), clusters within task, and tasks equally.

    Args:
        values: one number per pair, any unit. Missing values must be left out by the caller.
        cluster, task, case: integer or text labels of the pairs. A cluster may occur in several tasks; it then is one
            independent unit. Without `task` there is one task; without `case` each pair is its own case.

    Tasks with a single cluster are left out when another task has more, because their spread cannot be estimated.
    """
    y = np.asarray(values, dtype=np.float64)
    cluster_of = _labels(cluster)
    task_of = _labels(task) if task is not None else np.zeros(len(y), dtype=np.int64)
    case_of = _labels(case) if case is not None else np.arange(len(y), dtype=np.int64)
    if len(y) == 0 or not np.isfinite(y).all():
        return ClusterEstimate(float("nan"), np.empty(0), float("nan"), float("nan"), len(y), 0, 0, 0)
    pairs = len(y)
    tasks = int(task_of.max()) + 1
    y, first = group_means(y, task_of * (int(case_of.max()) + 1) + case_of)
    cluster_of, task_of = cluster_of[first], task_of[first]
    cases = len(y)
    y, first = group_means(y, task_of * (int(cluster_of.max()) + 1) + cluster_of)
    cluster_of, task_of = cluster_of[first], task_of[first]
    sizes = np.bincount(task_of, minlength=tasks)
    left_out: tuple[int, ...] = ()
    if (sizes == 1).any() and (sizes > 1).any():
        left_out = tuple(int(t) for t in np.flatnonzero(sizes == 1))
        keep = sizes[task_of] > 1
        y, cluster_of, task_of = y[keep], cluster_of[keep], task_of[keep]
    task_of, cluster_of = _labels(task_of), _labels(cluster_of)
    present, units = int(task_of.max()) + 1, int(cluster_of.max()) + 1
    estimate, influence, se, df = _weighted(y, cluster_of, task_of, units, present)
    return ClusterEstimate(estimate, influence, se, df, pairs, cases, units, present, left_out)


def _labels(labels: ArrayLike) -> Ints:
    """Labels as integers from 0 without gaps, sorted as the labels are."""
    array = np.asarray(labels)
    if array.dtype.kind == "i" and len(array) and array.min() >= 0 and array.max() <= 4 * len(array) + 1024:
        present = np.zeros(int(array.max()) + 1, dtype=np.int64)
        present[array] = 1
        return np.asarray((np.cumsum(present) - 1)[array], dtype=np.int64)
    return np.unique(array, return_inverse=True)[1].astype(np.int64)


def _weighted(y: Floats, cluster: Ints, task: Ints, clusters: int, tasks: int) -> tuple[float, Floats, float, float]:
    """Equal-weight mean of task means over (task, cluster) cells; its CR2 standard error by cluster, and its df."""
    n = np.bincount(task, minlength=tasks)
    means = np.bincount(task, weights=y, minlength=tasks) / n
    estimate = float(means.mean())
    if clusters < 2 or (n < 2).any():
        return estimate, np.full(clusters, estimate), float("nan"), float("nan")
    residual = y - means[task]
    weight = 1.0 / (tasks * n * np.sqrt(1 - 1 / n))
    scores = np.bincount(cluster, weights=weight[task] * residual, minlength=clusters)
    se = float(np.sqrt(np.sum(scores**2)))
    variance = np.bincount(task, weights=residual**2, minlength=tasks) / (n - 1)
    member = np.zeros((tasks, clusters))
    member[task, cluster] = 1.0
    df = _degrees(weight**2, member)
    if tasks > 1 and (variance > 0).any():
        df = min(df, _degrees(weight**2 * variance, member))
    influence = estimate + np.sqrt((clusters - 1) / clusters) * clusters * scores
    return estimate, influence, se, df


def _degrees(weight: Floats, member: Floats) -> float:
    """Satterthwaite degrees of freedom of the CR2 variance: (tr M)^2 / tr(M^2), M the covariance of the scores.

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


@lru_cache(maxsize=64)
def _small_resamples(size: int, resamples: int) -> NDArray[np.intp]:
    rng = np.random.Generator(np.random.PCG64([SEED, size, resamples]))
    return rng.integers(0, size, (size, resamples), dtype=np.intp)


def _resample_blocks(size: int, resamples: int) -> Iterator[NDArray[np.intp]]:
    """Indices of bootstrap resamples, one per column; they depend on the two numbers only, so bytes repeat."""
    if size * resamples <= _CELLS:
        yield _small_resamples(size, resamples)
        return
    rng = np.random.Generator(np.random.PCG64([SEED, size, resamples]))
    step = max(1, _CELLS // size)
    for start in range(0, resamples, step):
        yield rng.integers(0, size, (size, min(step, resamples - start)), dtype=np.intp)


def bootstrap_t(values: Floats, resamples: int = RESAMPLES) -> Floats:
    """Sorted studentised deviations t* of the mean of `values` (n,) under resampling; shape (resamples,).

    A resample without spread counts as infinite on its side: it says nothing, which widens the interval.
    """
    n = len(values)
    centred = values - values.mean()
    scale = float(np.abs(centred).max()) or 1.0
    parts = []
    for index in _resample_blocks(n, resamples):
        drawn = centred.take(index)
        mean = drawn.sum(axis=0) / n
        error = np.sqrt(np.maximum(np.einsum("ij,ij->j", drawn, drawn) / n - mean**2, 0.0) / (n - 1))
        # in units of the spread, so that ties do not hang on rounding
        flat = error < 1e-7 * scale
        error[flat] = 1.0
        deviation = mean / error
        deviation[flat] = np.where(np.abs(mean[flat]) > 1e-9 * scale, np.copysign(np.inf, mean[flat]), 0.0)
        parts.append(deviation)
    return np.sort(np.concatenate(parts))


@dataclass(frozen=True)
class Inference:
    """Interval and test of one cluster estimate; the wider of t and studentised bootstrap throughout."""

    source: ClusterEstimate
    deviations: Floats | None

    @property
    def usable(self) -> bool:
        """Whether there is any spread to judge by."""
        return bool(np.isfinite(self.source.se) and self.source.se > 0 and np.isfinite(self.source.df))

    def bound(self, side: Literal["low", "high"], alpha: float) -> float:
        """One-sided confidence bound at level 1 - alpha; NaN when there is no spread."""
        if not self.usable:
            return float("nan")
        e = self.source
        sign = -1.0 if side == "low" else 1.0
        by_t = e.estimate + sign * t_quantile(alpha, e.df) * e.se
        if self.deviations is None:
            return float(by_t)
        size = len(self.deviations)
        rank = int(np.floor(alpha * (size + 1) + 1e-9))
        if rank < 1:
            return sign * float("inf")
        extreme = self.deviations[rank - 1] if side == "high" else self.deviations[size - rank]
        by_bootstrap = e.estimate - extreme * e.se
        return float(max(by_t, by_bootstrap) if side == "high" else min(by_t, by_bootstrap))

    def p_below(self, margin: float) -> float:
        """One-sided p-value of 'the true value is at least `margin`'; small speaks for below. NaN when no spread."""
        if not self.usable:
            return float("nan")
        e = self.source
        observed = (e.estimate - margin) / e.se
        p = float(special.stdtr(e.df, observed))
        if self.deviations is not None:
            p = max(p, (1 + int(np.searchsorted(self.deviations, observed, side="right"))) / (len(self.deviations) + 1))
        return p

    def p_above(self, margin: float) -> float:
        """One-sided p-value of 'the true value is at most `margin`'; small speaks for above. NaN when no spread."""
        if not self.usable:
            return float("nan")
        e = self.source
        observed = (e.estimate - margin) / e.se
        p = float(special.stdtr(e.df, -observed))
        if self.deviations is not None:
            beyond = len(self.deviations) - int(np.searchsorted(self.deviations, observed, side="left"))
            p = max(p, (1 + beyond) / (len(self.deviations) + 1))
        return p


def infer(estimate: ClusterEstimate, resamples: int = RESAMPLES) -> Inference:
    """Prepare interval and tests of an estimate; `resamples=0` uses the t distribution alone."""
    usable = (
        estimate.clusters > 1 and np.isfinite(estimate.se) and estimate.se > 1e-12 * max(1.0, abs(estimate.estimate))
    )
    if not usable:
        flat = ClusterEstimate(**{**estimate.__dict__, "se": float("nan")})
        return Inference(flat, None)
    return Inference(estimate, bootstrap_t(estimate.influence, resamples) if resamples else None)


def with_extra_value(estimate: ClusterEstimate, value: float) -> ClusterEstimate:
    """The one-sample estimate after adding one cluster with `value`; n + 1 clusters, plain t with n degrees of freedom.

    Differences that are all tied have no spread, and a zero-width interval would prove anything; one imagined case at
    the worst value keeps the bound honest and fades with n.
    """
    y = np.append(estimate.influence, value)
    n = len(y)
    spread = float(y.std(ddof=1)) if n > 1 else float("nan")
    df = min(float(n - 1), estimate.df + 1) if np.isfinite(estimate.df) else float(n - 1)
    return ClusterEstimate(
        float(y.mean()), y, spread / np.sqrt(n), df, estimate.pairs, estimate.cases, n, estimate.tasks
    )


def holm(p_values: Sequence[float]) -> Floats:
    """Holm-adjusted p-values; missing ones (NaN) stay missing but count in the family, as a test not passed.

    Equal to statsmodels' `multipletests(method="holm")`, which runs the garbage collector on every call.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(np.where(np.isfinite(p), p, 1.0), kind="stable")
    steps = np.where(np.isfinite(p), p, 1.0)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return np.where(np.isfinite(p), adjusted, np.nan)


def benjamini_hochberg(p_values: Sequence[float]) -> Floats:
    """Benjamini-Hochberg adjusted p-values; missing ones are left out of the family."""
    p = np.asarray(p_values, dtype=np.float64)
    known = np.isfinite(p)
    out = np.full(len(p), np.nan)
    if known.any():
        out[known] = stats.false_discovery_control(p[known], method="bh")
    return out


def effect_size(estimate: ClusterEstimate, confidence: float = 0.95) -> tuple[float, float, float]:
    """Standardised mean difference d_z = mean / standard deviation of clusters, with its noncentral-t interval."""
    if not (np.isfinite(estimate.se) and estimate.se > 0 and np.isfinite(estimate.df)):
        return float("nan"), float("nan"), float("nan")
    root = np.sqrt(estimate.clusters)
    t = estimate.estimate / estimate.se
    tail = (1 - confidence) / 2
    low, high = (_noncentrality(t, estimate.df, level) for level in (1 - tail, tail))
    return t / root, low / root, high / root


def _noncentrality(t: float, df: float, level: float) -> float:
    """The noncentrality at which a noncentral t falls below `t` with probability `level`."""
    rough = float(special.nctdtrinc(df, level, t))

    def gap(nc: float) -> float:
        return float(special.nctdtr(df, nc, t)) - level

    if np.isfinite(rough):
        # scipy's inverse is good to a few digits; one step of the secant method makes them ten
        here, slope = gap(rough), (gap(rough + 1e-3) - gap(rough - 1e-3)) / 2e-3
        if slope < 0 and abs(here / slope) < 1e-2:
            return rough - here / slope
    # far out the noncentral t loses its digits; its normal approximation is good there
    spread = np.sqrt(1 + t**2 / (2 * df))
    return float(t - special.ndtri(level) * spread)


def t_quantile(tail: float, df: float) -> float:
    """The value that a t variable exceeds with probability `tail`."""
    return -float(special.stdtrit(df, tail))


@lru_cache(maxsize=65_536)
def wilson(count: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson interval of a proportion; (NaN, NaN) for a total of zero."""
    from statsmodels.stats.proportion import proportion_confint

    if total <= 0:
        return float("nan"), float("nan")
    low, high = proportion_confint(count, total, 1 - confidence, method="wilson")
    return (0.0 if count == 0 else float(low)), (1.0 if count == total else float(high))


def quantile_interval(ordered: Floats, q: float, confidence: float = 0.95) -> tuple[float, float]:
    """Distribution-free interval of a quantile from order statistics; an end that n does not support is NaN."""
    n = len(ordered)
    low, high = _ranks(n, q, confidence)
    return (
        float(ordered[low - 1]) if low >= 1 else float("nan"),
        float(ordered[high - 1]) if high <= n else float("nan"),
    )


@lru_cache(maxsize=65_536)
def _ranks(n: int, q: float, confidence: float) -> tuple[int, int]:
    """Ranks (from 1) of the order statistics around a quantile; 0 and n + 1 where n has none."""
    tail = (1 - confidence) / 2
    return int(stats.binom.ppf(tail, n, q)), int(stats.binom.ppf(1 - tail, n, q)) + 1


def mean_interval(values: Floats, confidence: float = 0.95) -> tuple[float, float]:
    """t interval of a mean of independent values; (NaN, NaN) below two values or without spread."""
    n = len(values)
    spread = float(values.std(ddof=1)) if n > 1 else 0.0
    if not spread > 1e-12 * float(np.abs(values).max(initial=0.0)):
        return float("nan"), float("nan")
    half = t_quantile((1 - confidence) / 2, n - 1) * spread / float(np.sqrt(n))
    return float(values.mean()) - half, float(values.mean()) + half


def signed_rank_p(values: Floats) -> float:
    """Two-sided Wilcoxon signed-rank p-value: sensitivity only, it tests symmetry about 0; NaN without two values."""
    moved: Any = values[np.abs(values) > 1e-12]
    if len(moved) < 2:
        return float("nan")
    return float(stats.wilcoxon(moved).pvalue)
