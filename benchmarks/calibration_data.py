"""Invented differences whose truth is known: what the calibration lets the protocol judge."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ai_dev_tools.benchmark.analysis.clusters import ClusterEstimate, cluster_estimate

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]
LOG_MARGIN = float(np.log(0.95))


def generator(*key: object) -> np.random.Generator:
    """Random numbers that depend on the key only, so that every cell can be simulated by itself."""
    return np.random.default_rng([ord(c) for c in "|".join(map(str, key))])


def one_each(y: Floats) -> ClusterEstimate:
    """The estimate where each value is a cluster of its own."""
    return cluster_estimate(y, np.arange(len(y)))


def _ties(rng: np.random.Generator, n: int) -> Floats:
    return np.where(rng.random(n) < 0.75, 0.0, 2.0 * rng.standard_normal(n))


DRAWS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "t3": lambda rng, n: rng.standard_t(3, n) / np.sqrt(3),
    "75 % ties": _ties,
    "lognormal, right": lambda rng, n: np.exp(rng.standard_normal(n)) - np.exp(0.5),
    "lognormal, left": lambda rng, n: np.exp(0.5) - np.exp(rng.standard_normal(n)),
}
"""Cluster means around a true value of 0."""

LOSSES: dict[str, Draw] = {
    "rare total loss (-1 or 0)": lambda rng, n: -(rng.random(n) < 0.1).astype(float),
    "total losses and gains": lambda rng, n: rng.choice([-1.0, 1.0, 0.0], n, p=[0.2, 0.1, 0.7]),
    "graded, sd 0.2": lambda rng, n: -0.1 + 0.2 * rng.standard_normal(n),
    "rare total loss, small gains": lambda rng, n: rng.choice([-1.0, 0.1, 0.0], n, p=[0.15, 0.5, 0.35]),
}
"""Quality differences around a true loss of 0.1."""


def is_skewed(name: str) -> bool:
    """Whether a distribution of `DRAWS` is one of those for which small samples carry no promise."""
    return name.startswith("lognormal")


def deviation(name: str) -> float:
    """Standard deviation of a distribution of `DRAWS`, as far as it is scaled by it."""
    return float(np.sqrt((np.e - 1) * np.e)) if is_skewed(name) else 1.0


def nested(rng: np.random.Generator, sizes: tuple[int, ...], heavy: bool, uneven: bool) -> ClusterEstimate:
    """Tasks 5 apart, of `sizes` clusters, with unequal numbers of cases and repeats and strong effects of each.

    Args:
        heavy: t3 instead of normal.
        uneven: the first task is four times as variable.
    """
    task = np.repeat(np.arange(len(sizes)), sizes)
    clusters = len(task)
    cluster_of_case = np.repeat(np.arange(clusters), rng.integers(1, 7, clusters))
    row = np.repeat(np.arange(len(cluster_of_case)), rng.integers(1, 4, len(cluster_of_case)))
    cluster = cluster_of_case[row]
    draw = DRAWS["t3" if heavy else "normal"]
    spread = (1 + 3 * (task == 0)) if uneven else np.ones(clusters)
    y = (5.0 * task)[cluster] + (spread * draw(rng, clusters))[cluster]
    y = y + 0.7 * draw(rng, len(cluster_of_case))[row] + 0.5 * draw(rng, len(row))
    return cluster_estimate(y, cluster, task[cluster], row)


def shared_clusters(rng: np.random.Generator) -> ClusterEstimate:
    """Three tasks over the same 12 clusters, not all of which occur in each; truth 0."""
    base = rng.standard_normal(12)
    y = np.concatenate([base[:12], base[:8], base[4:]]) + 0.5 * rng.standard_normal(28)
    cluster = np.concatenate([np.arange(12), np.arange(8), np.arange(4, 12)])
    return cluster_estimate(y, cluster, np.repeat([0, 1, 2], [12, 8, 8]))


def distant_models(rng: np.random.Generator) -> ClusterEstimate:
    """Four models far apart, asked the same two cases of each cluster: the margin over these models; truth 0."""
    cluster, model, _ = (part.ravel() for part in np.indices((12, 4, 2)))
    level = DRAWS["t3"](rng, 12)[cluster] + 0.7 * rng.standard_normal((12, 4))[cluster, model]
    y = np.array([-3.0, -1.0, 0.0, 4.0])[model] + level + 0.5 * rng.standard_normal(len(cluster))
    return cluster_estimate(y, cluster)


def three_arms(rng: np.random.Generator, n: int, advantage: float) -> tuple[Floats, Floats, Floats]:
    """Scores of a baseline, of an arm without context, and of a tool that says as little as that one."""
    level = np.clip(0.4 + 0.2 * rng.standard_normal(n), 0, 1)
    base, nothing, tool = (np.clip(level + a + 0.15 * rng.standard_normal(n), 0, 1) for a in (advantage, 0.0, 0.0))
    return base, nothing, tool


def cut_off(rng: np.random.Generator, n: int, limit: float) -> tuple[Floats, Floats]:
    """Log ratios on the margin with requests cut off at `exp(limit)`: at the bounds, and of what was not cut off."""
    level = 0.6 * rng.standard_normal(n)
    tools = np.exp(level + 0.5 * rng.standard_normal(n))
    base = np.exp(level + 0.2 * rng.standard_normal(n) - LOG_MARGIN)
    cut_tools, cut_base = tools > np.exp(limit), base > np.exp(limit)
    high = np.where(cut_tools, np.maximum(tools, np.exp(limit)) * 3, tools)
    low = np.where(cut_base, np.exp(limit), base)
    return np.log(high / low), np.log(tools / base)[~(cut_tools | cut_base)]


CRASHES, TOOL_TIME = 0.2, 0.3


def crashing_tool(rng: np.random.Generator, n: int) -> Floats:
    """Log ratios of a tool that crashes in a fifth of cases and then costs its time and the fallback."""
    base = np.exp(0.3 * rng.standard_normal(n))
    crashed = rng.random(n) < CRASHES
    own = np.where(crashed, base, 0.8 * base * np.exp(0.3 * rng.standard_normal(n))) + TOOL_TIME
    return np.asarray(np.log(own / base))


def crashing_tool_truth(size: int = 400_000) -> float:
    """The mean of `crashing_tool`."""
    rng = generator("failures truth")
    level = np.exp(0.3 * rng.standard_normal(size))
    works = np.log((0.8 * level * np.exp(0.3 * rng.standard_normal(size)) + TOOL_TIME) / level)
    return float((1 - CRASHES) * works.mean() + CRASHES * np.log((level + TOOL_TIME) / level).mean())
