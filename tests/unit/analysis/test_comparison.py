"""Comparisons, where the cost goes, and break-even: what is put side by side, and over which pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ai_dev_tools.benchmark.analysis.comparison import compare
from ai_dev_tools.benchmark.analysis.decomposition import break_even, decompose
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.errors import ConfigurationError
from support.invented import decide, invent, tools


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


def test_any_two_approaches_have_the_bound_of_the_non_inferiority_test() -> None:
    samples = invent(n=12, models=("m1", "m2"))
    table = compare(samples, "tools", comparisons=["tokens", "quality"], strata=False)
    whole = table[(table["model"] == "m1") & (table["task"] == ALL)].set_index("comparison")["quality_bound"]
    assert whole["quality"] == decide(samples)["quality_bound"]
    assert np.isnan(whole["tokens"])
    models = compare(samples, "m2", "m1", by="model", comparisons=["quality"], strata=False).iloc[-1]
    assert -1 < models["quality_bound"] < models["low"] < models["value"]


def test_thirds_go_by_the_known_sizes_of_a_case() -> None:
    samples = invent(n=18, cases=6, tasks=("a",), noise=0.0)
    base = samples["approach"] == "baseline"
    longest = samples[base].groupby("case")["total_tokens"].mean().idxmax()
    lost = base & (samples["case"] == longest) & (samples["sample"] >= 6)
    samples.loc[lost, ["status", "error_class"]] = ["failed", "connection"]
    samples.loc[lost, ["input_tokens", "output_tokens", "total_tokens", "duration_s", "attempts_s", "score"]] = np.nan
    table = compare(samples, "tools", comparisons=["tokens"])
    thirds = table[table["model"] == "m1"].set_index("stratum")["dropped"]
    assert thirds["largest third"] == 2
    assert thirds["smallest third"] == 0


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


@pytest.mark.parametrize("name", ["tokens", "time"])
def test_what_is_left_out_is_neither_counted_nor_paid(name: str) -> None:
    samples = invent(n=12)
    samples = samples[(samples["task"] != "c") | (samples["sample"] == 0)]
    whole, kept = (
        compare(table, "tools", comparisons=[name], strata=False).iloc[-1]
        for table in (samples, samples[samples["task"] != "c"])
    )
    assert whole["note"] == "1 task with one cluster only is left out"
    names = ["value", "low", "high", "bill_ratio", "pairs", "cases", "clusters"]
    assert whole[names].to_dict() == kept[names].to_dict()
    parts = decompose(samples, "tools")
    assert set(parts.loc[(parts["task"] == ALL) & (parts["component"] == "input"), "note"]) == {whole["note"]}
    samples.loc[tools(samples), "tool_s"] = 2.0
    paid = break_even(samples, "tools").iloc[-1]
    assert (paid["pairs"], paid["note"]) == (kept["pairs"], whole["note"])
