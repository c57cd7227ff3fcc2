"""Tasks made from two prompts: full citizens, with a schema and scorers that follow from what is expected."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.config.models import WorkflowType
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts.approaches import find_approach
from ai_dev_tools.benchmark.prompts.rendering import render_prompts
from ai_dev_tools.benchmark.tasks.loading import load_task
from ai_dev_tools.benchmark.tasks.registry import TaskRegistry, answer_field, get_task_registry
from ai_dev_tools.benchmark.tasks.scoring import score_answer
from support.project import make_project

PROMPTS = {
    "baseline_prompt": "Analyze {{ this }} code manually…",
    "tools_prompt": "Using safety checker results: {% none %}",
}


@pytest.fixture
def registry(tmp_path: Path) -> TaskRegistry:
    return get_task_registry(make_project(tmp_path / "project"))


def test_the_known_call_makes_a_task(registry: TaskRegistry) -> None:
    task = registry.create_custom_task(
        task_id="my_custom_task",
        name="My Custom Task",
        description="Custom task for specific analysis",
        workflow_type=WorkflowType.SAFETY_CHECK,
        baseline_prompt="Analyze this code manually...",
        tools_prompt="Using safety checker results...",
        timeout=45,
        expected_outputs={"risk_level": "HIGH"},
    )
    assert (task.id, task.timeout, task.workflow_type) == ("my_custom_task", 45, WorkflowType.SAFETY_CHECK)
    assert "my_custom_task" in registry
    assert registry.get_task("my_custom_task") == task
    assert task.folder.parts[-2:] == ("tasks_local", "my_custom_task")
    rules = [rule.as_dict() for rule in task.scoring]
    assert score_answer({"risk_level": " high"}, task.cases[0].truth, rules) == 1.0
    assert score_answer({"risk_level": "LOW"}, task.cases[0].truth, rules) == 0.0


def test_prompts_reach_the_model_as_they_are_and_the_question_is_the_same_in_every_arm(registry: TaskRegistry) -> None:
    task = registry.create_custom_task("t", "T", "custom", **PROMPTS, expected_outputs={"ok": True})
    arms = [find_approach(name, {}) for name in ("baseline", "tools", "no_context")]
    rows = {row.approach: row.prompt or "" for row in render_prompts(task, {}, arms, Path())}
    assert PROMPTS["baseline_prompt"] in rows["baseline"]
    assert PROMPTS["tools_prompt"] in rows["tools"]
    question = rows["no_context"]
    assert question.startswith("## Question")
    assert all(prompt.endswith(question) for prompt in rows.values())
    assert "true" not in json.dumps(task.answer_schema["properties"]["ok"])


def test_without_expected_outputs_quality_is_absent(registry: TaskRegistry) -> None:
    task = registry.create_custom_task("t", "T", "custom", **PROMPTS)
    assert task.cases[0].truth is None
    assert task.scoring == ()
    assert score_answer({"answer": "anything"}, task.cases[0].truth, []) is None


JSON_VALUES = st.one_of(
    st.booleans(), st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6), st.text(max_size=200),
    st.lists(st.text(min_size=1, max_size=50), min_size=1, max_size=12),
)  # fmt: skip


@given(JSON_VALUES)
def test_the_expected_answer_itself_is_valid_and_scores_one(value: Any) -> None:
    schema, rule = answer_field("field", value)
    jsonschema.validate(value, schema)
    assert score_answer({"field": value}, {"field": value}, [{"field": "field", **rule}]) == 1.0


@pytest.mark.parametrize("value", [None, {"a": 1}, [], [1, 2], [["a"]], ["a", 1], float("nan"), float("inf")])
def test_what_cannot_be_scored_is_refused(registry: TaskRegistry, value: Any) -> None:
    with pytest.raises(ConfigurationError, match="has no scorer"):
        registry.create_custom_task("t", "T", "custom", **PROMPTS, expected_outputs={"x": value})
    assert "t" not in registry


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"task_id": "../evil"}, "letters, digits"),
        ({"task_id": "a b"}, "letters, digits"),
        ({"workflow_type": "safety"}, "did you mean 'safety_check'"),
        ({"task_id": None}, "letters, digits"),
        ({"name": ""}, "name is empty"),
        ({"baseline_prompt": "  "}, "baseline_prompt is empty"),
        ({"tools_prompt": None}, "tools_prompt is empty or not a text"),
        ({"expected_outputs": ["HIGH"]}, "expected_outputs is not a mapping"),
        ({"expected_outputs": {"x": "\ud800"}}, "half of a character"),
        ({"expected_outputs": {" ": 1}}, "has no name"),
        ({"timeout": -1}, "'timeout'"),
    ],
)
def test_a_wrong_call_writes_nothing(
    registry: TaskRegistry, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    arguments = {"task_id": "t", "name": "T", "workflow_type": "custom", **PROMPTS} | changes
    with pytest.raises(ConfigurationError, match=says):
        registry.create_custom_task(**arguments)
    assert list(registry) == []
    assert not list((tmp_path / "project" / "config").glob("tasks_local/*"))


def test_making_the_same_task_again_is_not_a_mistake_but_another_one_under_its_name_is(registry: TaskRegistry) -> None:
    first = registry.create_custom_task("t", "T", "custom", **PROMPTS)
    assert registry.create_custom_task("t", "T", "custom", **PROMPTS) == first
    with pytest.raises(ConfigurationError, match="overwrite=True"):
        registry.create_custom_task("t", "Another", "custom", **PROMPTS)
    assert registry.get_task("t").name == "T"
    assert registry.create_custom_task("t", "Another", "custom", **PROMPTS, overwrite=True).name == "Another"


def test_a_task_that_cannot_be_replaced_stays_what_it_was(
    registry: TaskRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = registry.create_custom_task("t", "First", "custom", **PROMPTS)
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if Path(source).name == "t" and Path(source).parent != made.folder.parent:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ConfigurationError, match=r"cannot write .*: No space left on device"):
        registry.create_custom_task("t", "Second", "custom", **PROMPTS, overwrite=True)
    monkeypatch.undo()
    assert load_task(made.folder).name == "First"
    assert [path.name for path in made.folder.parent.iterdir()] == ["t"]


def test_a_shipped_task_cannot_be_replaced(tmp_path: Path) -> None:
    registry = get_task_registry(make_project(tmp_path, tasks=["safety_assessment"]))
    with pytest.raises(ConfigurationError, match="is taken"):
        registry.create_custom_task("safety_assessment", "T", "custom", **PROMPTS, overwrite=True)


def test_an_unknown_task_names_the_nearest(tmp_path: Path) -> None:
    registry = get_task_registry(make_project(tmp_path, tasks=["safety_assessment"]))
    with pytest.raises(ConfigurationError, match="did you mean 'safety_assessment'"):
        registry.get_task("safety_asessment")
