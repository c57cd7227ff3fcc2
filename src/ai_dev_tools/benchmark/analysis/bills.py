"""The bill: total over total, which long cases dominate, with a bound by clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ai_dev_tools.benchmark.analysis.clusters import Floats, integer_labels
from ai_dev_tools.benchmark.analysis.noninferiority import hall, hall_inverse
from ai_dev_tools.benchmark.analysis.power import clusters_needed
from ai_dev_tools.benchmark.analysis.statistics import from_log


@dataclass(frozen=True)
class Bill:
    """Total of an approach over total of its reference.

    Attributes:
        ratio: total over total; NaN if it means nothing.
        deviations: by cluster, how far its part of the bill lies from that ratio, in units of what the mean
            cluster costs in the reference; mean 0.
        floor: standard deviation of deviations that this one must at least have, see `with_floor`.
    """

    ratio: float
    deviations: Floats = field(default_factory=lambda: np.empty(0))
    floor: float = 0.0

    def bound(self, side: Literal["low", "high"], alpha: float) -> float:
        """One-sided confidence bound of the ratio at level 1 - alpha; NaN below two clusters."""
        error, sign = self._error, 1.0 if side == "high" else -1.0
        if not np.isfinite(error):
            return float("nan")
        reach = hall_inverse(-float(special.stdtrit(self._df, alpha)), self._skew(sign)) if error else 0.0
        return self.ratio * from_log(sign * reach * error)

    def p_below_one(self) -> float:
        """One-sided p-value of 'the true bill is at least the reference's'; NaN below two clusters."""
        return self._p(1.0)

    def p_above_one(self) -> float:
        """One-sided p-value of 'the true bill is at most the reference's'; NaN below two clusters."""
        return self._p(-1.0)

    def _p(self, sign: float) -> float:
        error = self._error
        if not (np.isfinite(error) and self.ratio > 0):
            return float("nan")
        if error == 0:
            return float(sign * np.log(self.ratio) >= 0)
        return float(special.stdtr(self._df, -hall(-sign * float(np.log(self.ratio)) / error, self._skew(sign))))

    def clusters_needed(self, alpha: float) -> int | None:
        """Clusters at which the bill would surely lie on the side of 1 where it is, with 80 % power.

        None for never.
        """
        n, error = len(self.deviations), self._error
        if not np.isfinite(error) or self.ratio == 1:
            return None
        return (
            clusters_needed(abs(float(np.log(self.ratio))) / (error * np.sqrt(n)), alpha, two_sided=False)
            if error
            else n
        )

    @property
    def _df(self) -> int:
        return len(self.deviations) - 1

    @property
    def _error(self) -> float:
        """Standard error of the ratio's logarithm."""
        n = len(self.deviations)
        if n < 2:
            return float("nan")
        spread = max(float(np.sqrt(np.sum(self.deviations**2) / (n - 1))), self.floor)
        error = spread / np.sqrt(n) / self.ratio
        return float(error) if error > 1e-9 else 0.0

    def _skew(self, sign: float) -> float:
        """Skewness of the mean deviation if it makes the bound on this side too optimistic, else 0."""
        n, error = len(self.deviations), self._error
        scaled = self.deviations / (self.ratio * error * np.sqrt(n))
        skew = -sign * float(np.mean(scaled**3)) / np.sqrt(n)
        return skew if skew < -1e-6 else 0.0


def bill(own: Floats, reference: Floats, cluster: ArrayLike) -> Bill:
    """The bill of some pairs, by a linearisation of the logarithm of the ratio over clusters."""
    total, other = float(own.sum()), float(reference.sum())
    if not (len(own) and other > 0 and total > 0 and np.isfinite(total) and np.isfinite(other)):
        return Bill(float("nan"))
    label = integer_labels(cluster)
    parts = np.bincount(label, weights=own) - total / other * np.bincount(label, weights=reference)
    return Bill(total / other, parts * (len(parts) / other))


def with_floor(bills: Sequence[Bill]) -> list[Bill]:
    """The bills of several models of one claim, each with at least the spread that they have together.

    A model on which none of the rare expensive cases happened would otherwise seem sure of a bill that the others refute.
    """
    freedom = sum(max(0, len(one.deviations) - 1) for one in bills)
    squares = sum(float(np.sum(one.deviations**2)) for one in bills)
    floor = float(np.sqrt(squares / freedom)) if freedom else 0.0
    return [replace(one, floor=floor) for one in bills]
