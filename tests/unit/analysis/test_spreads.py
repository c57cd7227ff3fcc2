"""Intervals of metrics hold where samples come in clusters, and are the usual ones where each is its own cluster."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ai_dev_tools.benchmark.analysis.spreads import effective, mean_interval, percentile_interval, share_interval
from ai_dev_tools.benchmark.analysis.statistics import quantile_interval, wilson

finite = st.lists(st.floats(-100, 100, allow_nan=False), min_size=3, max_size=30)


@given(finite)
def test_where_every_sample_is_its_own_cluster_the_intervals_are_the_usual_ones(values: list[float]) -> None:
    y = np.sort(np.array(values))
    alone = np.arange(len(y))
    hits = y > np.median(y)
    assert share_interval(hits, alone) == pytest.approx(wilson(int(hits.sum()), len(y)), abs=1e-12)
    assert percentile_interval(y, alone, 0.5) == pytest.approx(quantile_interval(y, 0.5), nan_ok=True)
    low, high = mean_interval(y, alone)
    if np.isfinite(low):
        theirs = stats.t.interval(0.95, len(y) - 1, y.mean(), stats.sem(y))
        assert (low, high) == pytest.approx(theirs, rel=1e-6, abs=1e-9)


@given(finite, st.integers(2, 5))
def test_asking_again_for_the_same_answers_tells_nothing_new(values: list[float], times: int) -> None:
    y = np.sort(np.array(values))
    clusters, again = np.arange(len(y)), np.repeat(np.arange(len(y)), times)
    assert mean_interval(np.repeat(y, times), again) == pytest.approx(
        mean_interval(y, clusters), rel=1e-6, abs=1e-9, nan_ok=True
    )
    hits = np.repeat(y > np.median(y), times)
    assert effective(hits, again) <= len(y) + 1e-9


@given(finite, st.integers(1, 6))
def test_samples_are_never_worth_more_than_they_are(values: list[float], groups: int) -> None:
    y = np.array(values)
    worth = effective(y > 0, np.arange(len(y)) % groups)
    assert 1 <= worth <= len(y)


COVERED: dict[str, Callable[[np.ndarray, np.ndarray], bool]] = {
    "mean": lambda z, of: mean_interval(z, of)[0] <= 0 <= mean_interval(z, of)[1],
    "share 0.9": lambda z, of: (
        share_interval(z < stats.norm.ppf(0.9), of)[0] <= 0.9 <= share_interval(z < stats.norm.ppf(0.9), of)[1]
    ),
    "median": lambda z, of: (
        not (
            percentile_interval(np.sort(z), of[np.argsort(z)], 0.5)[0] > 0
            or percentile_interval(np.sort(z), of[np.argsort(z)], 0.5)[1] < 0
        )
    ),
}


@pytest.mark.parametrize("name", COVERED)
def test_intervals_over_repeats_cover_the_truth_as_often_as_they_say(name: str) -> None:
    """18 clusters of three alike: plain intervals cover 80 to 84 %; 600 runs, 95 % with binomial slack."""
    rng = np.random.default_rng(7)
    of = np.repeat(np.arange(18), 3)
    draws = np.sqrt(0.8) * np.repeat(rng.normal(size=(600, 18)), 3, axis=1) + np.sqrt(0.2) * rng.normal(size=(600, 54))
    covered = sum(COVERED[name](z, of) for z in draws)
    assert covered >= stats.binom.ppf(0.001, 600, 0.95)


def test_one_cluster_gives_no_interval_of_a_mean() -> None:
    assert np.isnan(mean_interval(np.array([1.0, 2.0, 3.0]), np.zeros(3, dtype=int))).all()
