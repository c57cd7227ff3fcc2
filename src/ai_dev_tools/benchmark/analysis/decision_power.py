"""The probability of the verdict "saves".

Cost test, quality gate, single tasks and floor together, at the level of the look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from ai_dev_tools.benchmark.analysis.noninferiority import hall_inverse
from ai_dev_tools.benchmark.analysis.power import gate_power, t_power
from ai_dev_tools.benchmark.analysis.statistics import t_quantile

MOST = 100_000
"""Clusters beyond which no size is named."""
LENGTHS = 0.40
"""Standard deviation of the logarithm of a case's cost, taken for granted: what makes a bill rest on fewer cases."""


@dataclass(frozen=True)
class CostTest:
    """The test of one claim on one model.

    Attributes:
        spread: standard deviation of log ratios between clusters.
        level: two-sided, of the whole family at this look; `bill_level` one-sided, of the bill.
        tests: size of the family.
        tasks: over how many tasks the clusters are spread.
        margin: ratio that must surely be undercut.
    """

    spread: float
    level: float
    tests: int = 1
    tasks: int = 1
    margin: float = 0.95
    bill_level: float = 0.04

    def finds(self, clusters: int, ratio: float) -> float:
        """Probability of finding a true ratio and bill, where the family's other claims are like this one."""
        effect, found = float(np.log(self.margin / ratio)) / self.spread, 0.0
        for _ in range(8):
            # Holm: those that are found leave their level to the others, less so as all rise and fall together
            left = 1 + (self.tests - 1) * (1 - 0.75 * found)
            found = t_power(effect, clusters, self.level / left / 2, False, self.tasks)
            if not np.isfinite(found):
                return float("nan")
        return min(found, self._bill_agrees(clusters, ratio))

    def _bill_agrees(self, clusters: int, ratio: float) -> float:
        """Probability that the whole bill is certainly smaller too.

        Assumes that ratios scatter log-normally at any length of a case.

        It depends on the same cases as the mean ratio, so the smaller of the two probabilities is that of both.
        """
        spread, lengths = float(np.expm1(self.spread**2)), float(np.exp(LENGTHS**2))
        # the mean of a log-normal ratio lies above its geometric mean
        distance = -float(np.log(ratio)) - self.spread**2 / 2
        skew = (spread + 3) * np.sqrt(spread) * lengths**1.5 / np.sqrt(clusters)
        needed = hall_inverse(t_quantile(self.bill_level, clusters - 1), -float(skew))
        centre = distance / float(np.sqrt(spread * lengths)) * np.sqrt(clusters)
        if centre > 35:
            return 1.0
        return 1 - float(special.nctdtr(clusters - 1, centre, needed)) if centre > 0 else 0.0


@dataclass(frozen=True)
class QualityTest:
    """What a claim's answers must pass.

    Attributes:
        spread: standard deviation of differences in score between clusters, models averaged.
        distance: how far the true difference lies above minus the margin; the margin itself for an equal tool.
        level: of the gate at this look, family included.
        tasks, veto: how many tasks, and the loss that vetoes where it is shown in one of them.
        floors: true standardised advantages over the floor arm that must be shown; empty if they are taken for sure.
        models: how many models share the level of the floor tests.
    """

    spread: float
    distance: float = 0.10
    level: float = 0.04
    tasks: int = 1
    veto: float = 0.20
    floors: tuple[float, ...] = ()
    models: int = 1

    def passes(self, clusters: int) -> float:
        """Probability that gate, single tasks and floor tests are passed."""
        gate = gate_power(clusters, self.spread, self.distance, self.level, self.tasks)
        floors = [t_power(f, clusters, self.level / self.models, False, self.tasks) for f in self.floors]
        return gate * (1 - self._vetoed(clusters)) * min(floors, default=1.0)

    def _vetoed(self, clusters: int) -> float:
        """Probability that chance alone shows a loss in some task."""
        error = self.spread / np.sqrt(clusters / self.tasks)
        if not error > 0 or clusters <= self.tasks:
            return 0.0
        shown = max(self.veto / error, t_quantile(self.level / 2 / self.tasks, clusters - self.tasks))
        return float(1 - (1 - special.ndtr(-shown)) ** self.tasks)


def says_saves(clusters: int, ratio: float, cost: CostTest, quality: QualityTest) -> float:
    """Probability of saying "saves" of one claim on one model at a true ratio.

    NaN if nothing can be tested.
    """
    return cost.finds(clusters, ratio) * quality.passes(clusters)


def ratio_found(clusters: int, cost: CostTest, quality: QualityTest, power: float = 0.8) -> float:
    """The largest true ratio of which "saves" is said with the power.

    NaN if no saving, however large, would do.
    """
    best = quality.passes(clusters)
    if not best > power:
        return float("nan")
    low, high = np.log(1e-3), np.log(cost.margin)
    if says_saves(clusters, float(np.exp(low)), cost, quality) < power:
        return float("nan")
    for _ in range(40):
        middle = (low + high) / 2
        found = says_saves(clusters, float(np.exp(middle)), cost, quality) >= power
        low, high = (middle, high) if found else (low, middle)
    return float(np.exp(low))


def fewest(chance: Callable[[int], float], power: float = 0.8, least: int = 2) -> int | None:
    """The smallest number of clusters, at least `least`, with which a chance that grows reaches the power."""
    if chance(least) >= power:
        return least
    low, high = least, 2 * least
    while not chance(high) >= power:
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if chance(middle) >= power else (middle, high)
    return high
