"""Verdicts read as the protocol: what earns each word, and what takes it away."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ai_dev_tools.benchmark.analysis.comparison import compare
from ai_dev_tools.benchmark.analysis.decomposition import break_even, decompose, efficiency_change
from ai_dev_tools.benchmark.analysis.plan_in_force import plan_in_force
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.analysis.verdicts import WORDS, enough_resamples
from ai_dev_tools.benchmark.records.plan import RULES, DeclaredPlan
from ai_dev_tools.benchmark.records.table_files import kind_of
from support.invented import decide, declare, entry, invent, judged, tools, verdicts

# ------------------------------------------------------------------------------------------ the four words


def test_cheaper_at_equal_quality_with_enough_cases_saves() -> None:
    row = decide(invent(n=16))
    assert row["verdict"] == "saves"
    assert row["high"] < 0.95
    assert row["change_percent"] == pytest.approx(100 * (1 - row["ratio"]))
    assert "saves tokens" in row["sentence"]
    assert row["scope"] == "all 3 tasks"


def test_more_expensive_costs_whatever_the_quality() -> None:
    row = decide(invent(n=16, ratio=1.4, quality={"tools": 0.95}))
    assert (row["verdict"], row["direction"]) == ("costs", "more_expensive")
    assert row["low"] > 1 / 0.95


def test_about_the_same_is_inconclusive_and_says_equivalent() -> None:
    row = decide(invent(n=16, ratio=1.0, noise=0.02))
    assert (row["verdict"], row["direction"]) == ("inconclusive", "equivalent")
    assert "equivalent" in row["reasons"]


def test_three_samples_per_task_never_save_and_name_the_n_that_could() -> None:
    row = decide(invent(n=3, tasks=tuple("abcdef")))
    assert (row["verdict"], row["direction"]) == ("inconclusive", "cheaper")
    assert "quality unproven at n = 18" in row["reasons"]
    assert row["clusters_could_decide"] > 18
    assert f"{row['clusters_could_decide']:.0f} clusters" in row["sentence"]
    assert row["power"] < 0.05
    assert np.isnan(row["mde_ratio"])
    assert "if the true ratio is 0.8; no ratio would raise that to 80 %." in row["sentence"]


def test_fewer_than_six_clusters_describe_these_files_only() -> None:
    row = decide(invent(n=30, tasks=("a",), cases=10, per_cluster=2, ratio=0.3, noise=0.01))
    assert row["clusters"] == 5
    assert row["verdict"] == "inconclusive"
    assert "these files only" in row["reasons"]
    assert row["power"] == 0, "no ratio makes such a run say more"
    assert np.isnan(row["mde_ratio"])


def test_one_of_a_thing_is_not_spelt_as_many() -> None:
    sentence = decide(invent(n=2, tasks=("a",), cases=1))["sentence"]
    assert "(a, the only task)" in sentence
    assert "2 pairs, 1 case, 1 cluster)" in sentence


def test_what_comes_from_one_repository_is_said_of_that_repository_only() -> None:
    """Its files are the clusters, and how far the word reaches stands in the scope and the sentence."""
    samples = invent(n=40, tasks=("a",))
    assert decide(samples)["scope"] == "a, the only task"
    alone = decide(samples, plans=[declare(samples, single_source=["a"])])
    assert alone["verdict"] == "saves"
    assert alone["scope"] == "a, the only task; for this repository only"
    assert "(a, the only task; for this repository only) saves tokens" in alone["sentence"]
    several = invent(n=16)
    every = verdicts(several, [declare(several, single_source=["a", "b", "c"])], resamples=999)
    assert every["scope"].to_list()[:2] == ["all 3 tasks; for this repository only", "a, for this repository only"]
    row = decide(several, plans=[declare(several, single_source=["a"])])
    assert row["verdict"] == "saves"
    assert row["scope"] == "all 3 tasks; a for one repository only"


def test_fewer_files_than_six_are_too_few_for_one_repository_too() -> None:
    samples = invent(n=30, tasks=("a",), cases=10, per_cluster=2)
    row = decide(samples, plans=[declare(samples, single_source=["a"])])
    assert (row["verdict"], row["clusters"]) == ("inconclusive", 5)


def test_a_workspace_of_one_project_is_told_how_to_get_a_verdict() -> None:
    row = decide(invent(n=30, tasks=("a",), per_cluster=30))
    assert row["verdict"] == "inconclusive"
    assert "say single_source: true and name their files as clusters" in row["reasons"]


# ------------------------------------------------------------------------------------------ bill, families, tasks


def test_saves_needs_the_bill_to_be_smaller_too() -> None:
    samples = invent(n=20, ratio=0.5)
    huge = tools(samples) & samples["sample"].isin([0, 1])
    samples.loc[huge, "input_tokens"] = 8000
    samples["total_tokens"] = samples["input_tokens"] + samples["output_tokens"]
    row = decide(samples)
    assert row["ratio"] < 1 < row["bill_ratio"]
    assert row["verdict"] == "inconclusive"
    assert np.isnan(row["clusters_could_decide"])


def test_the_primary_family_is_holm_over_models_and_outcomes() -> None:
    samples = invent(n=12, models=("m1", "m2"), ratio=0.8, noise=0.3)
    table = verdicts(samples, [declare(samples)])
    primary = table[table["task"] == ALL]
    assert len(primary) == 4
    order = primary.sort_values("p")
    assert order["p_adjusted"].iloc[0] == pytest.approx(min(1, 4 * order["p"].iloc[0]))


@pytest.mark.parametrize("looks", [1, 3])
def test_an_adjusted_p_value_is_never_below_its_own_and_absent_where_that_is(looks: int) -> None:
    samples = invent(n=12, models=("m1", "m2"), ratio=0.9, noise=0.3)
    table = verdicts(samples, [declare(samples, plan=f"p{k}") for k in range(looks, 0, -1)])
    primary = table[table["task"] == ALL]
    assert (primary["p_adjusted"] >= primary["p"]).all()
    assert primary["p_adjusted"].min() == pytest.approx(min(1, 4 * primary["p"].min()))
    tied = decide(samples.assign(input_tokens=70, output_tokens=30, total_tokens=100))
    assert np.isnan([tied["p"], tied["p_adjusted"]]).all()


def test_a_claim_that_is_new_in_a_later_plan_has_a_first_look_next_to_the_others_second() -> None:
    samples = invent(n=12, ratio=0.85, noise=0.3)
    table = verdicts(samples, [declare(samples, plan="p0", outcomes=("tokens",)), declare(samples)])
    primary = table[table["task"] == ALL].set_index("outcome")
    assert primary["look"].to_dict() == {"tokens": 2, "time": 1}
    assert (primary["alpha"] == 0.05 / 2.0 ** primary["look"]).all()
    assert (primary["p_adjusted"] >= primary["p"]).all()


def test_where_only_the_family_or_the_look_forbids_a_word_the_reason_says_so() -> None:
    samples = invent(n=12, tasks=("a",), ratio=0.85, noise=0.1)
    row = decide(samples, plans=[declare(samples, plan=f"p{k}") for k in (6, 5, 4, 3, 2, 1)])
    assert row["verdict"] == "inconclusive"
    assert row["high"] < 0.95
    assert row["reasons"] == f"the adjusted p-value is {row['p_adjusted']:.3g}, and look 6 allows 0.000781"
    wide = decide(invent(n=12, tasks=("a",), ratio=0.9, noise=0.3))
    assert wide["reasons"] == "the interval reaches the margin of 0.95 or 1.05"


def test_a_late_look_at_many_tasks_can_still_find_what_is_plain() -> None:
    """The resamples of the bootstrap are enough for the smallest level of the largest family."""
    samples = invent(n=60, tasks=tuple("abcdefghijkl"), ratio=0.4)
    table = verdicts(samples, [declare(samples, plan=f"p{k}", outcomes=("tokens",)) for k in (5, 4, 3, 2, 1)])
    assert set(table["direction"]) == {"cheaper"}
    assert table["verdict"].iloc[0] == "saves"


def test_tasks_get_a_word_only_after_the_overall_verdict() -> None:
    closed = verdicts(*(lambda s: (s, [declare(s)]))(invent(n=16, ratio=1.0)))
    assert set(closed.loc[closed["task"] != ALL, "verdict"]) == {""}
    assert set(closed.loc[closed["task"] != ALL, "label"]) == {"exploratory"}
    opened = verdicts(*(lambda s: (s, [declare(s)]))(invent(n=48)))
    assert set(opened.loc[opened["task"] != ALL, "verdict"]) == {"saves"}


def test_opposite_tasks_are_mixed() -> None:
    samples = invent(n=30, ratio=0.4, noise=0.05)
    worse = tools(samples) & (samples["task"] == "c")
    samples.loc[worse, "input_tokens"] = samples.loc[worse, "input_tokens"] * 3
    samples["total_tokens"] = samples["input_tokens"] + samples["output_tokens"]
    row = decide(samples)
    assert row["verdict"] == "inconclusive"
    assert "mixed: cheaper on a, b, but more expensive on c" in row["reasons"]
    assert np.isnan(row["clusters_could_decide"])


# ------------------------------------------------------------------------------------------ plan and peeking


def test_without_a_plan_everything_is_exploratory() -> None:
    row = decide(invent(n=16), plans=[])
    assert (row["label"], row["verdict"]) == ("exploratory", "inconclusive")
    assert "no plan was declared" in row["reasons"]


def test_an_early_look_is_interim() -> None:
    samples = invent(n=16)
    row = decide(samples[samples["sample"] < 10], plans=[declare(samples)])
    assert (row["label"], row["verdict"]) == ("interim", "inconclusive")
    assert (row["present"], row["planned"]) == (90, 144)


def test_samples_older_than_the_plan_make_it_exploratory() -> None:
    samples = invent(n=16)
    samples.loc[samples["sample"] < 4, "plan"] = "p0"
    row = decide(samples)
    assert (row["label"], row["verdict"]) == ("exploratory", "inconclusive")
    assert "36 of 144 samples are older than the plan" in row["reasons"]


def test_samples_beyond_the_plan_do_not_count() -> None:
    samples = invent(n=16)
    row = decide(samples, plans=[declare(samples, samples=12)])
    assert row["pairs"] == 36


def test_every_further_plan_of_a_claim_halves_alpha() -> None:
    samples = invent(n=16)
    plans = [declare(samples, plan=f"p{k}") for k in (3, 2, 1)]
    row = decide(samples, plans=plans)
    assert row["look"] == 3
    assert row["alpha"] == 0.05 / 8
    repeated = decide(samples, plans=[plans[2], plans[2]])
    assert repeated["look"] == 1


# ---------------------------------------------------------------------------------- validity, failures, censoring


def _fail(samples: pd.DataFrame, rows: pd.Series, error: str) -> pd.DataFrame:
    lost = [
        "score",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "duration_s",
        "attempts_s",
        "time_to_first_token_s",
    ]
    samples.loc[rows, lost] = np.nan
    samples.loc[rows, ["status", "error_class"]] = ["failed", error]
    return samples


def test_infrastructure_failures_drop_pairs_and_more_than_a_tenth_is_invalid() -> None:
    samples = invent(n=20)
    few = decide(_fail(samples.copy(), tools(samples) & (samples["sample"] == 0), "connection"))
    assert (few["verdict"], few["pairs"], few["dropped"]) == ("saves", 57, pytest.approx(3 / 60))
    many = decide(_fail(samples.copy(), tools(samples) & (samples["sample"] < 3), "connection"))
    assert many["verdict"] == "invalid"
    assert "lost to infrastructure, mostly failed: connection" in many["reasons"]


def test_a_crashed_tool_costs_its_time_and_the_baseline_request() -> None:
    samples = invent(n=20)
    samples = _fail(samples, tools(samples), "tool")
    samples.loc[tools(samples), "tool_s"] = 2.0
    tokens, time = decide(samples), decide(samples, "time")
    assert tokens["ratio"] == pytest.approx(1.0)
    assert tokens["verdict"] == "inconclusive"
    assert time["ratio"] > 1
    assert time["dropped"] == 0


def test_flagged_pairs_are_removed_and_more_than_a_fifth_is_invalid() -> None:
    samples = invent(n=20)
    samples.loc[tools(samples) & (samples["sample"] < 2), "load_s"] = 5.0
    assert decide(samples, "time")["flagged"] == pytest.approx(0.1)
    assert decide(samples, "time")["verdict"] == "saves"
    samples.loc[samples["approach"].isin(["tools", "baseline"]) & (samples["sample"] < 6), "load_s"] = 5.0
    row = decide(samples, "time")
    assert row["verdict"] == "invalid"
    assert "30 % of pairs are flagged" in row["reasons"]
    assert decide(samples, "tokens")["verdict"] == "saves"


def test_arms_that_differ_in_flags_are_invalid() -> None:
    samples = invent(n=20)
    samples.loc[tools(samples) & (samples["sample"] < 3), "load_s"] = 5.0
    row = decide(samples, "time")
    assert row["verdict"] == "invalid"
    assert "the arms' flagged shares differ by 15 %" in row["reasons"]


def test_a_verdict_that_changes_with_flagged_pairs_is_invalid() -> None:
    samples = invent(n=20, noise=0.05)
    for arm in ("tools", "baseline"):
        rows = (samples["approach"] == arm) & (samples["sample"] < 3)
        samples.loc[rows, "load_s"] = 5.0
    slow = tools(samples) & (samples["sample"] < 3)
    samples.loc[slow, ["duration_s", "attempts_s"]] *= 400
    samples["started_at"] = None
    row = decide(samples, "time")
    assert row["verdict"] == "invalid"
    assert "changes with flagged pairs" in row["reasons"]


def test_timed_out_requests_widen_the_interval_instead_of_disappearing() -> None:
    samples = invent(n=20)
    slow = tools(samples) & (samples["sample"] < 10)
    samples.loc[slow, "status"] = "timeout"
    samples.loc[slow, ["score", "output_tokens", "total_tokens", "input_tokens"]] = np.nan
    row = decide(samples, "time")
    assert row["censored"] == 0.5
    assert row["dropped"] == 0
    assert row["verdict"] == "inconclusive"
    assert row["high"] > 1
    # as many again, with as many cut off, would leave as much open
    assert np.isnan(row["clusters_could_decide"])


def test_each_verdict_has_its_checks() -> None:
    samples = invent(n=6)
    table, checks, _ = judged(samples, [declare(samples)])
    assert set(checks["check"]) == {
        "dropped pairs",
        "flagged pairs",
        "arms flagged alike",
        "arms take turns",
        "enough clusters",
        "same with flagged pairs",
    }
    assert len(checks[(checks["claim"] == "tokens:tools") & (checks["task"] == ALL)]) == 5
    assert set(table["verdict"]) <= {*WORDS, ""}


def test_mixed_digests_are_invalid_in_words() -> None:
    samples = invent(n=12)
    samples["model_digest"] = np.where(samples["sample"] < 5, "a", "b")
    row = decide(samples)
    assert row["verdict"] == "invalid"
    assert "flagged" in row["reasons"]


def test_row_order_changes_no_byte() -> None:
    samples = invent(n=8, models=("m1", "m2"))
    plans = [declare(samples)]
    texts = []
    for table in (samples, samples.sample(frac=1, random_state=2)):
        verdict, checks, _ = judged(table, plans)
        parts = [
            verdict,
            checks,
            compare(table, "tools"),
            decompose(table, "tools"),
            break_even(table, "tools"),
            efficiency_change(table, "tools"),
        ]
        texts.append("".join(part.to_csv(index=False) for part in parts))
    assert texts[0] == texts[1]


def test_every_column_of_numbers_is_read_back_as_numbers() -> None:
    """The reader knows a column by its name; a new one must be named so that it does."""
    samples = invent(n=16, approaches=("baseline", "excerpt", "no_context", "tools"))
    for table in (verdicts(samples, [declare(samples)], resamples=0), compare(samples, "tools", resamples=0)):
        numbers = [name for name in table.columns if pd.api.types.is_float_dtype(table[name].infer_objects())]
        assert [name for name in numbers if table[name].notna().any() and kind_of(name) != "number"] == []


@pytest.mark.parametrize("looks", [1, 3, 5])
def test_twenty_resamples_lie_beyond_the_smallest_level(looks: int) -> None:
    samples = invent(n=6, tasks=("a", "b", "c", "d", "e", "f"), models=("m1",))
    plans = [declare(samples, plan=f"p{k}") for k in range(looks)]
    in_force = plan_in_force(samples, plans, "light")
    smallest = 0.05 / 2**looks / (2 * 2 * 6)
    assert enough_resamples(in_force) * smallest >= 20
    assert enough_resamples(in_force, 0) == 0


def test_what_costs_more_and_answers_better_says_so() -> None:
    row = decide(invent(n=24, ratio=1.4, quality={"tools": 0.9}))
    assert row["verdict"] == "costs"
    assert "its answers are surely better: +0.21 in score" in row["sentence"]
    assert "surely better" not in decide(invent(n=24, ratio=1.4))["sentence"]


@pytest.mark.filterwarnings("error")
def test_bounds_beyond_any_number_are_without_limit_and_no_warning() -> None:
    samples = invent(n=8, tasks=("a",))
    far = tools(samples) & (samples["sample"] == 0)
    for name in ("input_tokens", "total_tokens"):
        samples[name] = samples[name].astype(float).where(~far, 1e20)
    samples["num_ctx"] = 1e200
    row = decide(samples)
    assert row["high"] == np.inf
    assert "no upper limit" in row["sentence"]
    assert np.isposinf(compare(samples, "tools").query("comparison == 'tokens'")["high"]).any()


def test_a_plan_of_earlier_rules_is_judged_by_todays_and_says_so() -> None:
    samples = invent(n=16)
    old = DeclaredPlan.from_content({key: value for key, value in entry(samples).items() if key != "rules"})
    row, now = decide(samples, plans=[old]), decide(samples)
    assert (row["verdict"], row["rules"]) == (now["verdict"], now["rules"]) == ("saves", RULES)
    assert "planned under rules 1 and judged by rules 2" in row["sentence"]
    assert "rules" not in now["sentence"]
