"""What a report says of agents: in words that fit them, with their turns, their tools and their failures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark._util.text import is_missing
from ai_dev_tools.benchmark.records.sample import Sample
from ai_dev_tools.benchmark.reporting.browser import browser_data, load_prompts, read_blocks
from ai_dev_tools.benchmark.reporting.build import build_report
from ai_dev_tools.benchmark.reporting.data import read_run
from ai_dev_tools.benchmark.reporting.document import Facts, Figure, InShort, Report
from support.report_runs import Run, fail, make_run, notices, report_of

AGENTS = ("agent", "agent-index", "agent-none")
RATIOS = {"agent-index": 0.5, "agent-filter": 0.6, "agent-none": 0.2}


def run(folder: Path, *arms: str, **how: Any) -> Run:
    return make_run(folder / "light", tasks=("repo_analysis",), approaches=arms or AGENTS, ratios=RATIOS, **how)


def in_short(report: Report) -> InShort:
    return next(block for _, block in report.blocks() if isinstance(block, InShort))


def table(report: Report, name: str) -> Any:
    return next((each for each in report.tables if each.id == name), None)


ALONE = "once with an agent that looks into the files itself and once with the same agent with "


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        (AGENTS, [f"{ALONE}index. ", "sing index "]),
        ((*AGENTS, "agent-filter"), [f"{ALONE}each tool: index and filter. ", "index"]),
        (
            ("baseline", "tools", "no_context", *AGENTS),
            [f"once with the raw files and once with the findings of the tools; {ALONE}index. ", "index in the agent"],
        ),
    ],
    ids=["one tool", "two tools", "beside prompts"],
)
def test_the_first_paragraph_speaks_of_the_agent_and_its_tool(
    tmp_path: Path, arms: tuple[str, ...], said: list[str]
) -> None:
    text = in_short(report_of(run(tmp_path, *arms))).text
    for words in said:
        assert words in text, text
    if "baseline" not in arms:
        assert "findings" not in text


def test_next_to_prompts_quality_is_told_relative_to_the_floor_of_its_own_kind(tmp_path: Path) -> None:
    report = report_of(run(tmp_path, "baseline", "tools", "no_context", *AGENTS))
    (caption,) = (
        block.caption for _, block in report.blocks() if isinstance(block, Figure) and "The floor" in block.caption
    )
    of_prompts, _, of_agents = caption.partition("The floor (agent-none) scores")
    assert "The floor (no_context) scores" in of_prompts and "baseline" in of_prompts
    assert "agent" not in of_prompts
    assert "agent-index" in of_agents and "tools" not in of_agents
    assert "Where baseline or agent does not beat its floor" in of_agents


def test_next_to_prompts_the_methods_name_the_floor_of_each_kind(tmp_path: Path) -> None:
    def guessing(*arms: str) -> str:
        facts = [
            block for _, block in report_of(run(tmp_path / str(len(arms)), *arms)).blocks() if isinstance(block, Facts)
        ]
        return next(text for block in facts for name, text in block.items if name == "Quality gate")

    assert "beat guessing (the arm no_context for baseline and agent-none for agent)" in guessing(
        "baseline", "tools", "no_context", *AGENTS
    )
    assert "beat guessing (the arm agent-none)" in guessing(*AGENTS)
    assert "beat guessing (the arm no_context)" in guessing("baseline", "tools")


def test_turns_tool_calls_uses_and_limits_stand_in_a_table_with_where_the_tokens_go(tmp_path: Path) -> None:
    def change(sample: Sample) -> Sample:
        if sample.approach == "agent-index" and sample.sample < 4:
            sample.tool_calls, sample.done_reason = 0, "limit"
        return sample

    rows = {row["approach"]: row for row in table(report_of(run(tmp_path, change=change)), "episodes").rows[:3]}
    index = rows["agent-index"]
    means = [index[name] for name in ("turns_mean", "tool_calls_mean", "tool_used_rate", "limit_rate")]
    assert means == [2, 0.5, 0.5, 0.5]
    assert is_missing(rows["agent"]["tool_calls_mean"]) and index["tool_result_tokens_mean"] > 0


def test_an_arm_without_a_completed_episode_is_named_and_its_tool_is_what_to_fix(tmp_path: Path) -> None:
    def change(sample: Sample) -> Sample:
        return fail(sample, name="tool", message="index: it died") if sample.approach == "agent-index" else sample

    made = run(tmp_path, change=change)
    report = report_of(made)
    assert table(report, "episodes").caption.endswith("Without a completed episode: agent-index.")
    assert in_short(report).advice.startswith("Fix the tool")
    shown = [one for name, part in browser_data(read_blocks(made.inputs.blocks), load_prompts(made.inputs.prompts)).parts.items()
             if name.startswith("samples-") for one in part]  # fmt: skip
    failed = [one for one in shown if one["error"]]
    assert failed and all(one["fields"] == [] and one["truth"] for one in failed)


def test_controls_of_single_prompts_are_not_missed_among_agents(tmp_path: Path) -> None:
    assert table(report_of(run(tmp_path)), "control-arms") is None
    assert table(report_of(run(tmp_path / "more", "baseline", "tools", *AGENTS)), "control-arms") is not None


def test_a_plan_that_claims_tokens_alone_speaks_of_tokens_alone(tmp_path: Path) -> None:
    report = report_of(run(tmp_path, *AGENTS, "agent-filter", outcomes=("tokens",)))
    assert {verdict.claim for verdict in report.verdicts} == {"tokens:agent-index", "tokens:agent-filter"}
    text = in_short(report).text
    assert "tokens" in text and " time" not in text


def test_a_task_that_only_agents_can_be_asked_says_so(tmp_path: Path) -> None:
    given = run(tmp_path, "agent", "agent-none", samples=2)
    data = read_run(given.inputs.tables, given.about, given.inputs.plans)
    assert data.plan is not None and "only an agent" not in notices(build_report(data))
    of_repositories = data.plan.model_copy(update={"arms": {"repo_analysis": ("agent", "agent-none")}})
    assert (
        "Repo Analysis: only an agent can read its workspaces, so its only arms are agent and agent-none."
        in notices(build_report(replace(data, plans=[of_repositories])))
    )
