"""The planner: sizes that reach their power, durations with an honest error, assumptions that are named."""

from __future__ import annotations

import numpy as np
import pytest
from invented import invent
from scipy import stats

from ai_dev_tools.benchmark.analysis.clusters import cluster_estimate
from ai_dev_tools.benchmark.analysis.durations import fit_durations
from ai_dev_tools.benchmark.analysis.planner import Assumptions, Target, plan, power_curve, prospects
from ai_dev_tools.benchmark.analysis.quality import lower_bound
from ai_dev_tools.benchmark.errors import ConfigurationError


def test_the_duration_model_recovers_the_rates_and_states_its_error() -> None:
    samples = invent(n=30, tasks=("a", "b"))
    rng = np.random.default_rng(0)
    samples["output_tokens"] = rng.integers(10, 100, len(samples))
    exact = 0.2 + 0.003 * samples["input_tokens"] + 0.02 * samples["output_tokens"]
    samples["duration_s"] = exact * rng.normal(1, 0.05, len(samples))
    model = fit_durations(samples)
    row = model.table.set_index("model").loc["m1"]
    assert row["s_per_input_token"] == pytest.approx(0.003, rel=0.05)
    assert row["s_per_output_token"] == pytest.approx(0.02, rel=0.1)
    assert row["median_error"] == pytest.approx(0.05 * stats.norm.ppf(0.75), rel=0.3)
    assert row["total_error"] < 0.05
    assert model.predict("m1", 1000, 50) == pytest.approx(0.2 + 3 + 1, rel=0.05)
    assert model.predict("never seen", 1000, 50) == pytest.approx(0.2 + 3 + 1, rel=0.05)


def test_too_few_samples_say_so() -> None:
    table = fit_durations(invent(n=1, tasks=("a",), approaches=("baseline", "tools"))).table
    assert set(table["note"]) == {"needs at least 3 completed samples"}
    assert np.isnan(fit_durations(invent(n=1).iloc[:0]).predict("m1", 10, 10))


def test_a_plan_from_nothing_states_that_it_is_assumed() -> None:
    table = plan(None, Target(effect=0.7), assume=Assumptions(sd=0.3, seconds=4.0))
    assert set(table["basis"]) == {"assumed"}
    row = table.iloc[0]
    assert row["hours"] == pytest.approx(row["requests"] * 4.0 / 3600)
    assert plan(None, Target(effect=0.7))["hours"].isna().all()


def test_a_pilot_gives_its_own_spread_and_a_range_of_hours() -> None:
    table = plan(invent(n=8, noise=0.2), Target(effect=0.8))
    assert set(table["basis"]) == {"pilot"}
    assert (table["hours_low"] <= table["hours"]).all()
    assert (table["hours"] <= table["hours_high"]).all()
    assert (table["clusters"] >= table[["clusters_cost", "clusters_quality"]].max(axis=1)).all()


def test_smaller_effects_and_later_looks_need_more() -> None:
    sizes = [plan(None, Target(effect=e))["clusters_cost"].iloc[0] for e in (0.6, 0.8, 0.9)]
    assert sizes == sorted(sizes)
    assert plan(None, Target(look=3))["clusters_cost"].iloc[0] > plan()["clusters_cost"].iloc[0]


def test_the_planned_size_has_the_wished_power_in_simulation() -> None:
    row = plan(None, Target(power=0.8), assume=Assumptions(sd=0.4, sd_quality=0.2), repeats=(1,)).iloc[0]
    rng = np.random.default_rng(1)
    n, q = int(row["clusters_cost"]), int(row["clusters_quality"])
    y = rng.normal(np.log(0.8), 0.4, (4000, n))
    t = (y.mean(axis=1) - np.log(0.95)) / (y.std(axis=1, ddof=1) / np.sqrt(n))
    assert np.mean(stats.t.cdf(t, n - 1) <= row["alpha"] / 2) == pytest.approx(0.8, abs=0.03)
    passed = [lower_bound(cluster_estimate(rng.normal(0, 0.2, q), np.arange(q)), 0.05) > -0.1 for _ in range(1500)]
    assert np.mean(passed) == pytest.approx(0.8, abs=0.06)


def test_the_power_curve_rises_with_size_and_effect() -> None:
    curve = power_curve([6, 24], sd=0.3)
    wide = curve.pivot(index="ratio", columns="clusters", values="power")
    assert (wide[24] >= wide[6]).all()
    assert wide[24].is_monotonic_decreasing
    assert power_curve([1], sd=0.3)["power"].isna().all()


def test_what_a_planned_size_can_find_agrees_with_what_it_needs() -> None:
    """At the planned number of clusters the power is the wished one, and one cluster less falls short."""
    assume = Assumptions(sd=0.4, sd_quality=0.2)
    row = plan(None, Target(), repeats=(1,), assume=assume).iloc[0]
    for name, power in (("clusters_cost", "power"), ("clusters_quality", "quality_power")):
        enough, short = (prospects(int(row[name]) - less, None, Target(), assume=assume).iloc[0] for less in (0, 1))
        assert enough[power] >= 0.8 > short[power]
    at_needed = prospects(int(row["clusters_cost"]), None, Target(), assume=assume).iloc[0]
    assert at_needed["mde_ratio"] == pytest.approx(0.8, abs=0.01)


def test_sizes_without_a_test_say_nothing() -> None:
    table = prospects(1)
    assert table[["power", "mde_ratio", "quality_power"]].isna().all(axis=None)


def test_times_may_come_from_other_samples_than_the_pilot() -> None:
    others = invent(n=20, models=("m1",))
    others["duration_s"] *= 10
    pilot = invent(n=8, noise=0.2)
    assert plan(pilot, timed=others)["hours"].iloc[0] > 5 * plan(pilot)["hours"].iloc[0]
    assert plan(None, models=["m1"], timed=others)["hours"].notna().all()


@pytest.mark.parametrize("wrong", [{"effect": 0.97}, {"power": 1.0}, {"look": 0}])
def test_impossible_wishes_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        Target(**wrong)  # type: ignore[arg-type]


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="repeats"):
        plan(repeats=(0,))
