"""From settings to tasks, tools, arms and models: what a run is about, and what is said of settings that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.planning import serving
from ai_dev_tools.benchmark.prompts.approaches import APPROACHES
from ai_dev_tools.benchmark.records.endpoint_spec import EndpointSpec
from support.experiments import HEAVY, errors, experiment
from support.making import write_task

# --- arms and tools -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "arms"),
    [
        ({}, ["baseline", "tools", "no_context"]),
        ({"approaches": "baseline,tools"}, ["baseline", "tools"]),
        ({"approaches": "all"}, list(APPROACHES)),
        ({"tools": "grep"}, ["baseline", "tools-grep", "no_context"]),
        ({"tools": "grep,echo"}, ["baseline", "tools-grep", "tools-echo", "no_context"]),
        ({"tools": "grep", "approaches": "baseline"}, ["baseline", "tools-grep"]),
        ({"approaches": "baseline,tools-grep"}, ["baseline", "tools-grep"]),
        ({"tools": "grep", "approaches": "baseline,tools-grep,tools"}, ["baseline", "tools-grep"]),
        ({"approaches": "all,tools-echo"}, [*APPROACHES, "tools-echo"]),
        ({"approaches": "baseline,baseline"}, ["baseline"]),
    ],
    ids=str,
)
def test_which_arms_are_asked(changed: dict[str, Any], arms: list[str], root: Path) -> None:
    assert sorted(experiment(root, **changed).approaches) == sorted(arms)


def test_all_built_in_arms_are_rendered_so_that_turning_one_on_renders_nothing_again(root: Path) -> None:
    assert experiment(root).prompted_approaches == list(APPROACHES)
    beside = [name for name in APPROACHES if name != "tools"]
    assert experiment(root, tools="grep").prompted_approaches == [*beside, "tools-grep"]


def test_a_judged_tool_takes_the_place_of_the_tasks_own(root: Path) -> None:
    """Also behind the controls: an excerpt is as long as what the judged tool says."""
    assert experiment(root).task_tools("colours") == ["echo"]
    judging = experiment(root, tools="grep")
    assert (judging.task_tools("colours"), judging.shown_tools("colours")) == (["grep"], ["grep"])
    assert list(judging.tools) == ["grep"]


def test_a_tool_named_by_its_arm_runs_next_to_the_tasks_own(root: Path) -> None:
    beside = experiment(root, approaches="baseline,tools,tools-grep")
    assert (beside.task_tools("colours"), beside.shown_tools("colours")) == (["echo", "grep"], ["echo"])


def test_controls_belong_to_one_tool(root: Path) -> None:
    assert errors(root, tools="grep,echo", approaches="all") == [
        "config: approaches excerpt, shuffled, mismatched are made from the findings of one tool, but tools names 2. "
        "Judge one tool at a time, or leave these controls out"
    ]


def test_tools_and_tasks_of_the_users_own_folders_are_found(root: Path) -> None:
    own = root / "mine"
    (own / "tools").mkdir(parents=True)
    (own / "tools" / "mytool.yaml").write_text(
        (root / "config" / "tools" / "echo.yaml").read_text().replace("echo", "mytool")
    )
    (write_task(own / "tasks")).rename(own / "tasks" / "shapes")
    path = own / "tasks" / "shapes" / "task.yaml"
    path.write_text(path.read_text().replace("id: colours", "id: shapes"))
    found = experiment(root, tools="mytool", task_folders=[own / "tasks"], tool_folders=[own / "tools"])
    assert list(found.tasks) == ["colours", "shapes"]
    assert found.approaches == ["baseline", "tools-mytool", "no_context"]


# --- models -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ("all", HEAVY),
        ("small", HEAVY[:1]),
        ("codellama:7b,small", [HEAVY[3], HEAVY[0]]),
        ("small,llama3.2:1b", HEAVY[:1]),
    ],
)
def test_models_are_chosen_by_instance_name_or_tag(models: str, expected: list[str], root: Path) -> None:
    assert [model for model, _ in experiment(root, profile="heavy", models=models).blocks("heavy")] == expected


def test_blocks_are_model_major(root: Path) -> None:
    extra = write_task(root / "more") / "task.yaml"
    extra.write_text(extra.read_text().replace("id: colours", "id: shapes"))
    extra.parent.rename(root / "more" / "shapes")
    found = experiment(root, profile="medium", task_folders=[root / "more"]).blocks("medium")
    assert found == [(model, task) for model in HEAVY[:2] for task in ("colours", "shapes")]


def test_blocks_of_one_server_share_it(root: Path) -> None:
    assert set(experiment(root, profile="heavy").servers("heavy").values()) == {
        f"localhost:{port}" for port in range(11434, 11438)
    }
    one = experiment(root, profile="heavy", endpoint="http://box:1").servers("heavy")
    assert set(one.values()) == {"http://box:1"}
    assert list(one) == HEAVY


# --- mistakes -----------------------------------------------------------------------------------------------------


def test_a_field_that_no_endpoint_has_is_refused_before_anything_runs(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Snakefile opens the settings when it is read, long before a block's job decodes the endpoint in it."""
    monkeypatch.setattr(serving, "EndpointSpec", lambda **fields: EndpointSpec.from_dict(fields | {"prot": 5}))
    (line,) = errors(root, profile="light")
    assert "endpoint settings: Object contains unknown field 'prot'" in line


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"tasks": "colors"}, "unknown task 'colors', did you mean 'colours'?"),
        ({"approaches": "baselin"}, "unknown approach 'baselin', did you mean 'baseline'?"),
        ({"approaches": "baseline,tools-gerp"}, "unknown tool 'gerp', did you mean 'grep'?"),
        ({"tools": "gerp"}, "unknown tool 'gerp', did you mean 'grep'?"),
        ({"models": "smol"}, "unknown model in profile 'embedded' 'smol', did you mean 'smollm2:135m'?"),
    ],
    ids=str,
)
def test_an_unknown_name_is_a_line_with_the_nearest(changed: dict[str, Any], line: str, root: Path) -> None:
    assert line in errors(root, **changed)


def test_mistakes_that_do_not_hang_together_are_said_at_once(root: Path) -> None:
    lines = errors(root, tasks="colors", models="smol", approaches="baselin")
    assert len(lines) == 3


def test_a_task_that_names_an_unknown_tool(root: Path) -> None:
    path = root / "config" / "tasks" / "colours" / "task.yaml"
    path.write_text(path.read_text().replace("- echo", "- ehco"))
    (line,) = errors(root)
    assert "unknown tool in" in line
    assert "task.yaml 'ehco', did you mean 'echo'?" in line


def test_a_wrong_tool_file_is_said_before_anything_runs(root: Path) -> None:
    path = root / "config" / "tools" / "echo.yaml"
    path.write_text(path.read_text().replace("{{ text }}", "{% for x"))
    (line,) = errors(root)
    assert "echo.yaml: 'template' is not a valid Jinja2 template" in line
    assert errors(root, approaches="baseline,tools-echo")


def test_a_tool_that_is_not_used_may_be_wrong(root: Path) -> None:
    (root / "config" / "tools" / "grep.yaml").write_text("id: [")
    assert experiment(root).approaches


def test_a_profile_without_cases_of_its_size(root: Path) -> None:
    for path in (root / "config" / "tasks" / "colours" / "cases").iterdir():
        path.write_text(path.read_text().replace("size: S", "size: L"))
    (line,) = errors(root)
    assert "task 'colours' has no case of size S, which profile 'embedded' asks" in line
    assert experiment(root, profile="light").cases("light", "colours")


def test_a_block_that_is_not_configured(root: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing is configured for smollm2-135m/colors, did you mean"):
        experiment(root).block("embedded", "smollm2-135m", "colors")


# --- two tools against each other ---------------------------------------------------------------------------------


def test_a_tool_as_reference_is_not_judged_against_itself(root: Path) -> None:
    plan = experiment(root, tools="echo,grep", plan={"reference": "tools-echo"}).plan("embedded")
    assert [(claim.id, claim.reference) for claim in plan.claims] == [
        ("tokens:tools-grep", "tools-echo"),
        ("time:tools-grep", "tools-echo"),
    ]


def test_a_reference_that_is_no_arm_is_refused_instead_of_claiming_nothing(root: Path) -> None:
    (line,) = errors(root, tools="grep", plan={"reference": "tools-echo"})
    assert (
        line == "config: 'plan.reference' is 'tools-echo', which is not an arm of this run, did you mean 'tools-grep'?"
    )


def test_a_shared_task_that_names_a_tool_you_lack_does_not_block_another_tool(root: Path) -> None:
    (root / "config" / "tools" / "echo.yaml").unlink()
    assert "unknown tool" in errors(root)[0]
    assert experiment(root, tools="grep").approaches == ["baseline", "tools-grep", "no_context"]
