"""Power, minimal detectable effects and sizes of the cost test and of the quality gate."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import optimize, special

from ai_dev_tools.benchmark.analysis.noninferiority import FEW, LARGE
from ai_dev_tools.benchmark.analysis.statistics import t_quantile


@lru_cache(maxsize=4096)
def minimal_effect(clusters: int, alpha: float, power: float = 0.8, two_sided: bool = True) -> float:
    """Smallest d_z that a t test on `clusters` values finds with `power`; NaN below two clusters."""
    if clusters < 2 or not 0 < alpha < 1:
        return float("nan")

    def gap(effect: float) -> float:
        return t_power(effect, clusters, alpha, two_sided) - power

    high = 1.0
    while gap(high) < 0:
        if high > 1e6:
            return float("nan")
        high *= 2
    return float(optimize.brentq(gap, 0.0, high, xtol=1e-10))


def t_power(effect: float, clusters: int, alpha: float, two_sided: bool = True, tasks: int = 1) -> float:
    """Probability that a t test on `clusters` values rejects when the true d_z is `effect`.

    NaN if there is none.

    With one task it is the one-sample test; with several, of equal size, it has Welch's degrees of freedom.
    """
    each = clusters / tasks
    if each < 2 or not np.isfinite(effect):
        return float("nan")
    df = clusters - 1.0 if tasks == 1 else max(1.0, (clusters - tasks) * (each - 1) / (each + 1))
    centre = abs(effect) * np.sqrt(clusters) if two_sided else effect * np.sqrt(clusters)
    critical = t_quantile(alpha / 2 if two_sided else alpha, df)
    if centre > 35:
        return float(special.ndtr(centre - critical))
    upper = 1 - float(special.nctdtr(df, centre, critical))
    lower = float(special.nctdtr(df, centre, -critical)) if two_sided else 0.0
    return upper + (lower if np.isfinite(lower) else 0.0)


def clusters_needed(
    effect: float, alpha: float, power: float = 0.8, two_sided: bool = True, most: int = 100_000
) -> int | None:
    """Smallest number of clusters with the power.

    None when `effect` is not positive or more than `most` are needed.
    """
    if not effect > 0:
        return None
    low, high = 2, 4
    while t_power(effect, high, alpha, two_sided) < power:
        low, high = high, high * 2
        if high > most:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if t_power(effect, middle, alpha, two_sided) >= power else (middle, high)
    return low if low == 2 and t_power(effect, 2, alpha, two_sided) >= power else high


def gate_power(clusters: int, spread: float, margin: float, alpha: float = 0.05, tasks: int = 1) -> float:
    """Probability that the quality gate passes an equal tool.

    NaN below two clusters or for an unknown spread.

    `spread` is the standard deviation of quality differences between clusters, models averaged. With
    hardly any large loss to be expected the exact bound decides, which small samples do not pass.
    """
    if clusters < 2 * tasks or not (np.isfinite(spread) and margin > 0):
        return float("nan")
    unseen = float((1 - margin) ** clusters <= alpha)
    if spread == 0:
        return unseen
    rate = float(special.ndtr(-LARGE / spread))
    large = float(special.bdtrc(FEW - 1, clusters, rate)) if rate > 0 and clusters >= FEW else 0.0
    return t_power(margin / spread, clusters, alpha, False, tasks) * (large + (1 - large) * unseen)
