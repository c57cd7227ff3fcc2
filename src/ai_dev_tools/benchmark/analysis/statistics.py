"""Inference on cluster estimates: the wider of two intervals, families, effect sizes.

scipy.special supplies the distributions. Written here is the rest: above all the studentised bootstrap of cluster means,
and formulas of a few lines, for which scipy.stats and statsmodels would take half a second to import; tests hold them to
the same digits. References are in docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.analysis.clusters import ClusterEstimate, Floats

RESAMPLES = 4_999
SEED = 20_250_716
_CELLS = 4_000_000
"""Elements of one block of resamples: bounds memory to about 100 MB for any number of clusters."""


@lru_cache(maxsize=64)
def _small_resamples(size: int, resamples: int) -> NDArray[np.intp]:
    rng = np.random.Generator(np.random.PCG64([SEED, size, resamples]))
    return rng.integers(0, size, (size, resamples), dtype=np.intp)


def _resample_blocks(size: int, resamples: int) -> Iterator[NDArray[np.intp]]:
    """Indices of bootstrap resamples, one per column.

    They depend on the two numbers only, so bytes repeat.
    """
    if size * resamples <= _CELLS:
        yield _small_resamples(size, resamples)
        return
    rng = np.random.Generator(np.random.PCG64([SEED, size, resamples]))
    step = max(1, _CELLS // size)
    for start in range(0, resamples, step):
        yield rng.integers(0, size, (size, min(step, resamples - start)), dtype=np.intp)


def bootstrap_t(values: Floats, resamples: int = RESAMPLES) -> Floats:
    """Sorted studentised deviations t* of the mean of `values` (n,) under resampling; shape (resamples,).

    A resample without spread counts as infinite on its side: it is not informative, so it widens the interval.
    """
    n = len(values)
    centred = values - values.mean()
    scale = float(np.abs(centred).max()) or 1.0
    parts = []
    for index in _resample_blocks(n, resamples):
        drawn = centred.take(index)
        mean = drawn.sum(axis=0) / n
        error = np.sqrt(np.maximum(np.einsum("ij,ij->j", drawn, drawn) / n - mean**2, 0.0) / (n - 1))
        # in units of the spread, so that ties do not depend on rounding
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
        """One-sided p-value of 'the true value is at least `margin`'; small speaks for below.

        NaN when no spread.
        """
        if not self.usable:
            return float("nan")
        e = self.source
        observed = (e.estimate - margin) / e.se
        p = float(special.stdtr(e.df, observed))
        if self.deviations is not None:
            p = max(p, (1 + int(np.searchsorted(self.deviations, observed, side="right"))) / (len(self.deviations) + 1))
        return p

    def p_above(self, margin: float) -> float:
        """One-sided p-value of 'the true value is at most `margin`'; small speaks for above.

        NaN when no spread.
        """
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


def why_no_interval(estimate: ClusterEstimate) -> str:
    """What an estimate lacks that cannot be judged."""
    if estimate.clusters < 2:
        return "one cluster only"
    return "one cluster in each task" if np.isnan(estimate.df) else "all clusters give the same value"


def what_is_left_out(estimate: ClusterEstimate) -> str:
    """Which part of the pairs an estimate does not rest on; "" for none."""
    left = len(estimate.left_out)
    return f"{plural(left, 'task')} with one cluster only {'is' if left == 1 else 'are'} left out" if left else ""


def holm(p_values: Sequence[float]) -> Floats:
    """Holm-adjusted p-values.

    Missing ones (NaN) stay missing, but count in the family as tests that were not passed.

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
        order = np.argsort(p[known])
        scaled = p[known][order] * (known.sum() / np.arange(1, known.sum() + 1))
        adjusted = np.empty(len(scaled))
        adjusted[order] = np.minimum.accumulate(scaled[::-1])[::-1]
        out[known] = np.clip(adjusted, 0, 1)
    return out


def effect_size(estimate: ClusterEstimate, confidence: float = 0.95) -> tuple[float, float, float]:
    """Standardised mean difference d_z of clusters, with its noncentral-t interval."""
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


def from_log(value: float) -> float:
    """A ratio from its logarithm.

    One too large for a number is without limit, as few clusters far apart leave it.
    """
    with np.errstate(over="ignore"):
        return float(np.exp(value))


def t_quantile(tail: float, df: float) -> float:
    """The value that a t variable exceeds with probability `tail`."""
    return -float(special.stdtrit(df, tail))


@lru_cache(maxsize=65_536)
def wilson(count: float, total: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson interval of a proportion; (NaN, NaN) for a total of zero."""
    if total <= 0:
        return float("nan"), float("nan")
    z, share = -float(special.ndtri((1 - confidence) / 2.0)), count / total
    centre = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    reach = z * np.sqrt(share * (1.0 - share) / total + z**2 / (4.0 * total**2)) / (1 + z**2 / total)
    low, high = centre - reach, centre + reach
    return (0.0 if count == 0 else float(low)), (1.0 if count == total else float(high))


def quantile_interval(
    ordered: Floats, q: float, confidence: float = 0.95, worth: int | None = None
) -> tuple[float, float]:
    """Distribution-free interval of a quantile from order statistics.

    An end that n does not support is NaN.

    Args:
        worth: how many independent values these are worth, where they are not independent.
    """
    n = len(ordered)
    worth = n if worth is None else worth
    low, high = _ranks(worth, q, confidence)
    below, above = int(np.floor(low * n / worth)), int(np.ceil(high * n / worth))
    return (
        float(ordered[below - 1]) if low >= 1 else float("nan"),
        float(ordered[above - 1]) if high <= worth else float("nan"),
    )


@lru_cache(maxsize=65_536)
def _ranks(n: int, q: float, confidence: float) -> tuple[int, int]:
    """Ranks (from 1) of the order statistics around a quantile; 0 and n + 1 where n has none."""
    tail = (1 - confidence) / 2
    below = special.bdtr(np.arange(n + 1), n, q)
    return int(np.searchsorted(below, tail)), int(np.searchsorted(below, 1 - tail)) + 1
