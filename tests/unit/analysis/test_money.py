"""Money is an outcome beside tokens and time wherever a plan has prices, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ai_dev_tools.benchmark.analysis.comparison import compare
from ai_dev_tools.benchmark.analysis.decomposition import break_even, decompose
from ai_dev_tools.benchmark.analysis.metrics import compute_metrics
from ai_dev_tools.benchmark.analysis.money import with_prices
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.comparison.gate import judge_gate
from ai_dev_tools.benchmark.comparison.run import StoredRun
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.plugins import catalogue
from ai_dev_tools.benchmark.records.plan import DeclaredPlan, Plan, parse_plans
from ai_dev_tools.benchmark.records.prices import Rates
from ai_dev_tools.benchmark.reporting.build import build_report
from ai_dev_tools.benchmark.reporting.data import RunData, plain_samples
from ai_dev_tools.benchmark.reporting.document import Report
from support.invented import decide, declare, invent, verdicts
from support.report_runs import everything
from support.repository import ROOT

PRICES: dict[str, Any] = {"currency": "USD", "models": {"m1": {"input": 1.0, "output": 4.0}}}
OUTCOMES = ("tokens", "time", "money")


def rates(**changed: float) -> dict[str, Rates]:
    return {"m1": Rates(**{"input": 1.0, "output": 4.0} | changed)}


def priced(samples: pd.DataFrame, currency: str = "USD", **changed: float) -> pd.DataFrame:
    return with_prices(samples, rates(**changed), currency)


def with_plan(samples: pd.DataFrame, outcomes: tuple[str, ...] = OUTCOMES, **more: Any) -> DeclaredPlan:
    return declare(samples, outcomes=outcomes, **{"prices": PRICES} | more)


# ------------------------------------------------------------------------------------------ what a sample costs


def costs(rows: pd.DataFrame, **prices: float) -> pd.DataFrame:
    return Samples.prepare(priced(rows, **prices)).frame


def test_money_is_tokens_at_their_prices() -> None:
    rows = invent(n=4)
    found = costs(rows)
    assert found["money_low"].to_numpy() == pytest.approx((found["input_tokens"] + 4 * found["output_tokens"]) / 1e6)
    assert (found["money_low"] == found["money_high"]).all()


def test_cached_tokens_are_priced_as_cached_only_where_the_server_reports_them() -> None:
    rows = invent(n=2, tasks=("a",))
    rows["input_tokens"], rows["output_tokens"], rows["total_tokens"] = 1000, 10, 1010
    rows["prompt_cached_tokens"] = pd.array([600, None, 5000, 0, 0, 0], dtype="Int64")
    by_sample = costs(rows, cached_input=0.1).set_index("digest")["money_low"]
    reported, silent, impossible = (by_sample[digest] for digest in rows["digest"][:3])
    assert reported == pytest.approx((400 * 1.0 + 600 * 0.1 + 10 * 4) / 1e6)
    assert silent == pytest.approx((1000 * 1.0 + 10 * 4) / 1e6)
    assert impossible == pytest.approx((1000 * 0.1 + 10 * 4) / 1e6), "never more than the prompt has"
    assert costs(rows).set_index("digest")["money_low"][rows["digest"][0]] == pytest.approx(1040 / 1e6)


def test_an_hour_is_shared_by_the_requests_in_flight_and_the_tool_pays_for_its_own_time() -> None:
    rows = invent(n=2, tasks=("a",)).assign(in_flight=4, attempts_s=8.0, duration_s=8.0, tool_s=3.0)
    found = costs(rows, input=0.0, output=0.0, per_hour=3600.0)
    assert found["money_machine"].to_numpy() == pytest.approx(2.0)
    assert found["money_tool"].to_numpy() == pytest.approx(3.0)
    assert found["money_low"].to_numpy() == pytest.approx(5.0)


def test_what_was_cut_off_is_an_interval_and_an_unknown_limit_has_no_end() -> None:
    rows = invent(n=2, tasks=("a",))
    rows.loc[0, ["status", "output_tokens", "total_tokens"]] = ["timeout", None, None]
    rows.loc[1, ["status", "output_tokens", "total_tokens", "num_ctx"]] = ["timeout", None, None, None]
    found = costs(rows).set_index("digest")
    bounded, endless = (found.loc[digest] for digest in rows["digest"][:2])
    read = float(rows.loc[0, "input_tokens"])
    assert bounded["money_low"] == pytest.approx(read / 1e6)
    assert bounded["money_high"] == pytest.approx((read + 4 * (8192 - read)) / 1e6)
    assert endless["money_high"] == np.inf
    assert found["money_low"].notna().all()


def test_money_is_void_where_what_it_is_computed_from_is() -> None:
    rows = invent(n=4)
    rows.loc[0, "output_tokens"] = None
    rows.loc[0, "total_tokens"] = None
    rows.loc[1, "load_s"] = 30.0
    by_token, by_hour = costs(rows), costs(rows, input=0.0, output=0.0, per_hour=1.0)
    token = by_token.set_index("digest")["void_money"]
    hour = by_hour.set_index("digest")[["void_money", "why_money"]]
    first, second = rows["digest"][:2]
    assert (token[first], token[second]) == (True, False)
    assert (hour["void_money"][first], hour["void_money"][second]) == (False, True)
    assert hour["why_money"][second] == "model_loaded"


# ------------------------------------------------------------------------------------------ claims


def test_a_run_with_prices_gets_a_verdict_on_money() -> None:
    samples = invent(n=16)
    row = decide(priced(samples), "money", [with_plan(samples)])
    assert row["verdict"] == "saves"
    assert "saves money" in row["sentence"]
    assert "% less (ratio" in row["sentence"]
    tokens = decide(samples, "tokens", [declare(samples)])
    assert row["ratio"] > tokens["ratio"], "answers cost four times as much as prompts, and are no shorter"
    assert 0 < row["bill_low"] < row["bill_ratio"] < row["bill_high"] < 1


def test_the_quality_gate_holds_for_money_too() -> None:
    samples = invent(n=16, quality={"tools": 0.4})
    row = decide(priced(samples), "money", [with_plan(samples)])
    assert row["verdict"] == "inconclusive"
    assert "quality" in row["reasons"]


def test_every_outcome_that_is_claimed_is_one_of_the_family() -> None:
    samples = invent(n=16)
    two, three = (
        decide(priced(samples), "tokens", [with_plan(samples, outcomes)]) for outcomes in (OUTCOMES[:2], OUTCOMES)
    )
    assert three["p_adjusted"] == pytest.approx(three["p"] * 3)
    assert two["p_adjusted"] == pytest.approx(two["p"] * 2)


def test_prices_that_are_changed_afterwards_make_claims_on_money_exploratory_and_no_others() -> None:
    samples = invent(n=16)
    first = with_plan(samples)
    dearer = {"currency": "USD", "models": {"m1": {"input": 1.0, "output": 5.0}}}
    later = with_plan(samples, plan="p2", prices=dearer)
    table = priced(samples, output=5.0)
    money, tokens = (decide(table, outcome, [first, later]) for outcome in ("money", "tokens"))
    assert (money["label"], money["verdict"]) == ("exploratory", "inconclusive")
    assert "the price of 'm1' changed" in money["reasons"]
    assert (tokens["label"], tokens["verdict"], tokens["look"]) == ("planned", "saves", 1)


def test_prices_that_come_after_the_samples_do_so_too() -> None:
    samples = invent(n=16)
    plans = [declare(samples), with_plan(samples, plan="p2")]
    money, tokens = (decide(priced(samples), outcome, plans) for outcome in ("money", "tokens"))
    assert money["label"] == "exploratory"
    assert "prices came after it" in money["reasons"]
    assert (tokens["label"], tokens["verdict"], tokens["look"]) == ("planned", "saves", 1)


def test_another_edition_of_the_list_with_the_same_prices_changes_nothing() -> None:
    samples = invent(n=16)
    sourced = {"currency": "USD", "models": {"m1": {"input": 1.0, "output": 4.0, "source": "another edition"}}}
    row = decide(priced(samples), "money", [with_plan(samples), with_plan(samples, plan="p2", prices=sourced)])
    assert (row["label"], row["look"]) == ("planned", 2)


def test_a_claim_on_money_without_prices_says_that_nothing_can_be_said() -> None:
    samples = invent(n=8)
    row = decide(samples, "money", [declare(samples, outcomes=OUTCOMES)])
    assert row["verdict"] == "inconclusive"
    assert "money is missing" in row["reasons"]


# ------------------------------------------------------------------------------------------ tables


def test_the_parts_of_the_difference_add_up_to_it() -> None:
    samples = priced(invent(n=12).assign(tool_s=1.0), per_hour=0.4, cached_input=0.1)
    table = decompose(samples, "tools")
    part = table[(table["unit"] == "USD") & (table["task"] == ALL)].drop_duplicates("component")
    assert list(part["component"]) == ["input", "cached", "output", "machine", "tool"]
    assert part["share_percent"].sum() == pytest.approx(100)
    frame = Samples.prepare(samples).frame
    means = frame.groupby("approach", observed=True)["money"].mean()
    assert part["approach_mean"].sum() == pytest.approx(means["tools"], rel=0.05)


def test_break_even_is_in_money_too_where_the_tools_time_costs_something() -> None:
    samples = invent(n=12)
    samples.loc[samples["approach"] == "tools", "tool_s"] = 2.0
    row = break_even(priced(samples, input=0.0, output=0.0, per_hour=0.4), "tools").iloc[-1]
    assert row["uses_money"] == row["uses"], "where time alone costs something, both are one"
    assert row["tool_money"] == pytest.approx(2.0 * 0.4 / 3600)
    free = break_even(priced(samples), "tools").iloc[-1]
    assert free["uses_money"] == 1
    assert "no price per hour" in free["money_note"]


def test_without_an_interval_nothing_is_said_of_how_long_paying_back_may_take() -> None:
    samples = invent(n=3, tasks=("a",), per_cluster=3)
    samples.loc[samples["approach"] == "tools", "tool_s"] = 2.0
    row = break_even(priced(samples, input=0.0, output=0.0, per_hour=0.4), "tools").iloc[-1]
    assert np.isnan(row["uses_money_high"])
    assert row["money_note"].startswith("no interval: ")


def test_metrics_are_in_the_currency() -> None:
    table = compute_metrics(priced(invent(n=6), currency="EUR"))
    found = table[table["metric"].str.startswith("money")]
    assert set(found["metric"]) == {"money_sum", "money_mean", "money_per_point"}
    assert set(found["unit"]) == {"EUR"}


def test_without_prices_nothing_speaks_of_money() -> None:
    samples = invent(n=6)
    assert "money" not in set(compare(samples, "tools")["comparison"])
    assert not compute_metrics(samples)["metric"].str.contains("money").any()
    assert set(decompose(samples, "tools")["unit"]) == {"s", "tokens"}
    assert not [name for name in break_even(samples, "tools").columns if "money" in name]
    assert "money" not in set(verdicts(samples, [])["outcome"])
    with pytest.raises(ConfigurationError, match="these samples have no prices"):
        compare(samples, "tools", comparisons=["money"])


def test_definitions_have_money_where_samples_do() -> None:
    names = {row["name"] for row in catalogue()}
    assert {"money", "money_mean"} <= names


# ------------------------------------------------------------------------------------------ runs side by side, gate


def test_the_gate_judges_money_at_the_prices_of_each_run() -> None:
    before, now = (priced(invent(n=12, seed=seed)) for seed in (0, 0))
    now = now.assign(price_input=2 * now["price_input"], price_output=2 * now["price_output"])
    row = judge_gate(StoredRun("now", now), StoredRun("before", before), {"money": 1.05}, resamples=199).iloc[0]
    assert row["verdict"] == "worse"
    assert row["value"] == pytest.approx(2.0)


@pytest.mark.parametrize("other", [invent(n=6), priced(invent(n=6), currency="EUR")], ids=["none", "another currency"])
def test_a_gate_on_money_needs_one_currency(other: pd.DataFrame) -> None:
    now = priced(invent(n=6)) if "currency" in other else invent(n=6)
    with pytest.raises(ConfigurationError, match="the gate cannot compare money"):
        judge_gate(StoredRun("now", now), StoredRun("before", other), {"money": 1.05})


# ------------------------------------------------------------------------------------------ plans


def test_stored_plans_keep_their_hashes() -> None:
    ledger = ROOT / "tests" / "recorded" / "plans" / "plans.jsonl"
    for plan in parse_plans(ledger.read_text().splitlines()):
        assert plan.prices is None
        assert plan.digest == plan.plan


def test_prices_are_part_of_the_hash() -> None:
    samples = invent(n=4)
    plain, with_prices_, other = (
        declare(samples, **more).digest for more in ({}, {"prices": PRICES}, {"prices": PRICES | {"currency": "EUR"}})
    )
    assert len({plain, with_prices_, other}) == 3
    assert Plan.from_content(with_plan(samples).content()).digest == with_plan(samples).digest


# ------------------------------------------------------------------------------------------ the report


def report_texts(samples: pd.DataFrame, plan: DeclaredPlan) -> dict[str, str]:
    return everything(report(samples, plan))


def report(samples: pd.DataFrame, plan: DeclaredPlan) -> Report:
    prepared = Samples.prepare(samples)
    data = RunData(
        samples=plain_samples(samples),
        metrics=compute_metrics(prepared),
        comparisons=compare(prepared, "tools", resamples=199),
        costs=decompose(prepared, "tools"),
        break_even=break_even(prepared, "tools"),
        verdicts=verdicts(prepared, [plan], resamples=199),
        plans=[plan],
        about=about(),
    )
    return build_report(data)


def about() -> Any:
    from ai_dev_tools.benchmark.records.about import RunAbout

    return RunAbout()


def test_every_format_of_the_report_says_what_money_was_saved(tmp_path: Path) -> None:
    samples = invent(n=12)
    texts = report_texts(priced(samples), with_plan(samples))
    for name, text in texts.items():
        assert "money" in text.lower(), name
    plain = report_texts(samples, declare(samples))
    for name, text in plain.items():
        assert "money" not in text.lower(), name


def test_the_figure_of_the_cost_shows_what_money_is_made_of_and_only_with_prices() -> None:
    samples = invent(n=12)
    (cost,) = (figure for figure in report(priced(samples), with_plan(samples)).figures if figure.id == "cost")
    shown = cost.data[cost.data["panel"] == "USD per 1,000 requests"]
    assert set(shown["part"]) == {"prompt tokens", "generated tokens"}, "nothing was cached, and time costs nothing"
    arm = samples[(samples["approach"] == "tools") & (samples["status"] == "completed")]
    parts = shown[shown["bar"].str.startswith("tools")].set_index("part")["value"]
    assert parts["prompt tokens"] == pytest.approx(arm["input_tokens"].mean() / 1e3)
    assert parts["generated tokens"] == pytest.approx(4 * arm["output_tokens"].mean() / 1e3)
    assert "money" in cost.alt
    (plain,) = (figure for figure in report(samples, declare(samples)).figures if figure.id == "cost")
    assert list(dict.fromkeys(plain.data["panel"])) == [
        name for name in dict.fromkeys(cost.data["panel"]) if "USD" not in name
    ]


# ------------------------------------------------------------------------------------------ thoughts


def test_thoughts_are_shown_where_a_server_counts_them_and_nowhere_else() -> None:
    samples = invent(n=6)
    plan = declare(samples)
    thinking = samples.assign(reasoning_tokens=12)
    found = compute_metrics(thinking)
    means = found[found["metric"] == "reasoning_tokens_mean"]["value"]
    assert set(means) == {12.0}
    assert "reasoning_tokens_mean" not in set(compute_metrics(samples)["metric"])
    assert "of which thoughts" in report_texts(thinking, plan)["txt"]
    assert "thoughts" not in report_texts(samples, plan)["txt"]
