"""The inference agrees with independent implementations, and with textbooks."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from ai_dev_tools.benchmark.analysis.clusters import Nesting, cluster_estimate
from ai_dev_tools.benchmark.analysis.comparison import compare
from ai_dev_tools.benchmark.analysis.power import clusters_needed, gate_power, minimal_effect, t_power
from ai_dev_tools.benchmark.analysis.signed_ranks import signed_rank_p
from ai_dev_tools.benchmark.analysis.statistics import (
    _ranks,
    benjamini_hochberg,
    bootstrap_t,
    effect_size,
    holm,
    infer,
    quantile_interval,
    wilson,
)
from ai_dev_tools.benchmark.plugins import comparison
from support.invented import invent

# Darwin's maize: heights in inches of 15 pairs, cross- and self-fertilised. Analysed by Fisher (The Design of
# Experiments, 1935, chapter III: t = 2.148, 14 degrees of freedom); the differences in eighths of an inch are the
# example of scipy.stats.wilcoxon.
CROSSED = [23.5, 12, 21, 22, 19.125, 21.5, 22.125, 20.375, 18.25, 21.625, 23.25, 21, 22.125, 23, 12]
SELFED = [17.375, 20.375, 20, 20, 18.375, 18.625, 18.625, 15.25, 16.5, 18, 16.25, 18, 12.75, 15.5, 18]


def draw(n: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1.0, n)


@pytest.mark.parametrize("n", [3, 8, 40])
def test_one_task_without_bootstrap_is_the_one_sample_t_test_of_scipy(n: int) -> None:
    y = draw(n)
    ours = infer(cluster_estimate(y, np.arange(n)), resamples=0)
    theirs = stats.ttest_1samp(y, 0.1)
    interval = theirs.confidence_interval(0.95)
    assert ours.p_above(0.1) == pytest.approx(stats.ttest_1samp(y, 0.1, alternative="greater").pvalue, rel=1e-9)
    assert ours.p_below(0.1) == pytest.approx(stats.ttest_1samp(y, 0.1, alternative="less").pvalue, rel=1e-9)
    assert (ours.bound("low", 0.025), ours.bound("high", 0.025)) == pytest.approx(
        (interval.low, interval.high), rel=1e-9
    )


def test_tasks_with_disjoint_clusters_give_the_cluster_robust_error_of_statsmodels_hc2() -> None:
    rng = np.random.default_rng(2)
    task = np.repeat([0, 1, 2], [4, 7, 9])
    y = rng.normal(task, 1.0)
    dummies = np.eye(3)[task]
    fit = OLS(y, dummies).fit(cov_type="HC2")
    weights = np.full(3, 1 / 3)
    ours = cluster_estimate(y, np.arange(20), task)
    assert ours.estimate == pytest.approx(float(weights @ fit.params), rel=1e-9)
    assert ours.se == pytest.approx(float(np.sqrt(weights @ fit.cov_params() @ weights)), rel=1e-9)


def test_two_tasks_have_welchs_degrees_of_freedom_or_fewer() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, 5), rng.normal(0, 4, 9)
    ours = cluster_estimate(np.r_[a, b], np.arange(14), np.repeat([0, 1], [5, 9]))
    # half of a sum has the same t statistic as the sum
    welch = stats.ttest_ind(a, -b, equal_var=False)
    assert ours.estimate / ours.se == pytest.approx(welch.statistic, rel=1e-9)
    assert ours.df <= welch.df + 1e-9


def test_repeats_then_cases_then_clusters_then_tasks_are_averaged() -> None:
    table = pd.DataFrame(
        [
            ("a", "k1", "c1", 1.0),
            ("a", "k1", "c1", 3.0),
            ("a", "k1", "c2", 6.0),
            ("a", "k2", "c3", 0.0),
            ("b", "k3", "c4", 10.0),
            ("b", "k4", "c5", 20.0),
        ],
        columns=["task", "cluster", "case", "y"],
    )
    e = cluster_estimate(table["y"], table["cluster"], table["task"], table["case"])
    # a: k1 = mean(mean(1, 3), 6) = 4, k2 = 0 -> 2; b: 15
    assert e.estimate == pytest.approx(8.5)
    assert (e.pairs, e.cases, e.clusters, e.tasks) == (6, 5, 4, 2)
    assert e.influence.mean() == pytest.approx(8.5)
    assert e.influence.std(ddof=1) / np.sqrt(4) == pytest.approx(e.se)


def test_a_cluster_in_two_tasks_counts_once() -> None:
    y = draw(10)
    twice = cluster_estimate(np.r_[y, y], np.r_[np.arange(10), np.arange(10)], np.repeat([0, 1], 10))
    once = cluster_estimate(y, np.arange(10))
    assert twice.clusters == 10
    assert twice.se == pytest.approx(once.se)
    assert twice.df == pytest.approx(once.df)


def test_a_task_with_one_cluster_is_left_out_because_it_has_no_spread() -> None:
    e = cluster_estimate([1.0, 2.0, 3.0, 99.0], [0, 1, 2, 3], [0, 0, 0, 1])
    assert e.estimate == 2.0
    assert e.left_out == (1,)
    assert (e.pairs, e.cases, e.clusters, e.tasks) == (3, 3, 3, 1)


def test_the_interval_is_the_wider_of_t_and_studentised_bootstrap_of_scipy() -> None:
    y = np.exp(draw(25, 5))
    e = cluster_estimate(y, np.arange(25))
    ours = infer(e)

    def studentised(sample: np.ndarray, axis: int = -1) -> np.ndarray:
        return (sample.mean(axis=axis) - y.mean()) / (sample.std(axis=axis, ddof=1) / np.sqrt(sample.shape[axis]))

    theirs = stats.bootstrap((y,), studentised, n_resamples=20_000, rng=np.random.default_rng(0), method="percentile")
    t_star = theirs.bootstrap_distribution
    expected = [y.mean() - np.quantile(t_star, q) * e.se for q in (0.975, 0.025)]
    by_t = [y.mean() - stats.t.isf(0.025, 24) * e.se, y.mean() + stats.t.isf(0.025, 24) * e.se]
    assert ours.bound("high", 0.025) == pytest.approx(max(expected[1], by_t[1]), rel=0.05)
    assert ours.bound("low", 0.025) == pytest.approx(min(expected[0], by_t[0]), rel=0.02)
    assert ours.bound("high", 0.025) > by_t[1]


def test_p_values_and_bounds_say_the_same() -> None:
    y = np.exp(draw(15, 6))
    inference = infer(cluster_estimate(y, np.arange(15)))
    for alpha in (0.01, 0.025, 0.1, 0.4):
        bound = inference.bound("high", alpha)
        assert inference.p_below(bound + 1e-9) <= alpha < inference.p_below(bound - 1e-3)


def test_large_samples_resample_in_blocks_to_the_same_distribution() -> None:
    y = draw(3000)
    deviations = bootstrap_t(y, 2000)
    assert len(deviations) == 2000
    assert np.quantile(deviations, 0.975) == pytest.approx(1.96, abs=0.12)


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0, 1.0], [2.0], []])
def test_no_spread_means_no_interval_and_no_p_value(values: list[float]) -> None:
    inference = infer(cluster_estimate(values, range(len(values))))
    assert not inference.usable
    assert np.isnan(
        [inference.bound("low", 0.025), inference.bound("high", 0.025), inference.p_below(0), inference.p_above(0)]
    ).all()


def test_holm_and_benjamini_hochberg_are_those_of_statsmodels_and_missing_tests_stay_in_the_family() -> None:
    p = [0.001, 0.04, 0.02, 0.5]
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], rel=1e-12)
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1], rel=1e-12)
    assert holm([0.02, float("nan")])[0] == pytest.approx(0.04)
    assert np.isnan(holm([0.02, float("nan")])[1])


@pytest.mark.parametrize(("n", "effect"), [(12, 0.9), (24, 0.6), (40, 0.2)])
def test_power_is_that_of_statsmodels(n: int, effect: float) -> None:
    assert t_power(effect, n, 0.05) == pytest.approx(TTestPower().power(effect, n, 0.05), rel=1e-9)
    one_sided = TTestPower().power(effect, n, 0.05, alternative="larger")
    assert t_power(effect, n, 0.05, two_sided=False) == pytest.approx(one_sided, rel=1e-9)


@pytest.mark.parametrize(("n", "known"), [(12, 0.89), (20, 0.66), (24, 0.60)])
def test_minimal_detectable_effects_are_the_known_ones(n: int, known: float) -> None:
    assert minimal_effect(n, 0.05) == pytest.approx(known, abs=0.005)
    assert minimal_effect(n, 0.05) == pytest.approx(TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8), rel=1e-6)


def test_the_clusters_needed_are_the_fewest_with_the_power() -> None:
    n = clusters_needed(0.5, 0.05)
    assert n == int(np.ceil(TTestPower().solve_power(0.5, alpha=0.05, power=0.8)))
    assert clusters_needed(-0.1, 0.05) is None
    assert clusters_needed(1e-9, 0.05) is None


def test_the_gates_power_is_that_of_its_t_test_and_of_the_exact_bound_where_losses_are_rare() -> None:
    assert gate_power(28, 0.0, 0.10, 0.05) == 0 < gate_power(29, 0.0, 0.10, 0.05)
    # with hardly any scatter it is as if all were tied
    assert gate_power(28, 0.01, 0.10, 0.05) < 0.01 < 0.99 < gate_power(29, 0.01, 0.10, 0.05)
    assert gate_power(27, 0.2, 0.10, 0.05) == pytest.approx(0.80, abs=0.05)


def test_intervals_of_effect_sizes_agree_with_scipys_noncentral_t() -> None:
    y = draw(20, 8)
    e = cluster_estimate(y, np.arange(20))
    d, low, high = effect_size(e)
    t = d * np.sqrt(20)
    assert stats.nct.cdf(t, 19, low * np.sqrt(20)) == pytest.approx(0.975, abs=1e-9)
    assert stats.nct.cdf(t, 19, high * np.sqrt(20)) == pytest.approx(0.025, abs=1e-9)


def test_quantities_shared_with_pingouin_agree() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pingouin = pytest.importorskip("pingouin")
        x, y = np.asarray(CROSSED), np.asarray(SELFED)
        table = pingouin.ttest(x, y, paired=True)
        rank = pingouin.wilcoxon(x, y)
        power = pingouin.power_ttest(d=0.6, n=24, contrast="one-sample")
    ours = infer(cluster_estimate(x - y, np.arange(15)), resamples=0)
    p_column = next(c for c in table.columns if c.lower().replace("_", "-").startswith("p-val") or c == "p_val")
    assert 2 * ours.p_above(0.0) == pytest.approx(float(table[p_column].iloc[0]), rel=1e-9)
    rank_column = next(c for c in rank.columns if c.lower().replace("_", "-").startswith("p-val"))
    assert signed_rank_p(x - y) == pytest.approx(float(rank[rank_column].iloc[0]), rel=1e-9)
    assert t_power(0.6, 24, 0.05) == pytest.approx(float(power), rel=1e-9)


@given(
    st.lists(st.floats(-5, 5), max_size=70),
    st.sampled_from([0, 1, 8]),
)
def test_signed_rank_p_values_are_those_of_scipy(values: list[float], digits: int) -> None:
    array = np.round(np.asarray(values, dtype=np.float64), digits)  # with ties and zeros, and without
    moved = array[array != 0]
    ours = signed_rank_p(array)
    assert np.isnan(ours) if len(moved) < 2 else ours == stats.wilcoxon(moved).pvalue


@given(st.integers(1, 3000), st.sampled_from([0.05, 0.5, 0.9, 0.95, 0.99]))
def test_ranks_of_a_quantiles_interval_are_those_of_the_binomial_distribution(n: int, q: float) -> None:
    tail = (1 - 0.95) / 2
    assert _ranks(n, q, 0.95) == (int(stats.binom.ppf(tail, n, q)), int(stats.binom.ppf(1 - tail, n, q)) + 1)


def test_tables_import_neither_scipy_stats_nor_statsmodels() -> None:
    """They take half a second, which is more than all the rest of a small run's tables."""
    code = (
        "import sys, ai_dev_tools.benchmark.analysis.tables; print({'scipy.stats', 'statsmodels'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_estimates_over_the_same_pairs_share_their_nesting_and_nothing_else() -> None:
    rng = np.random.default_rng(6)
    cluster, task = rng.integers(0, 9, 60), rng.integers(0, 3, 60)
    nesting = Nesting(cluster, task)
    for values in (rng.standard_normal(60), np.ones(60), np.r_[np.nan, np.zeros(59)]):
        shared, alone = nesting.estimate(values), cluster_estimate(values, cluster, task)
        assert repr(shared) == repr(alone)
        np.testing.assert_equal(nesting.mean(values), alone.estimate)


def test_darwins_maize_end_to_end_gives_fishers_answer() -> None:
    @comparison("height", unit="inches", kind="difference", description="height of a plant")
    def height(samples: pd.DataFrame) -> pd.Series:
        return samples["duration_s"]

    table = invent(n=15, tasks=("maize",), approaches=("selfed", "crossed"))
    for arm, heights in (("crossed", CROSSED), ("selfed", SELFED)):
        table.loc[table["approach"] == arm, ["duration_s", "attempts_s"]] = np.repeat(
            np.asarray(heights)[:, None], 2, axis=1
        )
    table["time_to_first_token_s"], table["started_at"] = None, None
    row = compare(table, "crossed", "selfed", comparisons=["height"], resamples=0).iloc[-1]
    careful = compare(table, "crossed", "selfed", comparisons=["height"]).iloc[-1]
    assert row["value"] == pytest.approx(2.6167, abs=5e-5)
    assert row["d_z"] * np.sqrt(15) == pytest.approx(2.148, abs=5e-4)
    assert row["p"] == pytest.approx(0.0497, abs=5e-5)
    assert (row["low"], row["high"]) == pytest.approx((0.0036, 5.2298), abs=5e-4)
    assert row["p_signed_rank"] == pytest.approx(0.041259765625, rel=1e-9)
    # the wider of two intervals is never narrower
    assert careful["low"] <= row["low"]
    assert careful["high"] >= row["high"]


def test_wilson_and_order_statistic_intervals_agree_with_scipy() -> None:
    interval = stats.binomtest(7, 20).proportion_ci(method="wilson")
    assert wilson(7, 20) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert wilson(0, 5)[0] == 0.0
    assert np.isnan(wilson(0, 0)).all()
    y = np.sort(draw(50))
    theirs = stats.quantile_test(y, p=0.5).confidence_interval(0.95)
    assert quantile_interval(y, 0.5) == pytest.approx((theirs.low, theirs.high))
