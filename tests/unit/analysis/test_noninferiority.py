"""The test behind the quality gate: what a loss must show, or not show, to be excluded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ai_dev_tools.benchmark.analysis.clusters import ClusterEstimate, cluster_estimate
from ai_dev_tools.benchmark.analysis.noninferiority import LossTest, shown_losses


def estimate(values: NDArray[np.float64] | list[float], sizes: tuple[int, ...] | None = None) -> ClusterEstimate:
    y = np.asarray(values, dtype=float)
    task = np.repeat(np.arange(len(sizes)), sizes) if sizes else np.zeros(len(y), dtype=int)
    return cluster_estimate(y, np.arange(len(y)), task)


def passes(values: NDArray[np.float64], sizes: tuple[int, ...] | None = None, level: float = 0.04) -> bool:
    return LossTest(estimate(values, sizes)).p(0.10) <= level


def test_answers_that_are_all_tied_need_as_many_clusters_as_rule_out_a_loss_that_was_not_seen() -> None:
    assert not passes(np.zeros(30))
    assert passes(np.zeros(31))
    assert (1 - 0.10) ** 31 <= 0.04 < (1 - 0.10) ** 30


@pytest.mark.parametrize("sizes", [(4, 100), (2, 2, 2, 2, 2, 30), (2, 2, 20, 20, 20, 20), (3, 3, 3, 20, 20, 20)])
def test_many_tied_clusters_in_some_tasks_do_not_prove_the_tasks_that_have_few(sizes: tuple[int, ...]) -> None:
    assert not passes(np.zeros(sum(sizes)), sizes)
    assert passes(np.zeros(72), (12,) * 6)


def test_a_small_task_in_which_nothing_happened_has_the_spread_of_the_others() -> None:
    rng = np.random.default_rng(1)
    y = np.concatenate([np.zeros(4), 0.2 * rng.standard_normal(100)])
    bound = LossTest(estimate(y, (4, 100))).bound(0.05)
    spread = y[4:].std(ddof=1) * np.sqrt(99 / 102)
    assert bound <= y[4:].mean() / 2 - 1.66 * spread * np.sqrt(1 / 4 + 1 / 100) / 2
    assert bound < -0.07


def test_rare_total_losses_weigh_more_than_their_variance_says() -> None:
    """One case in ten is lost altogether, the others are a little better: not seeing a loss happens often."""
    hopeful = np.full(20, 0.01)
    assert not passes(hopeful)
    assert not passes(np.where(np.arange(20) == 0, -1.0, 0.01))


@given(
    st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.0, 0.02, 1.0]), min_size=4, max_size=40),
    st.sampled_from([0.001, 0.0125, 0.04, 0.2]),
)
def test_the_bound_is_the_margin_at_which_the_test_just_fails(values: list[float], level: float) -> None:
    test = LossTest(estimate(values, (2, len(values) - 2)))
    bound = test.bound(level)
    assert bound <= test.source.estimate + 1e-12
    assert bound <= LossTest(test.source).bound(level * 2) + 1e-9
    if -1 < bound < 0:
        assert test.p(-bound + 1e-6) <= level + 1e-9
        assert test.p(-bound - 1e-6) >= level - 1e-9


def test_a_loss_in_one_task_is_shown_against_the_scatter_of_all() -> None:
    rng = np.random.default_rng(3)
    y = 0.2 * rng.standard_normal(72)
    y[:12] -= 0.4
    found = shown_losses(estimate(y, (12,) * 6))
    assert found[0][1] < 0.001
    assert min(p for _, p in list(found.values())[1:]) > 0.01
