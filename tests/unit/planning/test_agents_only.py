"""Tasks that only agents can be asked: left out of runs without one, and without the arms that show files in a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_dev_tools.benchmark.agents.file_actions import workspace_texts
from ai_dev_tools.benchmark.errors import ConfigurationError, ConfigurationErrors
from ai_dev_tools.benchmark.prompts.approaches import find_approach
from ai_dev_tools.benchmark.prompts.episodes import ArmDesign
from ai_dev_tools.benchmark.prompts.rendering import render_prompts
from support.experiments import experiment as opened
from support.making import case, write_task


def test_all_tasks_are_those_that_the_arms_can_be_asked(mixed: Path) -> None:
    experiment = opened(mixed, approaches="baseline,no_context")
    assert list(experiment.tasks) == ["colours"]
    assert experiment.notes == ["task repo is left out: only agents can be asked (approaches=agent,agent-none)"]


def test_naming_such_a_task_without_an_agent_is_one_line(mixed: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        opened(mixed, approaches="baseline,no_context", tasks="repo")
    assert "only an agent can read the workspaces of task 'repo'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_plan_without_such_a_task_says_nothing_of_arms(mixed: Path) -> None:
    """So the plans of runs that were made before have the hash that they had."""
    experiment = opened(mixed, approaches="baseline,no_context")
    assert "arms" not in experiment.plan("embedded").content()


def test_such_a_task_has_the_arms_of_agents_and_the_question_alone(mixed: Path) -> None:
    experiment = opened(mixed, approaches="baseline,no_context,agent,agent-none", samples=2)
    plan = experiment.plan("embedded")
    assert experiment.notes == ["task repo has no arm baseline: only an agent can read its workspaces"]
    assert plan.arms == {"repo": ("no_context", "agent", "agent-none")}
    assert plan.approaches == ("baseline", "no_context", "agent", "agent-none")
    assert [plan.expected(task) for task in ("colours", "repo")] == [8, 6]
    assert experiment.about("embedded").expected == {"colours": 8, "repo": 6}
    for task in ("colours", "repo"):
        block = experiment.block("embedded", "smollm2-135m", task)
        assert (block.approaches, block.run_requests) == (list(plan.arms_of(task)), 14)


def test_arms_that_no_task_has_are_no_arms_of_the_run(mixed: Path) -> None:
    """So there is no claim about them, and nothing is counted as lost."""
    experiment = opened(mixed, approaches="baseline,tools,agent,agent-none", tasks="repo")
    assert experiment.approaches == ["agent", "agent-none"]
    assert experiment.plan("embedded").arms == {}
    assert experiment.notes == ["task repo has no arm baseline and tools: only an agent can read its workspaces"]


def test_no_tool_runs_over_workspaces_before(mixed: Path) -> None:
    experiment = opened(mixed, approaches="baseline,tools,agent", tasks="all")
    assert experiment.task_tools("repo") == []
    assert experiment.context_files("repo") == []


def test_a_changed_folder_makes_its_prompts_again(mixed: Path) -> None:
    before = opened(mixed, approaches="agent", tasks="repo").folder_digests("repo")
    (mixed / "mine" / "app.py").write_text("x = 2\n")
    after = opened(mixed, approaches="agent", tasks="repo").folder_digests("repo")
    assert before.keys() == after.keys() == {"one", "two"}
    assert before != after


def test_prompts_of_a_workspace_name_its_files_and_hold_none(mixed: Path, tmp_path: Path) -> None:
    task = opened(mixed, approaches="agent", tasks="repo").tasks["repo"]
    arms = [find_approach(name, {}) for name in ("baseline", "no_context", "agent", "agent-none")]
    designs = {name: ArmDesign() for name in ("agent", "agent-none")}
    rows = {row.approach: row for row in render_prompts(task, {}, arms, tmp_path, (), designs) if row.case == "one"}
    assert set(rows) == {"no_context", "agent", "agent-none"}
    assert rows["no_context"].episode is None
    spec = rows["agent"].episode
    assert spec is not None
    assert spec.workspace is not None
    assert (spec.workspace.kind, spec.workspace.files, spec.workspace.texts) == ("path", ["app.py"], {})
    assert workspace_texts(spec.workspace) == {"app.py": "x = 1\n"}


def write_tool(mixed: Path, **agent: Any) -> None:
    about = {"id": "index", "description": "an index", "install": "comes with it", "agent": agent}
    (mixed / "config" / "tools" / "index.yaml").write_text(yaml.safe_dump(about))


LOOK = {"name": "look", "description": "Looks."}
WITH_TOOL = {"approaches": "agent,agent-index", "tasks": "colours"}


@pytest.mark.parametrize(
    "agent",
    [
        {"commands": [LOOK | {"argv": ["{python}", "-V", "{vars.thnig}"]}]},
        {"mcp": {"command": ["{python}", "--scope={vars.thnig}"]}},
        {"wraps": {"search": ["{python}", "{vars.thing}", "{vars.thnig}"]}},
    ],
)
def test_a_variable_that_a_case_does_not_have_is_one_line_before_anything_starts(
    mixed: Path, agent: dict[str, Any]
) -> None:
    write_tool(mixed, **agent)
    with pytest.raises(ConfigurationErrors) as caught:
        opened(mixed, **WITH_TOOL)
    (line,) = caught.value.lines
    assert "case 'one' has no var 'thnig', which {vars.thnig} in what tool 'index' gives to an agent stands for" in line
    assert "index.yaml: did you mean 'thing'?" in line


@pytest.mark.parametrize(
    "fields",
    [{"command": ["{python}", "--of={vars.thnig}"], "template": "x"}, {"template": "of {vars.thnig}: {{ text }}"}],
)
def test_also_one_that_is_for_single_prompts(mixed: Path, fields: dict[str, Any]) -> None:
    about = {"id": "index", "description": "d", "install": "i", "command": ["{python}", "-V"], "output": "text"}
    (mixed / "config" / "tools" / "index.yaml").write_text(yaml.safe_dump(about | fields))
    with pytest.raises(ConfigurationErrors) as caught:
        opened(mixed, tools="index", tasks="colours")
    (line,) = caught.value.lines
    assert "case 'one' has no var 'thnig', which {vars.thnig} in the command or template of tool 'index'" in line
    assert opened(mixed, source="samples", tools="index", tasks="colours"), "a report of what was asked needs no tool"


def test_cases_that_the_samples_do_not_reach_need_no_variable(mixed: Path) -> None:
    """Unless a control shows what the tool says about them."""
    first, other = opened(mixed, approaches="baseline", tasks="colours", tools=None).cases("embedded", "colours")
    with_var = yaml.safe_dump(case(first, vars={"thing": "the sky", "extra": "x"}))
    (mixed / "config" / "tasks" / "colours" / "cases" / f"{first}.yaml").write_text(with_var)
    words = ["{python}", "-V", "{vars.extra}"]
    about = {"id": "index", "description": "d", "install": "i", "command": words, "output": "text", "template": "x"}
    agent = {"commands": [LOOK | {"argv": words}]}
    (mixed / "config" / "tools" / "index.yaml").write_text(yaml.safe_dump(about | {"agent": agent}))
    judged = {"tools": "index", "tasks": "colours"}
    assert opened(mixed, **judged, samples=1).asked("embedded", "colours") == [first]
    assert opened(mixed, **WITH_TOOL, samples=1).agent_tools == ["index"]
    control = {"approaches": "baseline,tools,mismatched", "samples": 1}
    for refused in (judged | {"samples": 2}, WITH_TOOL | {"samples": 2}, judged | control):
        with pytest.raises(ConfigurationErrors, match=f"case '{other}' has no var 'extra'"):
            opened(mixed, **refused)


def test_variables_that_all_cases_have_are_fine(mixed: Path) -> None:
    write_tool(mixed, commands=[LOOK | {"argv": ["{python}", "-V", "{vars.thing}", "{question}", "{{vars.text}}"]}])
    assert opened(mixed, **WITH_TOOL).agent_tools == ["index"]


def test_a_tool_that_gives_nothing_to_an_agent_has_no_arm_there(mixed: Path) -> None:
    about = {"id": "index", "description": "d", "install": "i", "command": ["echo"], "output": "text", "template": "x"}
    (mixed / "config" / "tools" / "index.yaml").write_text(yaml.safe_dump(about))
    with pytest.raises(ConfigurationErrors) as caught:
        opened(mixed, **WITH_TOOL)
    (line,) = caught.value.lines
    assert "tool 'index' has no section 'agent', so there is no arm agent-index" in line


def test_a_task_with_ready_contexts_is_left_out_of_agent_runs_unless_it_is_named(mixed: Path) -> None:
    ready = {"source": None, "contexts": {"baseline": "the files", "tools": "the findings"}}
    write_task(mixed / "shown", *(case(name, **ready) for name in ("one", "two")), id="ready", tools=None).rename(
        mixed / "config" / "tasks" / "ready"
    )
    experiment = opened(mixed, approaches="agent,agent-none")
    assert list(experiment.tasks) == ["colours", "repo"]
    assert experiment.notes == [
        "task ready is left out: its cases have 'contexts' and no files that an agent could read"
    ]
    with pytest.raises((ConfigurationError, ConfigurationErrors), match="has no files to read for agent"):
        opened(mixed, approaches="agent,agent-none", tasks="ready")
