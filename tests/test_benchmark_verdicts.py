"""Verdicts read as the protocol: what earns each word, and what takes it away."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from invented import declare, invent

from ai_dev_tools.benchmark.analysis.comparison import compare
from ai_dev_tools.benchmark.analysis.decomposition import break_even, decompose, efficiency_change
from ai_dev_tools.benchmark.analysis.sampletable import ALL
from ai_dev_tools.benchmark.analysis.verdicts import WORDS, judge, verdicts
from ai_dev_tools.benchmark.errors import ConfigurationError


def decide(samples: pd.DataFrame, endpoint: str = "tokens", plans: list[dict[str, object]] | None = None) -> pd.Series:
    """The primary verdict of one endpoint."""
    table = verdicts(samples, [declare(samples)] if plans is None else plans)
    return table[(table["endpoint"] == endpoint) & (table["task"] == ALL)].iloc[0]


def tools(samples: pd.DataFrame) -> pd.Series:
    return samples["approach"] == "tools"


# ------------------------------------------------------------------------------------------ the four words


def test_cheaper_at_equal_quality_with_enough_cases_saves() -> None:
    row = decide(invent(n=16))
    assert row["verdict"] == "saves"
    assert row["high"] < 0.95
    assert row["change_percent"] == pytest.approx(100 * (1 - row["ratio"]))
    assert "saves tokens" in row["sentence"]
    assert row["scope"] == "all 3 tasks"


def test_dearer_costs_whatever_the_quality() -> None:
    row = decide(invent(n=16, ratio=1.4, quality={"tools": 0.95}))
    assert row["verdict"] == "costs"
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
    assert np.isfinite([row["mde_ratio"], row["power"]]).all()


def test_fewer_than_six_clusters_describe_these_files_only() -> None:
    row = decide(invent(n=30, tasks=("a",), cases=10, per_cluster=2))
    assert row["clusters"] == 5
    assert row["verdict"] == "inconclusive"
    assert "these files only" in row["reasons"]


# ------------------------------------------------------------------------------------------ quality


def test_one_of_a_thing_is_not_spelt_as_many() -> None:
    sentence = decide(invent(n=2, tasks=("a",), cases=1))["sentence"]
    assert "(a, the only task)" in sentence
    assert "2 pairs, 1 case, 1 cluster)" in sentence


def test_a_worse_answer_does_not_save() -> None:
    row = decide(invent(n=16, quality={"tools": 0.5}))
    assert row["verdict"] == "inconclusive"
    assert "quality unproven" in row["reasons"]
    assert not row["quality_passed"]


def test_one_ruined_task_vetoes_all() -> None:
    samples = invent(n=30, tasks=tuple("abcdef"))
    ruined = tools(samples) & (samples["task"] == "f")
    samples.loc[ruined, "score"] -= 0.3
    samples.loc[tools(samples) & (samples["task"] != "f"), "score"] += 0.05
    row = decide(samples)
    assert row["verdict"] == "inconclusive"
    assert "vetoed by f" in row["reasons"]


def test_a_task_whose_answers_are_not_scored_keeps_the_whole_from_saving() -> None:
    samples = invent(n=30, tasks=tuple("abcdef"))
    assert decide(samples)["verdict"] == "saves"
    samples.loc[samples["task"] == "f", "score"] = np.nan
    row = decide(samples)
    assert row["verdict"] == "inconclusive"
    assert "quality unknown in f" in row["reasons"]


@pytest.mark.parametrize("advantage", [0.0, 0.04, 0.3])
def test_a_tool_that_prints_nothing_never_saves(advantage: float) -> None:
    samples = invent(
        n=20, tasks=tuple("abcdef"), quality={"baseline": 0.4 + advantage, "tools": 0.4, "no_context": 0.4}
    )
    row = decide(samples)
    assert row["direction"] == "cheaper"
    assert row["verdict"] == "inconclusive"


def test_where_the_baseline_only_guesses_equal_quality_means_nothing() -> None:
    row = decide(invent(n=20, quality={"baseline": 0.4, "tools": 0.4, "no_context": 0.4}))
    assert "does not beat no_context" in row["reasons"]


def test_without_a_floor_arm_nothing_saves() -> None:
    row = decide(invent(n=20, approaches=("baseline", "tools")))
    assert row["verdict"] == "inconclusive"
    assert "no_context did not run" in row["reasons"]


def test_output_of_the_wrong_case_never_saves() -> None:
    samples = invent(n=20, approaches=("baseline", "no_context", "mismatched"))
    samples.loc[samples["approach"] == "mismatched", ["input_tokens", "total_tokens"]] //= 3
    row = decide(samples, plans=[declare(samples, arm="mismatched")])
    assert row["direction"] == "cheaper"
    assert row["verdict"] == "inconclusive"


def with_excerpt(length: float, quality: float = 0.7) -> pd.DataFrame:
    """Samples with an excerpt of `length` times the findings' prompt tokens; all but it are answered with 0.7."""
    samples = invent(n=20, approaches=("baseline", "no_context", "excerpt", "tools"), quality={"excerpt": quality})
    found = samples[tools(samples)].set_index(["model", "task", "sample"])["input_tokens"]
    own = samples["approach"] == "excerpt"
    keys = pd.MultiIndex.from_frame(samples.loc[own, ["model", "task", "sample"]])
    samples.loc[own, "input_tokens"] = (found.reindex(keys).to_numpy(dtype=float) * length).round()
    return samples


def test_an_excerpt_that_is_not_of_the_same_length_is_not_compared() -> None:
    row = decide(with_excerpt(1.3))
    assert row["verdict"] == "saves"
    assert np.isnan(row["brevity_p"])
    assert "brevity is not ruled out" in row["reasons"]


def test_what_comes_from_one_file_is_said_of_that_file_only() -> None:
    samples = invent(n=40, tasks=("a",))
    assert decide(samples)["verdict"] == "saves"
    alone = decide(samples, plans=[declare(samples, single_source=["a"])])
    assert alone["verdict"] == "inconclusive"
    assert "this file only" in alone["reasons"]
    several = invent(n=16)
    row = decide(several, plans=[declare(several, single_source=[several["task"].iloc[0]])])
    assert row["verdict"] == "saves"
    assert row["scope"] == f"all 3 tasks; {several['task'].iloc[0]} for one file only"


def test_an_excerpt_that_does_as_well_makes_it_brevity() -> None:
    row = decide(with_excerpt(1.0))
    assert row["verdict"] == "saves"
    assert "brevity, not this tool" in row["sentence"]
    better = decide(with_excerpt(1.0, quality=0.5))
    assert "brevity" not in better["sentence"]


# ------------------------------------------------------------------------------------------ bill, families, tasks


def test_saves_needs_the_bill_to_be_smaller_too() -> None:
    samples = invent(n=20, ratio=0.5)
    huge = tools(samples) & samples["sample"].isin([0, 1])
    samples.loc[huge, "input_tokens"] = 8000
    samples["total_tokens"] = samples["input_tokens"] + samples["output_tokens"]
    row = decide(samples)
    assert row["ratio"] < 1 < row["bill_ratio"]
    assert row["verdict"] == "inconclusive"


def test_the_primary_family_is_holm_over_models_and_endpoints() -> None:
    samples = invent(n=12, models=("m1", "m2"), ratio=0.8, noise=0.3)
    table = verdicts(samples, [declare(samples)])
    primary = table[table["task"] == ALL]
    assert len(primary) == 4
    order = primary.sort_values("p")
    assert order["p_adjusted"].iloc[0] == pytest.approx(min(1, 4 * order["p"].iloc[0]))


def test_tasks_get_a_word_only_after_the_overall_verdict() -> None:
    closed = verdicts(*(lambda s: (s, [declare(s)]))(invent(n=16, ratio=1.0)))
    assert set(closed.loc[closed["task"] != ALL, "verdict"]) == {""}
    assert set(closed.loc[closed["task"] != ALL, "label"]) == {"exploratory"}
    opened = verdicts(*(lambda s: (s, [declare(s)]))(invent(n=40)))
    assert set(opened.loc[opened["task"] != ALL, "verdict"]) == {"saves"}


def test_opposite_tasks_are_mixed() -> None:
    samples = invent(n=30, ratio=0.4, noise=0.05)
    worse = tools(samples) & (samples["task"] == "c")
    samples.loc[worse, "input_tokens"] = samples.loc[worse, "input_tokens"] * 3
    samples["total_tokens"] = samples["input_tokens"] + samples["output_tokens"]
    row = decide(samples)
    assert row["verdict"] == "inconclusive"
    assert "mixed: cheaper on a, b; dearer on c" in row["reasons"]


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


def test_a_ledger_entry_that_is_no_plan_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"plan 1 of the ledger: 'samples'"):
        verdicts(invent(n=3), [declare(invent(n=3), samples=0)])


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
    assert "30% of pairs are flagged" in row["reasons"]
    assert decide(samples, "tokens")["verdict"] == "saves"


def test_arms_that_differ_in_flags_are_invalid() -> None:
    samples = invent(n=20)
    samples.loc[tools(samples) & (samples["sample"] < 3), "load_s"] = 5.0
    row = decide(samples, "time")
    assert row["verdict"] == "invalid"
    assert "the arms' flagged shares differ by 15%" in row["reasons"]


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


def test_capped_output_counts_up_to_the_context_window() -> None:
    samples = invent(n=20)
    samples.loc[tools(samples) & (samples["sample"] < 10), "done_reason"] = "length"
    assert decide(samples)["verdict"] == "inconclusive"
    # the same cut in the baseline cannot make tools look dear
    other = invent(n=20, ratio=1.4)
    other.loc[(other["approach"] == "baseline") & (other["sample"] < 10), "done_reason"] = "length"
    assert decide(other)["verdict"] == "inconclusive"


def test_an_unknown_window_leaves_a_cut_off_value_without_limit() -> None:
    samples = invent(n=20).assign(num_ctx=None)
    samples.loc[tools(samples) & (samples["sample"] == 0), "done_reason"] = "length"
    row = decide(samples)
    assert np.isinf(row["high"])
    assert row["verdict"] == "inconclusive"
    assert "no upper limit" in row["sentence"]


def test_each_verdict_has_its_checks() -> None:
    samples = invent(n=6)
    table, checks = judge(samples, [declare(samples)])
    assert set(checks["check"]) == {
        "dropped pairs",
        "flagged pairs",
        "arms flagged alike",
        "enough clusters",
        "same with flagged pairs",
    }
    assert len(checks[(checks["claim"] == "tokens:tools") & (checks["task"] == ALL)]) == 5
    assert set(table["verdict"]) <= {*WORDS, ""}


# ------------------------------------------------------------------------------------------ bad input

BAD = {
    "no completed sample in an arm": lambda s: _fail(s, tools(s), "connection"),
    "one case only": lambda s: s[s["sample"] == 0],
    "zero tokens": lambda s: s.assign(input_tokens=0, output_tokens=0, total_tokens=0),
    "absent tokens": lambda s: s.assign(input_tokens=None, output_tokens=None, total_tokens=None),
    "all values equal": lambda s: s.assign(input_tokens=70, output_tokens=30, total_tokens=100, score=0.5),
    "infinite durations": lambda s: s.assign(duration_s=np.inf, attempts_s=np.inf),
    "NaN durations": lambda s: s.assign(duration_s=np.nan, attempts_s=np.nan),
    "a single approach": lambda s: s[s["approach"] == "baseline"],
    "an approach missing for some cases": lambda s: s[~tools(s) | (s["sample"] % 2 == 0)],
    "mixed protocols": lambda s: s.assign(protocol=np.where(s["sample"] < 6, 1, 2)),
    "mixed digests": lambda s: s.assign(model_digest=np.where(s["sample"] < 6, "a", "b")),
    "clocks backwards": lambda s: s.assign(started_at=s["started_at"].iloc[::-1].to_numpy()),
    "no scores": lambda s: s.assign(score=None),
    "duplicated rows": lambda s: pd.concat([s, s]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_never_crashes_and_never_pretends(what: str) -> None:
    good = invent(n=12, tasks=("a", "b"))
    samples = BAD[what](good.copy())
    table, _ = judge(samples, [declare(good)])
    primary = table[table["task"] == ALL]
    assert len(primary) == 2
    if what != "duplicated rows":
        bad = primary if "duration" not in what and "clock" not in what else primary[primary["endpoint"] == "time"]
        assert set(bad["verdict"]) <= {"inconclusive", "invalid"}
        assert (bad["reasons"] != "").all()
    numbers = compare(samples, "tools").select_dtypes("number")
    assert not np.isinf(numbers.drop(columns=["low", "high", "change_low", "change_high"]).to_numpy(dtype=float)).any()
    for table in (decompose(samples, "tools"), break_even(samples, "tools"), efficiency_change(samples, "tools")):
        assert (
            table.loc[
                table.iloc[:, 5:]
                .select_dtypes("number")
                .drop(columns=["pairs", "clusters"], errors="ignore")
                .isna()
                .all(axis=1),
                "note",
            ]
            != ""
        ).all()


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
        verdict, checks = judge(table, plans)
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


# ---------------------------------------------------------------------------------- decomposition and break-even


def test_parts_add_up_and_break_even_is_tool_time_over_saving() -> None:
    samples = invent(n=12, ratio=0.5)
    samples.loc[tools(samples), "tool_s"] = 10.0
    parts = decompose(samples, "tools")
    parts = parts[(parts["model"] == ALL) & (parts["task"] == ALL) & (parts["unit"] == "s")].set_index("component")
    pairs = samples.pivot(index=["task", "sample"], columns="approach", values="attempts_s")
    saving = float((pairs["baseline"] - pairs["tools"]).mean())
    assert parts["difference"].sum() == pytest.approx(10.0 - saving)
    assert parts.loc["tool", "difference"] == pytest.approx(10.0)
    assert parts["share_percent"].sum() == pytest.approx(100)
    row = break_even(samples, "tools").iloc[-1]
    assert row["saving_s"] == pytest.approx(saving)
    assert row["uses"] == np.ceil(10.0 / saving)
    assert row["uses_low"] <= row["uses"] <= row["uses_high"]


def test_a_tool_that_saves_no_request_time_never_pays_back() -> None:
    samples = invent(n=12, ratio=1.3)
    samples.loc[tools(samples), "tool_s"] = 1.0
    row = break_even(samples, "tools").iloc[-1]
    assert np.isnan(row["uses"])
    assert row["note"].startswith("never")


def test_models_and_profiles_and_runs_are_compared_over_the_cases_they_share() -> None:
    samples = invent(n=8, models=("m1", "m2"))
    samples.loc[samples["model"] == "m2", ["input_tokens", "total_tokens"]] *= 2
    rows = compare(samples, "m2", "m1", by="model", comparisons=["input_tokens"])
    assert rows["value"].iloc[-1] > 1.5
    other = invent(n=4, cases=8, profile="heavy")
    both = pd.concat([invent(n=8), other])
    shared = compare(both, "heavy", "light", by="profile", comparisons=["tokens"], strata=False).iloc[-1]
    assert (shared["cases"], shared["unpaired"]) == (12, 36)
    runs = pd.concat([invent(n=8).assign(run="old"), invent(n=8, seed=1).assign(run="new")])
    assert compare(runs, "new", "old", by="run", comparisons=["tokens"])["pairs"].max() > 0
    with pytest.raises(ConfigurationError, match="with itself"):
        compare(both, "tools", "tools")
