"""Non-inferiority of a mean of differences between -1 and 1, for the quality gate.

Three things must agree before a loss is excluded: a t test whose standard error has a floor that unequal tasks cannot
undercut, its correction for skew, and, where hardly any cluster lost, an exact binomial bound on what was not seen.
Why each is needed, and how often the whole is wrong, is in docs/statistics.md and docs/calibration.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from ai_dev_tools.benchmark.analysis.clusters import ClusterEstimate, Floats

FEW, LARGE = 5, 0.1
"""Fewer clusters with a loss this large, and the t test alone says too little about rare ones."""
_NOTHING = 1e-9


@dataclass(frozen=True)
class LossTest:
    """Tests of one estimate of quality differences against any margin."""

    source: ClusterEstimate

    def p(self, margin: float) -> float:
        """One-sided p-value of 'the true loss is at least `margin`'; small speaks for 'not worse'."""
        if not len(self.source.cells):
            return float("nan")
        by_t, exact = 0.0, 0.0
        if self._error > 0:
            by_t = float(special.stdtr(self._df, -hall((self.source.estimate + margin) / self._error, self._skew)))
        if self._rare:
            exact = max(self._exact_p(margin, *part) for part in self._parts)
        return max(by_t, exact)

    def bound(self, alpha: float) -> float:
        """Lower confidence bound of the mean difference at level 1 - alpha: where `p` is `alpha`."""
        if not len(self.source.cells):
            return float("nan")
        ends = []
        if self._error > 0:
            critical = -float(special.stdtrit(self._df, alpha))
            ends.append(self.source.estimate - hall_inverse(critical, self._skew) * self._error)
        if self._rare:
            ends += [self._exact_bound(alpha, *part) for part in self._parts]
        return max(-1.0, min(ends))

    @cached_property
    def _sizes(self) -> Floats:
        return np.bincount(self.source.cell_task).astype(np.float64)

    @cached_property
    def _residuals(self) -> Floats:
        means = np.bincount(self.source.cell_task, weights=self.source.cells) / self._sizes
        return np.asarray(self.source.cells - means[self.source.cell_task])

    @property
    def _pooled_df(self) -> float:
        return float(len(self.source.cells) - len(self._sizes))

    @cached_property
    def pooled_variance(self) -> float:
        """Variance between clusters within tasks; NaN if each task has one cluster."""
        return float(np.sum(self._residuals**2) / self._pooled_df) if self._pooled_df > 0 else float("nan")

    @cached_property
    def _floor(self) -> float:
        """Standard error if all tasks had the pooled variance.

        Otherwise a small task without losses would add no variance.
        """
        return float(np.sqrt(self.pooled_variance * np.sum(1 / self._sizes)) / len(self._sizes))

    @cached_property
    def _error(self) -> float:
        """Standard error of the mean; 0 where there is no spread to judge by."""
        own = self.source.se if np.isfinite(self.source.se) else 0.0
        error = max(own, self._floor) if np.isfinite(self._floor) and np.isfinite(self.source.df) else 0.0
        return error if error > 1e-7 else 0.0

    @cached_property
    def _df(self) -> float:
        return self._pooled_df if self._floor > self.source.se * (1 + 1e-9) else self.source.df

    @cached_property
    def _skew(self) -> float:
        """Skewness of the estimate, if negative: rare large losses make the t bound too hopeful."""
        third = float(np.sum(self._residuals**3)) / self._pooled_df
        weights = np.sum(1 / self._sizes**2) / np.sum(1 / self._sizes) ** 1.5
        skew = third / self.pooled_variance**1.5 * float(weights)
        return skew if skew < -1e-6 else 0.0

    @cached_property
    def _losses(self) -> Floats:
        """What large losses take from the mean of each task."""
        lost = np.where(self.source.cells < -LARGE, -self.source.cells, 0.0)
        return np.asarray(np.bincount(self.source.cell_task, weights=lost) / self._sizes)

    @cached_property
    def _rest(self) -> float:
        """Mean difference without the large losses."""
        return float(self.source.estimate + self._losses.mean())

    @property
    def _rare(self) -> bool:
        """Whether large losses are too few for the t test, nothing offsets them, or nothing varies."""
        lost = int((self.source.cells < -LARGE).sum())
        return lost < FEW or self._rest <= _NOTHING or self._error == 0

    @cached_property
    def _parts(self) -> list[tuple[float, float, float, float]]:
        """Share of tasks, effective clusters, large losses there and elsewhere: of the smallest task, the two
        smallest, ….

        What was not seen may lie in the tasks that were looked at least.
        """
        order = np.argsort(self._sizes, kind="stable")
        sizes, losses, tasks = self._sizes[order], self._losses[order], len(order)
        # a cluster that several tasks share was drawn once
        alone = self.source.clusters / len(self.source.cells)
        return [
            (k / tasks, alone * k**2 / float(np.sum(1 / sizes[:k])), float(losses[:k].mean()), losses[k:].sum() / tasks)
            for k in range(1, tasks + 1)
        ]

    def _exact_p(self, margin: float, share: float, n: float, loss: float, elsewhere: float) -> float:
        rate = (margin + self._rest - elsewhere) / share
        if rate >= 1:
            return 0.0
        if loss >= 1:
            return 1.0
        return float(special.betaincc(n * loss + 1, n * (1 - loss), rate)) if rate > 0 else 1.0

    def _exact_bound(self, alpha: float, share: float, n: float, loss: float, elsewhere: float) -> float:
        highest = float(special.betainccinv(n * loss + 1, n * (1 - loss), alpha)) if loss < 1 else 1.0
        return float(self._rest - highest * share - elsewhere)


def hall(t: float, skew: float) -> float:
    """Hall's monotone correction of a t statistic for the skewness of the estimate."""
    return t + skew / 6 + skew * t**2 / 3 + skew**2 * t**3 / 27


def hall_inverse(value: float, skew: float) -> float:
    """The statistic whose correction is `value`."""
    return value if skew == 0 else float(3 * (np.cbrt(1 + skew * (value - skew / 6)) - 1) / skew)


def shown_losses(estimate: ClusterEstimate) -> dict[int, tuple[float, float]]:
    """Mean difference of each task, by its number, and the one-sided p-value of 'it lost nothing there'.

    The variance is the pooled one, or the mean of that and the task's own where the task is more variable.
    """
    test, found = LossTest(estimate), {}
    for task in np.unique(estimate.cell_task):
        here = estimate.cells[estimate.cell_task == task]
        mean, variance = float(here.mean()), test.pooled_variance
        if len(here) > 1:
            variance = max(variance, (variance + float(here.var(ddof=1))) / 2)
        error = np.sqrt(variance / len(here))
        p = float(special.stdtr(test._pooled_df, mean / error)) if error > 1e-7 else float(mean >= -_NOTHING)
        found[int(task)] = (mean, p)
    return found
