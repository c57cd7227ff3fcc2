"""Wilcoxon's signed-rank test, as in `scipy.stats.wilcoxon`.

Importing scipy.stats would take half a second.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import special

from ai_dev_tools.benchmark.analysis.clusters import Floats

MOST_EXACT, MOST_EXACT_TIED = 50, 13
"""Number of values up to which every pattern of signs is counted; beyond it, the normal distribution is good enough."""


def signed_rank_p(values: Floats) -> float:
    """Two-sided p-value: sensitivity only, it tests symmetry about 0.

    NaN without two values that differ from 0.
    """
    moved = values[np.abs(values) > 1e-12]
    n = len(moved)
    if n < 2:
        return float("nan")
    _, place, ties = np.unique(np.abs(moved), return_inverse=True, return_counts=True)
    doubled = (2 * np.cumsum(ties) - ties + 1)[place]  # ranks are halves where values are tied, so twice the rank
    positive = int(doubled[moved > 0].sum())
    if n <= (MOST_EXACT if len(ties) == n else MOST_EXACT_TIED):
        return _exact(positive, tuple(sorted(doubled.tolist())))
    error = float(np.sqrt((n * (n + 1.0) * (2.0 * n + 1.0) - float((ties**3.0 - ties).sum()) / 2) / 24))
    z = (positive / 2 - n * (n + 1.0) * 0.25) / error
    return float(2 * special.ndtr(-abs(z)))


def _exact(positive: int, doubled: tuple[int, ...]) -> float:
    patterns = _patterns(doubled)
    below, above = int(patterns[: positive + 1].sum()), int(patterns[positive:].sum())
    return min(1.0, float(min(below, above)) / float(2 ** (len(doubled) - 1)))


@lru_cache(maxsize=256)
def _patterns(ranks: tuple[int, ...]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How many patterns of signs give each sum of the positive ranks."""
    counts = np.zeros(sum(ranks) + 1, dtype=np.int64)
    counts[0] = 1
    for rank in ranks:
        counts[rank:] += counts[:-rank].copy()
    return counts
