"""What is computed from episodes: the words they earn, what a limit and a failure cost, and which checks are about turns."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.analysis.continuity import departures
from ai_dev_tools.benchmark.analysis.episode_tokens import prompt_parts
from ai_dev_tools.benchmark.analysis.flatten import OF_EPISODES, sample_row, samples_table
from ai_dev_tools.benchmark.analysis.metrics import compute_metrics
from ai_dev_tools.benchmark.analysis.metrics_table import OF_EPISODES as EPISODE_METRICS
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.records.episode import EpisodeLimits, Turn
from ai_dev_tools.benchmark.records.plan import DeclaredPlan
from ai_dev_tools.benchmark.records.sample import write_block
from support.invented import decide, entry, invent, verdicts
from support.making import sample

ARMS = {"baseline": "agent", "tools": "agent-index", "no_context": "agent-none"}


def episodes(calls: int = 2, **changed: Any) -> pd.DataFrame:
    """Invented episodes of four turns; the tool was called so often in each."""
    samples = invent(**{"n": 16} | changed)
    samples["approach"] = samples["approach"].map(ARMS)
    samples["turns"] = 4
    samples["tool_calls"] = np.where(samples["approach"] == "agent-index", float(calls), np.nan)
    samples["most_turn_tokens"] = samples["total_tokens"] / 2
    samples["most_turn_load_s"] = 0.0
    samples["first_cached_tokens"] = 0
    samples["limit_tokens"], samples["limit_seconds"] = 60_000, 600.0
    return samples


def declared(samples: pd.DataFrame) -> list[DeclaredPlan]:
    claims = [
        {"id": f"{e}:agent-index", "endpoint": e, "approach": "agent-index", "reference": "agent", "margin_ratio": 0.95}
        for e in ("tokens", "time")
    ]
    return [DeclaredPlan.from_content(entry(samples, claims=claims))]


def judged(samples: pd.DataFrame, outcome: str = "tokens") -> Any:
    return decide(samples, outcome, declared(samples))


def tool(samples: pd.DataFrame) -> pd.Series[bool]:
    return samples["approach"] == "agent-index"


def test_an_agent_with_a_tool_is_compared_with_the_agent_and_the_agents_floor() -> None:
    row = judged(episodes())
    assert (row["verdict"], row["approach"], row["reference"]) == ("saves", "agent-index", "agent")
    assert row["tool_used"] == 1.0
    without_floor = episodes()
    without_floor = without_floor[without_floor["approach"] != "agent-none"]
    assert "floor: agent-none did not run" in judged(without_floor)["reasons"]


def test_a_run_that_mixes_prompts_and_agents_is_complete_when_each_task_has_its_own_arms() -> None:
    """What is only for agents has no single prompts, so there are none to wait for."""
    prompts, whole = invent(n=16, tasks=("a", "b")), episodes(tasks=("c",))
    samples = pd.concat([prompts, whole], ignore_index=True)
    (plan,) = declared(samples)
    claims = (*plan.claims, *(c.model_copy(update={"approach": "tools", "reference": "baseline"}) for c in plan.claims))
    arms = {"a": tuple(sorted(set(prompts["approach"]))), "c": tuple(sorted(ARMS.values()))}
    plan = plan.model_copy(update={"claims": claims, "arms": arms | {"b": arms["a"]}})
    found = verdicts(samples, [plan], resamples=0)
    assert set(found.loc[found["task"] == "(all)", "label"]) == {"planned"}


def test_agents_wait_for_their_own_floor() -> None:
    samples = episodes()
    floor = samples["approach"] == "agent-none"
    row = decide(samples[~floor | (samples["sample"] < 8)], "tokens", declared(samples))
    assert (row["label"], row["verdict"]) == ("interim", "inconclusive")


def test_other_limits_make_another_plan_and_added_agents_do_not() -> None:
    (plain,) = declared(episodes(n=4))
    twelve, five = (plain.model_copy(update={"agents": {"turns": turns, "version": 1}}) for turns in (12, 5))
    assert departures(twelve, five) == ["agent.turns is 5 instead of 12"]
    assert departures(plain, twelve) == departures(twelve, twelve) == []


def test_a_tool_that_misleads_costs() -> None:
    assert judged(episodes(ratio=1.5))["verdict"] == "costs"


@pytest.mark.parametrize("ratio", [0.6, 1.5])
def test_a_tool_that_is_never_used_gets_no_other_verdict(ratio: float) -> None:
    row = judged(episodes(calls=0, ratio=ratio))
    assert (row["verdict"], row["tool_used"]) == ("inconclusive", 0.0)
    assert "never used: in none of its 48 episodes" in row["reasons"]


def test_a_tool_that_offers_nothing_to_call_is_judged_by_what_it_does() -> None:
    samples = episodes()
    samples["tool_calls"] = np.nan
    assert judged(samples)["verdict"] == "saves"


def test_without_a_plan_agents_are_compared_with_agents() -> None:
    found = verdicts(pd.concat([episodes(), invent(n=16)]))
    assert set(zip(found["approach"], found["reference"], strict=True)) == {
        ("agent-index", "agent"),
        ("tools", "baseline"),
    }


def test_a_limit_counts_as_paid_and_is_open_above() -> None:
    samples = episodes()
    samples.loc[tool(samples) & (samples["sample"] < 4), "done_reason"] = "limit"
    frame = Samples.prepare(samples).frame
    limited = frame[frame["done_reason"] == "limit"]
    assert limited["censored"].all() and (limited["tokens_high"] == limited["tokens_low"]).all()
    assert np.isinf(limited["tokens_open"]).all() and np.isinf(limited["time_open"]).all()
    row = judged(samples)
    assert row["verdict"] == "saves" and "had they run on" in row["reasons"]


def test_an_episode_that_timed_out_costs_up_to_its_limit_and_a_turn() -> None:
    samples = episodes()
    samples.loc[tool(samples) & (samples["sample"] == 1), ["status", "score"]] = ["timeout", np.nan]
    frame = Samples.prepare(samples).frame
    late = frame[frame["status"] == "timeout"]
    assert (late["tokens_high"] == 60_000 + 8192).all() and (late["time_high"] >= 600).all()


def test_an_agent_whose_tool_failed_falls_back_to_the_agent() -> None:
    samples = pd.concat([episodes(), invent(n=16)], ignore_index=True)
    failed = tool(samples) & (samples["sample"] == 3)
    samples.loc[failed, ["status", "error_class"]] = ["failed", "tool"]
    frame = Samples.prepare(samples).frame
    pick = (frame["sample"] == 3) & (frame["task"] == "a")
    fallen, agent, baseline = (
        frame[pick & (frame["approach"] == arm)].iloc[0] for arm in ("agent-index", "agent", "baseline")
    )
    assert fallen["fell_back"] and fallen["tokens_low"] == agent["tokens_low"] + fallen["total_tokens"]
    assert agent["tokens_low"] != baseline["tokens_low"] or fallen["quality"] == agent["quality"]


def test_checks_of_one_request_look_at_turns() -> None:
    """Many turns in one window, and a cache that only later turns find their own beginning in, are no mistakes."""
    samples = episodes()
    samples["prompt_cached_tokens"] = 500
    samples["total_tokens"] += 20_000
    samples["input_tokens"] += 20_000
    samples["load_s"] = 3.0
    samples["prompt_sha256"] = samples["case"]
    checked = Samples.prepare(samples)
    for name in ("prompt_truncated", "cache_hit", "model_loaded"):
        assert not checked.flagged(name).any(), name
    first = samples["sample"] == 0
    samples.loc[first, ["first_cached_tokens", "most_turn_tokens", "most_turn_load_s"]] = [500, 9000, 3.0]
    checked = Samples.prepare(samples)
    for name in ("prompt_truncated", "cache_hit", "model_loaded"):
        assert (checked.flagged(name) == (checked.frame["sample"] == 0)).all(), name


def test_what_the_table_says_of_an_episode() -> None:
    turns = [
        Turn(input_tokens=100, output_tokens=5, prompt_cached_tokens=0, load_s=0.2, action="search"),
        Turn(input_tokens=180, output_tokens=9, prompt_cached_tokens=100, load_s=0.01, action="answer"),
    ]
    row = sample_row(sample(turns=turns, limits=EpisodeLimits(), tool_calls=1, approach="agent-index"))
    assert {name: row[name] for name in OF_EPISODES} == {
        "turns": 2,
        "tool_calls": 1,
        "most_turn_tokens": 189,
        "most_turn_load_s": 0.2,
        "first_cached_tokens": 0,
        "limit_tokens": 60_000,
        "limit_seconds": 600.0,
        "opening_tokens": 200,
        "file_tokens": 75,
        "tool_result_tokens": 0,
        "own_message_tokens": 5,
    }


COUNTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500), st.booleans()), min_size=1, max_size=12)


@given(first=st.integers(1, 5000), steps=COUNTS)
def test_the_parts_of_an_episodes_prompts_are_all_of_its_prompt_tokens(
    first: int, steps: list[tuple[int, int, bool]]
) -> None:
    """Each prompt holds the one before, the model's message and what came back."""
    turns, read = [], first
    for written, came_back, by_tool in steps:
        turns.append(Turn(input_tokens=read, output_tokens=written, tool=by_tool))
        read += written + came_back
    parts = prompt_parts(turns)
    assert sum(parts.values()) == sum(turn.input_tokens or 0 for turn in turns)
    assert parts["opening_tokens"] == first * len(turns)
    again = range(len(turns) - 1, 0, -1)
    assert parts["tool_result_tokens"] == sum(n * step[1] for n, step in zip(again, steps, strict=False) if step[2])


def test_parts_are_unknown_where_a_count_is_missing_or_the_agent_forgot() -> None:
    missing = [Turn(input_tokens=10, output_tokens=1), Turn(output_tokens=1)]
    shorter = [Turn(input_tokens=90, output_tokens=1), Turn(input_tokens=40, output_tokens=1)]
    for turns in ([], missing, shorter):
        assert set(prompt_parts(turns).values()) == {None}


def test_a_run_without_episodes_has_no_column_and_no_metric_of_them(tmp_path: Any) -> None:
    write_block(tmp_path / "a.jsonl", [sample()])
    assert not set(OF_EPISODES) & set(samples_table([tmp_path / "a.jsonl"], {}).columns)
    assert not set(EPISODE_METRICS) & set(compute_metrics(invent(n=4))["metric"])
    assert "tool_used" not in verdicts(invent(n=8)).columns


def test_metrics_of_episodes() -> None:
    samples = episodes(n=4)
    samples.loc[tool(samples) & (samples["sample"] == 0), ["tool_calls", "done_reason"]] = [0.0, "limit"]
    found = compute_metrics(samples, EPISODE_METRICS)
    row = found[(found["approach"] == "agent-index") & (found["task"] == "a") & (found["model"] == "m1")]
    row = row[row["profile"] == "light"].set_index("metric")["value"]
    assert (row["turns_mean"], row["tool_calls_mean"], row["tool_used_rate"], row["limit_rate"]) == (4, 1.5, 0.75, 0.25)


def test_samples_from_before_there_were_episodes_are_read() -> None:
    fields = msgspec.to_builtins(sample())
    old = {name: value for name, value in fields.items() if name not in ("turns", "limits", "tool_calls")}
    assert msgspec.convert(old, type(sample())) == sample()
