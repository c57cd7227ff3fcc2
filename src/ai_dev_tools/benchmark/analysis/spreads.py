"""Intervals of means, shares and percentiles of samples that come in clusters.

Samples of one project or of one case asked again resemble each other. Each interval is the usual one where every sample
is its own cluster, and is widened by the design effect where they are not: the variance that clusters show over the one
that independent samples would have (Kish; Korn and Graubard for shares; Woodruff for percentiles).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ai_dev_tools.benchmark.analysis.clusters import Floats, Ints
from ai_dev_tools.benchmark.analysis.statistics import quantile_interval, t_quantile, wilson

NONE = float("nan"), float("nan")


def local_labels(clusters: Ints) -> tuple[Ints, int]:
    """Cluster labels counted from 0, and how many there are."""
    _, labels = np.unique(clusters, return_inverse=True)
    return labels.astype(np.int64), int(labels.max(initial=-1)) + 1


def mean_error(values: Floats, clusters: Ints) -> tuple[float, int]:
    """Cluster-robust standard error (CR2) of the plain mean of samples, and the number of clusters.

    NaN from one.
    """
    labels, count = local_labels(clusters)
    if count < 2:
        return float("nan"), count
    sizes = np.bincount(labels, minlength=count)
    sums = np.bincount(labels, weights=values - values.mean(), minlength=count)
    return float(np.sqrt(np.sum(sums**2 / (1 - sizes / len(values)))) / len(values)), count


def mean_interval(values: Floats, clusters: Ints, confidence: float = 0.95) -> tuple[float, float]:
    """t interval of a mean over clusters; (NaN, NaN) below two clusters or without spread."""
    error, count = mean_error(values, clusters)
    if not error > 1e-12 * float(np.abs(values).max(initial=0.0)):
        return NONE
    half = t_quantile((1 - confidence) / 2, count - 1) * error
    return float(values.mean()) - half, float(values.mean()) + half


def effective(hits: NDArray[np.bool_], clusters: Ints, confidence: float = 0.95) -> float:
    """How many independent samples a share over clustered ones is worth; never more than there are.

    Where all are alike clusters show no spread, and only the clusters themselves are known to be independent.
    """
    total, share = len(hits), float(hits.mean()) if len(hits) else 0.0
    error, count = mean_error(hits.astype(float), clusters)
    if count == total or count < 2:
        return float(count)
    if not 0 < share < 1:
        return float(count)
    worth = share * (1 - share) / error**2 + 1 if error > 0 else float(total)
    return float(np.clip(worth * _few_clusters(total, count, confidence), 1, total))


@lru_cache(maxsize=65_536)
def _few_clusters(total: int, count: int, confidence: float) -> float:
    """Korn and Graubard's factor for a design effect that is itself estimated, from few clusters."""
    tail = (1 - confidence) / 2
    return (t_quantile(tail, total - 1) / t_quantile(tail, count - 1)) ** 2


def share_interval(hits: NDArray[np.bool_], clusters: Ints) -> tuple[float, float]:
    """Wilson interval of a share at its effective number of samples."""
    worth = effective(hits, clusters)
    return wilson(float(hits.mean()) * worth, worth) if worth else NONE


def percentile_interval(ordered: Floats, clusters: Ints, q: float) -> tuple[float, float]:
    """Order-statistic interval of a percentile at its effective number of samples; an absent end is NaN.

    Args:
        ordered: sorted values; `clusters` are their labels in the same order.
    """
    worth = effective(ordered <= np.quantile(ordered, q), clusters)
    return quantile_interval(ordered, q, worth=max(1, int(worth)))
