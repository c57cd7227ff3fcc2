"""What a request is charged: failures, caps, the whole bill, and the order in which arms were asked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ai_dev_tools.benchmark.analysis.bills import bill, with_floor
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from support.invented import decide, declare, invent, tools, verdicts

SEEN = [
    "score",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "time_to_first_token_s",
]


def fail(samples: pd.DataFrame, rows: pd.Series[bool], error: str) -> pd.DataFrame:
    """These requests failed; what they read and wrote is not known, how long they took is."""
    samples = samples.copy()
    samples.loc[rows, SEEN] = np.nan
    samples.loc[rows, ["status", "error_class"]] = ["failed", error]
    return samples


# ------------------------------------------------------------------------------------------ failures


@pytest.mark.parametrize("error", ["context_overflow", "model", "malformed_response", "tool"])
def test_what_an_arm_causes_itself_costs_its_time_and_the_baselines_request(error: str) -> None:
    samples = invent(n=20)
    samples.loc[tools(samples), "tool_s"] = 2.0
    row = Samples.prepare(fail(samples, tools(samples) & (samples["sample"] == 3), error)).frame
    failed, helper = (
        row[(row["approach"] == arm) & (row["sample"] == 3) & (row["task"] == "a")].iloc[0]
        for arm in ("tools", "baseline")
    )
    assert (failed["dropped"], failed["fell_back"]) == ("", True)
    assert failed["tokens_low"] == helper["tokens_low"]
    assert failed["time_low"] == pytest.approx(helper["time_low"] + 2.0 + failed["attempts_s"])
    assert failed["quality"] == helper["quality"]


def test_a_measurement_that_is_taken_over_brings_its_flags() -> None:
    """What the baseline took while another program was busy does not count for the arm that falls back to it either."""
    samples = invent(n=20)
    samples.loc[(samples["approach"] == "baseline") & (samples["sample"] == 3), "other_cpu_s"] = 1000.0
    table = Samples.prepare(fail(samples, tools(samples) & (samples["sample"].isin([3, 4])), "tool")).frame
    failed = table[table["fell_back"]].set_index("sample")
    assert set(failed.loc[3, "void_time"]) == {True} and set(failed.loc[3, "why_time"]) == {"cpu_contention"}
    assert set(failed.loc[4, "void_time"]) == {False}


def test_a_tool_whose_hardest_prompts_overflow_is_charged_for_them() -> None:
    """Ratio 0.94 where it works; 8 % overflow. Dropping these pairs says "cheaper", charging them does not."""
    samples = invent(n=50, tasks=("a", "b"), ratio=0.85, noise=0.05)
    base = samples[samples["approach"] == "baseline"].set_index(["task", "sample"])["total_tokens"]
    hardest = set(base[base >= base.quantile(0.92)].index)
    rows = tools(samples) & pd.Series([key in hardest for key in zip(samples["task"], samples["sample"], strict=True)])
    lost, own = (decide(fail(samples, rows, error)) for error in ("connection", "context_overflow"))
    assert lost["dropped"] == pytest.approx(0.08)
    assert own["dropped"] == 0
    assert own["fell_back"] == pytest.approx(0.08)
    assert own["ratio"] == pytest.approx(lost["ratio"] ** 0.92, abs=0.01)
    assert own["bill_ratio"] > lost["bill_ratio"] + 0.02


@pytest.mark.parametrize("error", ["connection", "overloaded", "timeout", "runner", "interrupted", "configuration"])
def test_what_nobody_caused_themselves_is_dropped(error: str) -> None:
    row = decide(fail(invent(n=20), tools(invent(n=20)) & (invent(n=20)["sample"] == 0), error))
    assert (row["dropped"], row["fell_back"]) == (pytest.approx(3 / 60), 0)


@pytest.mark.parametrize("arm", ["baseline", "no_context"])
def test_baseline_and_floor_have_nothing_to_fall_back_to(arm: str) -> None:
    samples = invent(n=20)
    table = Samples.prepare(
        fail(samples, (samples["approach"] == arm) & (samples["sample"] == 0), "context_overflow")
    ).frame
    failed = table[(table["approach"] == arm) & (table["sample"] == 0)]
    assert (failed["dropped"] == "failed: context_overflow").all()
    assert failed["tokens_low"].isna().all()


# ------------------------------------------------------------------------------------------ caps


@pytest.mark.parametrize("reason", ["length", "loop"])
def test_an_answer_cut_at_the_users_cap_costs_what_was_paid(reason: str) -> None:
    samples = invent(n=20)
    samples.loc[tools(samples) & (samples["sample"] < 2), "done_reason"] = reason
    for outcome in ("tokens", "time"):
        row, whole = decide(samples, outcome), decide(invent(n=20), outcome)
        assert row["verdict"] == "saves"
        assert (row["ratio"], row["high"]) == (whole["ratio"], whole["high"])
        assert row["censored"] == pytest.approx(0.1)
        assert row["high_uncapped"] > row["high"]
        assert row["low_uncapped"] <= row["low"] * 1.05


def test_a_verdict_that_rests_on_the_cap_alone_says_so() -> None:
    samples = invent(n=20)
    samples.loc[tools(samples) & (samples["sample"] < 10), "done_reason"] = "length"
    row = decide(samples)
    assert row["verdict"] == "saves"
    assert "50 % of pairs have an answer that was cut at the cap" in row["reasons"]
    assert row["high_uncapped"] > 1
    few = samples.assign(done_reason=samples["done_reason"].where(samples["sample"] < 1, "stop"), num_ctx=900)
    assert "cut at the cap" not in decide(few)["reasons"]


def test_an_answer_that_looped_counts_what_was_seen_and_could_have_filled_the_window() -> None:
    samples = invent(n=20)
    looped = tools(samples) & (samples["sample"] < 10)
    read = samples.loc[looped, "input_tokens"].to_numpy()
    samples.loc[looped, ["done_reason", "input_tokens", "total_tokens", "output_tokens"]] = ["loop", None, None, 40]
    cost = Samples.prepare(samples).frame
    seen = cost[(cost["done_reason"] == "loop")]
    assert seen["censored"].all()
    assert (seen["tokens_open"] == seen["num_ctx"]).all()
    assert (seen["tokens_high"] == seen["tokens_low"]).all()
    assert (seen["tokens_low"] >= 40).all()
    assert (seen["tokens_low"] <= read.max() + 40).all()


def test_an_unknown_window_leaves_a_cut_off_value_without_limit() -> None:
    samples = invent(n=20).assign(num_ctx=None)
    cut = tools(samples) & (samples["sample"] == 0)
    for outcome in ("tokens", "time"):
        capped = decide(samples.assign(done_reason=samples["done_reason"].mask(cut, "length")), outcome)
        assert np.isinf(capped["high_uncapped"])
        row = decide(samples.assign(status=samples["status"].mask(cut, "timeout")), outcome)
        assert np.isinf(row["high"])
        assert row["verdict"] == "inconclusive"
        assert "no upper limit" in row["sentence"]


# ------------------------------------------------------------------------------------------ the bill


def heavy_tail(rng: np.random.Generator, models: int, clusters: int) -> bool:
    """Whether any model's bill seems surely below 1; ratios are 0.6, but 20 in 3 % of cases: a true bill of 1.18."""
    draws = []
    for _ in range(models):
        reference = np.exp(0.3 * rng.standard_normal(clusters))
        ratio = np.where(rng.random(clusters) < 0.03, 20.0, 0.6 * np.exp(0.1 * rng.standard_normal(clusters)))
        draws.append(bill(ratio * reference, reference, np.arange(clusters)))
    return any(one.ratio < 1 and one.p_below_one() <= 0.04 for one in with_floor(draws))


@pytest.mark.parametrize("clusters", [36, 72, 120])
def test_a_bill_that_rare_expensive_cases_decide_is_not_said_to_be_smaller(clusters: int) -> None:
    rng = np.random.default_rng(clusters)
    wrong = np.mean([heavy_tail(rng, 4, clusters) for _ in range(1000)])
    assert wrong <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 1000)


def test_the_bound_of_a_bill_covers_it_as_often_as_it_says() -> None:
    rng, missed = np.random.default_rng(1), 0
    for _ in range(1500):
        reference = np.exp(0.6 * rng.standard_normal(40))
        own = 0.7 * reference * np.exp(0.4 * rng.standard_normal(40) - 0.08)
        missed += bill(own, reference, np.arange(40)).bound("high", 0.05) < 0.7
    assert missed / 1500 <= 0.075


def test_a_bill_that_one_case_could_turn_is_uncertain() -> None:
    samples = invent(n=20, ratio=0.35)
    long = (samples["sample"] == 0) & (samples["task"] != "c")
    samples.loc[long, "input_tokens"] = np.where(tools(samples[long]), 8000, 4000)
    samples["total_tokens"] = samples["input_tokens"] + samples["output_tokens"]
    row = decide(samples)
    assert row["bill_ratio"] < 1 < row["bill_high"]
    assert row["direction"] == "cheaper"
    assert row["verdict"] == "inconclusive"
    assert "saves per case, bill uncertain" in row["reasons"]


def test_a_plain_saving_has_a_bill_that_is_plain_too() -> None:
    row = decide(invent(n=8, noise=0.4))
    assert row["verdict"] == "saves" or "bill" not in row["reasons"]
    assert row["bill_low"] < row["bill_ratio"] < row["bill_high"] < 1


# ------------------------------------------------------------------------------------------ order


def always_first(samples: pd.DataFrame, *, warm_up: float = 1.3) -> pd.DataFrame:
    """The baseline is asked first in each case, and the first request of a case takes longer."""
    place = samples["approach"].map({"baseline": 0, "no_context": 1, "tools": 2}).astype(int)
    samples = samples.assign(order=samples["sample"] * 3 + place, started_at=None)
    first = samples["approach"] == "baseline"
    for name in ("duration_s", "attempts_s"):
        samples[name] = samples[name].where(~first, samples[name] * warm_up)
    return samples


def test_arms_that_did_not_take_turns_get_no_verdict_on_time() -> None:
    samples = always_first(invent(n=12, tasks=tuple("abcdef"), ratio=1.0))
    time = decide(samples, "time")
    assert time["ratio"] < 0.8
    assert time["verdict"] == "invalid"
    assert "baseline was asked earlier, by 2.00 places" in time["reasons"]
    assert decide(samples)["verdict"] == "inconclusive"
    assert "asked earlier" not in decide(samples)["reasons"]


@pytest.mark.parametrize("seed", range(5))
def test_an_order_drawn_at_random_is_uneven_by_chance_only(seed: int) -> None:
    samples = invent(n=12)
    draw = np.random.default_rng(seed).random(len(samples))
    place = pd.Series(draw).groupby([samples["task"], samples["sample"]]).rank().astype(int) - 1
    row = decide(samples.assign(order=samples["sample"] * 3 + place, started_at=None), "time")
    assert row["verdict"] == "saves"


@pytest.mark.parametrize("n", [3, 4, 5, 7])
def test_turns_that_do_not_come_out_even_are_turns(n: int) -> None:
    table = verdicts(*(lambda s: (s, [declare(s)]))(invent(n=n, tasks=tuple("abcdef"))))
    assert not table.loc[table["task"] == ALL, "reasons"].str.contains("asked earlier").any()


def test_where_the_order_was_not_recorded_it_is_not_judged() -> None:
    row = decide(invent(n=16).assign(order=None), "time")
    assert "asked earlier" not in row["reasons"]
