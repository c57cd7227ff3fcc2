"""The planner: sizes that reach their power, durations with an honest error, assumptions that are named."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ai_dev_tools.benchmark.analysis.bills import bill
from ai_dev_tools.benchmark.analysis.clusters import Nesting
from ai_dev_tools.benchmark.analysis.noninferiority import LossTest, shown_losses
from ai_dev_tools.benchmark.analysis.statistics import holm, infer
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.planning.durations import fit_durations
from ai_dev_tools.benchmark.planning.planner import Assumptions, Target, plan, prospects
from support.invented import invent


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


def _said(n: int, sd: float, sd_quality: float, tests: int, replicates: int) -> float:
    """How often "saves" is said of one of several claims at a true ratio of 0.8 and equal quality, by simulation."""
    rng, task = np.random.default_rng(1), np.repeat(np.arange(6), n // 6)
    nesting, said = Nesting(np.arange(n), task), 0
    for _ in range(replicates):
        common = rng.standard_normal(n)
        logs = [np.log(0.8) + sd * (0.55 * common + 0.835 * rng.standard_normal(n)) for _ in range(tests)]
        p = [2 * infer(nesting.estimate(y), 0).p_below(np.log(0.95)) for y in logs]
        quality = nesting.estimate(sd_quality * rng.standard_normal(n))
        length = np.exp(0.4 * rng.standard_normal(n))
        paid = bill(length * np.exp(logs[0]), length, np.arange(n))
        shown = any(mean < -0.2 and p_none <= 0.02 / 6 for mean, p_none in shown_losses(quality).values())
        said += bool(
            holm(p)[0] <= 0.025 and LossTest(quality).p(0.1) <= 0.04 and not shown and paid.p_below_one() <= 0.04
        )
    return said / replicates


@pytest.mark.parametrize(
    ("models", "sd", "sd_quality"), [(1, 0.4, 0.25), (4, 0.4, 0.25), (4, 0.4, 0.45), (1, 0.2, 0.45), (4, 0.25, 0.2)]
)
def test_at_the_planned_size_saves_is_said_as_often_as_was_said(models: int, sd: float, sd_quality: float) -> None:
    names, assume = [f"m{k}" for k in range(models)], Assumptions(sd=sd, sd_quality=sd_quality)
    row = plan(None, Target(), models=names, assume=assume, repeats=(1,)).iloc[0]
    n = int(6 * np.ceil(row["clusters"] / 6))
    told = prospects(n, None, Target(), models=names, assume=assume).iloc[0]["power"]
    assert told >= 0.8
    assert _said(n, sd, float(row["sd_quality"]), 2 * models, 500) == pytest.approx(told, abs=0.05 + 2 * 0.018)


def test_what_a_planned_size_can_find_agrees_with_what_it_needs() -> None:
    """At the planned number of clusters the power is the wished one, and one cluster less falls short."""
    assume = Assumptions(sd=0.4, sd_quality=0.2)
    row = plan(None, Target(), repeats=(1,), assume=assume).iloc[0]
    for name, power in (("clusters_cost", "cost_power"), ("clusters_quality", "quality_power"), ("clusters", "power")):
        enough, short = (prospects(int(row[name]) - less, None, Target(), assume=assume).iloc[0] for less in (0, 1))
        assert enough[power] >= 0.8 > short[power]
    at_needed = prospects(int(row["clusters"]), None, Target(), assume=assume).iloc[0]
    assert at_needed["mde_ratio"] == pytest.approx(0.8, abs=0.01)


def test_the_power_of_saying_saves_is_below_that_of_each_part() -> None:
    row = prospects(48, None, Target(), models=["m1"]).iloc[0]
    assert row["power"] < min(row["cost_power"], row["quality_power"])
    several = prospects(48, None, Target(), models=["m1", "m2", "m3", "m4"]).iloc[0]
    assert several["quality_power"] > row["quality_power"]
    # where the answers alone fall short of the power, no saving is large enough
    assert np.isnan(prospects(18, None, Target(), models=["m1"]).iloc[0]["mde_ratio"])


def test_a_size_below_the_fewest_clusters_never_says_saves() -> None:
    """However sure each test would be: what so few clusters show is said of their files only."""
    assume = Assumptions(sd=0.3, sd_quality=0.1)
    enough, few = (prospects(48, None, Target(min_clusters=n), assume=assume).iloc[0] for n in (48, 49))
    assert enough["power"] > 0.5
    assert few["power"] == 0
    assert np.isnan(few["mde_ratio"])
    assert few["cost_power"] == enough["cost_power"]


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
