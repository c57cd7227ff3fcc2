"""All tasks of a workflow, and tasks made from two prompts.

Schema and scorers of the latter follow from expected outputs.
"""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue
from ai_dev_tools.benchmark.config.models import WorkflowType
from ai_dev_tools.benchmark.config.parsing import PATH_SAFE, nearest, refuse_unstorable
from ai_dev_tools.benchmark.config.shipped_files import find_root, plugins_of, task_folders_of
from ai_dev_tools.benchmark.errors import ConfigurationError, ConfigurationErrors
from ai_dev_tools.benchmark.plugins import add_plugin
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.names import checked
from ai_dev_tools.benchmark.tasks.loading import Task, find_tasks, load_task
from ai_dev_tools.benchmark.tasks.size_classes import CHARS_PER_TOKEN, LARGEST

FREE_TEXT = 1000
"""Maximum length of an answer without an expected value."""


class TaskRegistry:
    """All tasks of a workflow folder by id.

    Args:
        root: the workflow's folder.
        folders: where to look; config/tasks, config/tasks_local and the config's `task_folders` by default.
    """

    def __init__(self, root: Path, folders: list[Path] | None = None) -> None:
        self._root = root
        self._folders = folders if folders is not None else task_folders_of(root)

    def _found(self) -> dict[str, Path]:
        own = self._root / paths.OWN_TASKS
        return find_tasks([*self._folders, *([own] if own.is_dir() and own not in self._folders else [])])

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._found()))

    def __len__(self) -> int:
        return len(self._found())

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._found()

    def get_task(self, task_id: str) -> Task:
        """The task of this id.

        Raises:
            ConfigurationError: it does not exist, or it is not valid.
        """
        found = self._found()
        if task_id not in found:
            raise ConfigurationError(f"unknown task '{task_id}', {nearest(task_id, found)}")
        self._load_plugins()
        return load_task(found[task_id])

    def list_tasks(self) -> list[Task]:
        """All tasks, sorted by id."""
        self._load_plugins()
        return [load_task(folder) for _, folder in sorted(self._found().items())]

    def _load_plugins(self) -> None:
        """Have the scorers registered that tasks may name."""
        for name in plugins_of(self._root):
            add_plugin(name, self._root)

    def create_custom_task(
        self,
        task_id: str,
        name: str,
        workflow_type: WorkflowType | str,
        baseline_prompt: str,
        tools_prompt: str,
        description: str = "",
        timeout: float | None = None,
        expected_outputs: Mapping[str, JsonValue] | None = None,
        overwrite: bool = False,
    ) -> Task:
        """Make a task with one case from two prompts, and save it as a folder that every run finds.

        Args:
            task_id: letters, digits, '-' and '_'; becomes the folder's name.
            baseline_prompt, tools_prompt: the context of each arm, passed to the model unchanged.
            timeout: seconds for one request.
            expected_outputs: by field of the answer: a word, text, number, truth value, or list of words. The answer's
                schema and its scorers follow from them. Without any, quality cannot be judged, so no verdict
                says "saves".
            overwrite: whether a task of this id may be replaced.

        Raises:
            ConfigurationError: the id is taken or unusable, an expected output has no scorer, or the folder cannot be
                written.
        """
        _require_id(task_id)
        _require_texts(task_id, name=name, baseline_prompt=baseline_prompt, tools_prompt=tools_prompt)
        if not isinstance(expected_outputs, Mapping | None):
            raise ConfigurationError(
                f"task '{task_id}': expected_outputs is not a mapping, expected for example {{'risk_level': 'HIGH'}}"
            )
        kind = _kind(workflow_type)
        task, case = task_files(
            task_id, name, description, kind, baseline_prompt, tools_prompt, timeout, expected_outputs or {}
        )
        refuse_unstorable(case, f"task '{task_id}'")
        target = self._root / paths.OWN_TASKS / task_id
        if (taken := self._found().get(task_id)) is not None and not _same(taken, task, case):
            if taken != target:
                raise ConfigurationError(f"task id '{task_id}' is taken by {taken}", remedy="Choose another id")
            if not overwrite:
                raise ConfigurationError(
                    f"task '{task_id}' already exists in {target}",
                    remedy="Choose another id, or replace it with overwrite=True (--overwrite)",
                )
        try:
            return _store(target, task, case)
        except OSError as error:
            raise ConfigurationError(f"cannot write {target}: {error.strerror}") from None


def get_task_registry(root: Path | str | None = None) -> TaskRegistry:
    """The tasks of the workflow in `root`, or of the workflow that contains the current folder.

    Raises:
        ConfigurationError: there is no workflow.
    """
    return TaskRegistry(find_root(Path(root) if root else None))


def _require_id(task_id: object) -> None:
    if not isinstance(task_id, str) or not re.fullmatch(PATH_SAFE, task_id):
        raise ConfigurationError(f"task id '{task_id}': use letters, digits, '-' and '_' only (it names a folder)")
    try:
        checked(task_id)
    except ValueError as error:
        raise ConfigurationError(f"task id {error}") from None


def _require_texts(task_id: str, **texts: object) -> None:
    for field, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise ConfigurationError(f"task '{task_id}': {field} is empty or not a text")


def _kind(workflow_type: WorkflowType | str) -> WorkflowType:
    try:
        return WorkflowType(workflow_type)
    except ValueError:
        raise ConfigurationError(
            f"unknown workflow type '{workflow_type}', {nearest(workflow_type, WorkflowType)}"
        ) from None


def create_custom_task(**arguments: Any) -> Task:
    """`TaskRegistry.create_custom_task` for the workflow that contains the current folder."""
    return get_task_registry().create_custom_task(**arguments)


def task_files(
    task_id: str,
    name: str,
    description: str,
    kind: WorkflowType,
    baseline_prompt: str,
    tools_prompt: str,
    timeout: float | None,
    expected: Mapping[str, JsonValue],
) -> tuple[JsonObject, JsonObject]:
    """What goes into task.yaml and the case's file.

    Raises:
        ConfigurationError: an expected output has no scorer.
    """
    derived = {field: answer_field(field, value) for field, value in expected.items()}
    schemas = {field: schema for field, (schema, _) in derived.items()} or {
        "answer": {"type": "string", "maxLength": FREE_TEXT}
    }
    task: JsonObject = {
        "id": task_id,
        "name": name,
        "description": description or name,
        "workflow_type": str(kind),
        "question": "{{ request }}",
        "answer_schema": {
            "type": "object",
            "additionalProperties": False,
            "required": list(schemas),
            "properties": schemas,
        },
        "scoring": [{"field": field, **rule} for field, (_, rule) in derived.items()],
    }
    if timeout is not None:
        task["timeout"] = timeout
    longest = max(len(baseline_prompt), len(tools_prompt))
    case: JsonObject = {
        "id": "given",
        "cluster": task_id,
        "size": "S" if longest / CHARS_PER_TOKEN <= LARGEST["S"] else "L",
        "contexts": {"baseline": baseline_prompt, "tools": tools_prompt},
        "vars": {"request": f"Do what is asked above. Give: {', '.join(schemas)}."},
        "notes": "The context of both arms was supplied by the user; no tool ran.",
    }
    if expected:
        case |= {"truth": dict(expected), "established": "expected outputs supplied by the user"}
    return task, case


def answer_field(field: str, value: object) -> tuple[JsonObject, JsonObject]:
    """JSON schema and scoring rule of one field of the answer, derived from its expected value.

    Raises:
        ConfigurationError: the field has no name, or the value no scorer.
    """
    if not field.strip():
        raise ConfigurationError("an expected output has no name: expected for example {'risk_level': 'HIGH'}")
    match value:
        case bool():
            return {"type": "boolean"}, {"scorer": "exact"}
        case int():
            return {"type": "integer"}, {"scorer": "number"}
        case float() if math.isfinite(value):
            return {"type": "number"}, {"scorer": "number", "relative": 0.01}
        case str() if len(value) <= 40 and "\n" not in value:
            return {"type": "string", "maxLength": 80}, {"scorer": "choice"}
        case str():
            return {"type": "string", "maxLength": max(FREE_TEXT, 3 * len(value))}, {"scorer": "contains"}
        case list() if value and all(isinstance(item, str) for item in value):
            items: JsonObject = {"type": "string", "maxLength": max(80, 2 * max(map(len, value)))}
            schema: JsonObject = {"type": "array", "maxItems": max(20, 2 * len(value)), "items": items}
            return schema, {"scorer": "set_f1", "normalise": ["lower", "strip"]}
    raise ConfigurationError(
        f"expected output '{field}' is {json.dumps(value, default=str)[:60]}, which has no scorer",
        remedy="Use a text, a number, true or false, or a list of texts; for anything else, write a task folder",
    )


def _same(folder: Path, task: Mapping[str, JsonValue], case: Mapping[str, JsonValue]) -> bool:
    """Whether a folder already holds exactly this task, so that making it again is not an error."""
    try:
        texts = [
            folder.joinpath(*name).read_text(encoding="utf-8") for name in (("task.yaml",), ("cases", "given.yaml"))
        ]
    except OSError:
        return False
    return texts == [_yaml(task), _yaml(case)]


def _store(target: Path, task: Mapping[str, JsonValue], case: Mapping[str, JsonValue]) -> Task:
    """Write the folder next to its target, check it like any other task, and only then move it there.

    Raises:
        ConfigurationError: it is not a task, or cannot be written; what was there stays.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=target.parent) as scratch:
            draft, old = Path(scratch) / target.name, Path(scratch) / "old"
            (draft / "cases").mkdir(parents=True)
            (draft / "task.yaml").write_text(_yaml(task), encoding="utf-8")
            (draft / "cases" / "given.yaml").write_text(_yaml(case), encoding="utf-8")
            _check(draft, target)
            if target.exists():
                os.replace(target, old)
            try:
                os.replace(draft, target)
            except OSError:
                if old.exists():
                    os.replace(old, target)
                raise
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {target}: {error.strerror}", remedy="Free disk space or make the folder writable"
        ) from None
    return load_task(target)


def _check(draft: Path, target: Path) -> None:
    try:
        load_task(draft)
    except ConfigurationError as error:
        lines = [line.replace(str(draft), str(target)) for line in str(error).splitlines()]
        raise ConfigurationErrors(lines) from None


def _yaml(data: Mapping[str, JsonValue]) -> str:
    return yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=100)
