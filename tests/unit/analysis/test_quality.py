"""The quality gate: a cheaper answer counts only where it is shown to be no worse, and to say something at all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ai_dev_tools.benchmark.analysis.clusters import cluster_estimate
from ai_dev_tools.benchmark.analysis.quality import gate_level, superiority_p
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from support.invented import decide, declare, entry, invent, tools, verdicts


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


def test_an_excerpt_that_does_as_well_makes_it_brevity() -> None:
    row = decide(with_excerpt(1.0))
    assert row["verdict"] == "saves"
    assert "brevity, not this tool" in row["sentence"]
    better = decide(with_excerpt(1.0, quality=0.5))
    assert "brevity" not in better["sentence"]


def _vetoed() -> pd.DataFrame:
    samples = invent(n=8)
    samples.loc[tools(samples) & (samples["task"] == "c"), "score"] -= 0.3
    return samples


HOPELESS = {
    "the floor arm did not run": (lambda: invent(n=8, approaches=("baseline", "tools")), "did not run"),
    "the reference guesses": (
        lambda: invent(n=8, quality={"baseline": 0.38, "tools": 0.38, "no_context": 0.4}),
        "the reference does not beat no_context",
    ),
    "the approach guesses": (
        lambda: invent(n=60, quality={"baseline": 0.44, "tools": 0.38, "no_context": 0.4}),
        "own answers do not beat no_context",
    ),
    "a task is ruined": (_vetoed, "vetoed by c"),
    "the loss is beyond the margin": (lambda: invent(n=8, quality={"tools": 0.5}), "quality unproven"),
}


@pytest.mark.parametrize("why", HOPELESS)
def test_no_number_of_clusters_is_named_where_more_of_them_would_not_decide(why: str) -> None:
    make, reason = HOPELESS[why]
    row = decide(make())
    assert (row["verdict"], row["direction"]) == ("inconclusive", "cheaper")
    assert reason in row["reasons"]
    assert "could decide" not in row["sentence"]
    assert np.isnan([row["clusters_could_decide"], row["samples_could_decide"]]).all()


def test_where_the_floor_needs_more_clusters_than_the_rest_their_number_is_named() -> None:
    near = {"baseline": 0.41, "tools": 0.41, "no_context": 0.4}
    row = decide(invent(n=12, tasks=("a",), quality=near, seed=4))
    assert "does not beat no_context" in row["reasons"]
    clear = decide(invent(n=12, tasks=("a",), seed=4))
    assert "quality unproven" in clear["reasons"]
    assert row["clusters_could_decide"] > clear["clusters_could_decide"]
    assert f"About {row['clusters_could_decide']:.0f} clusters" in row["sentence"]


def test_lengths_of_an_excerpt_are_compared_over_pairs_in_which_both_are_known() -> None:
    samples = with_excerpt(1.0)
    lost = (samples["approach"] == "excerpt") & (samples["sample"] % 3 == 0)
    samples.loc[lost, ["input_tokens", "total_tokens"]] = np.nan
    assert np.isfinite(decide(samples)["brevity_p"])


def test_superiority_needs_a_spread_or_clusters_that_all_agree() -> None:
    six = np.arange(6)
    assert superiority_p(cluster_estimate(np.ones(6), six)) == 0.5**6
    assert superiority_p(cluster_estimate(np.zeros(6), six)) == 1.0
    # one cluster in each task: how far they are apart is not known, only that they do not all agree
    apart = cluster_estimate([9.0, 1.0, -1.0, -1.0, -1.0, -1.0], six, six)
    assert apart.estimate > 0
    assert superiority_p(apart) == 1.0


def test_the_quality_of_a_claim_is_judged_once_over_its_models() -> None:
    """Each of four models alone could not show it; together they can, and each row has its own bound beside."""
    samples = invent(n=9, tasks=tuple("ab"), models=("m1", "m2", "m3", "m4"))
    rng = np.random.default_rng(8)
    samples.loc[tools(samples), "score"] = (0.7 + 0.3 * rng.standard_normal(int(tools(samples).sum()))).clip(0, 1)
    table = verdicts(samples, [declare(samples)])
    primary = table[(table["task"] == ALL) & (table["outcome"] == "tokens")]
    assert primary["claim_quality_bound"].nunique() == 1
    assert primary["quality_bound"].nunique() == 4
    assert primary["quality_bound"].mean() < primary["claim_quality_bound"].mean()


def test_the_gate_spends_its_level_over_the_looks() -> None:
    levels = [gate_level(0.05, look) for look in range(1, 60)]
    assert levels[:3] == pytest.approx([0.04, 0.005, 0.0025])
    assert sum(levels) <= 0.05
    samples = invent(n=16)
    row = decide(samples, plans=[declare(samples, plan=f"p{k}") for k in (3, 2, 1)])
    assert row["quality_alpha"] == pytest.approx(0.0025)


def test_gates_of_several_tools_share_the_level() -> None:
    samples = invent(n=12, approaches=("baseline", "no_context", "tools", "tool:b"), quality={"tool:b": 0.7})
    claims = [claim | {"approach": arm} for claim in entry(samples)["claims"] for arm in ("tools", "tool:b")]
    both = declare(samples, claims=[claim | {"id": f"{claim['endpoint']}:{claim['approach']}"} for claim in claims])
    one, two = (decide(samples, plans=[plan])["claim_quality_p"] for plan in (declare(samples), both))
    assert two == pytest.approx(min(1, 2 * one))


def test_a_task_that_scattered_below_the_veto_by_chance_does_not_veto() -> None:
    samples = invent(n=12, tasks=tuple("abcdef"), quality={"baseline": 0.6, "no_context": 0.1})
    own = tools(samples)
    unlucky = (samples["task"] == "f") & samples["sample"].isin([1, 3, 5, 7])
    up = (samples["sample"] % 2 == 1) & ~unlucky
    samples.loc[own, "score"] = np.where(up[own], 0.95, 0.25)
    row = decide(samples)
    assert row["worst_task"] == "f"
    assert row["worst_task_difference"] < -0.20
    assert "vetoed" not in row["reasons"]


def test_a_model_that_surely_answers_much_worse_saves_nothing_whatever_the_others_do() -> None:
    samples = invent(n=20, models=("m1", "m2", "m3", "m4"))
    bad = tools(samples) & (samples["model"] == "m4")
    samples.loc[bad, "score"] -= 0.3
    samples.loc[tools(samples) & ~bad, "score"] += 0.05
    table = verdicts(samples, [declare(samples)])
    words = table[(table["task"] == ALL) & (table["outcome"] == "tokens")].set_index("models")["verdict"]
    assert words.to_dict() == {"m1": "saves", "m2": "saves", "m3": "saves", "m4": "inconclusive"}
