"""What tests of the pipeline are made of: small valid tasks, prompts, blocks and samples, each with what differs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ai_dev_tools.benchmark.prompts import Prompt
from ai_dev_tools.benchmark.prompts.tool_results import ToolResult
from ai_dev_tools.benchmark.prompts.tool_spec import ToolSpec
from ai_dev_tools.benchmark.records.block import PROTOCOL, Block
from ai_dev_tools.benchmark.records.endpoint_spec import EndpointSpec
from ai_dev_tools.benchmark.records.sample import Attempt, EndpointIdentity, Request, Resources, Sample
from ai_dev_tools.benchmark.tasks.loading import Case, Task
from ai_dev_tools.benchmark.tasks.questions import render_questions

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["colour"],
    "properties": {"colour": {"type": "string", "enum": ["red", "green"], "maxLength": 5}},
}
SCORING: list[dict[str, Any]] = [{"field": "colour", "scorer": "choice", "weight": 1.0}]

TASK: dict[str, Any] = {
    "id": "colours",
    "name": "Colours",
    "description": "Which colour is it?",
    "workflow_type": "custom",
    "tools": ["echo"],
    "question": "Which colour has {{ thing }}?",
    "answer_schema": SCHEMA,
    "scoring": SCORING,
}


def case(case_id: str, **changed: Any) -> dict[str, Any]:
    """A valid case of the task; a change to None leaves the field out."""
    fields = {
        "id": case_id,
        "cluster": case_id,
        "size": "S",
        "source": case_id,
        "vars": {"thing": "the sky"},
        "truth": {"colour": "red"},
        "established": "looked",
    } | changed
    return {key: value for key, value in fields.items() if value is not None}


def write_task(folder: Path, *cases: dict[str, Any], sources: dict[str, str] | None = None, **changed: Any) -> Path:
    """Write the task `colours` below `folder`; returns its folder.

    Args:
        cases: default: `one` and `two`.
        sources: text by path below `sources/`; default: one file for each case.
    """
    task = folder / "colours"
    cases = cases or (case("one"), case("two"))
    (task / "cases").mkdir(parents=True)
    data = {key: value for key, value in (TASK | changed).items() if value is not None}
    (task / "task.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    for item in cases:
        (task / "cases" / f"{item['id']}.yaml").write_text(yaml.safe_dump(item))
    for name, text in (sources or {f"{item['id']}/app.py": f"# {item['id']}\nx = 1\n" for item in cases}).items():
        path = task / "sources" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return task


def question_of(task: Task, case: Case) -> str:
    """What every arm is asked of a case."""
    question = render_questions(task, [case])[case.id]
    assert isinstance(question, str)
    return question


def tool(folder: Path, *command: str, **changed: Any) -> ToolSpec:
    """A tool that runs this Python with `command`; prints what it prints."""
    fields: dict[str, Any] = {
        "id": "echo",
        "description": "prints",
        "install": "pip install echo",
        "command": ("{python}", *command),
        "output": "text",
        "template": "{{ text }}",
        "folder": folder,
    }
    return ToolSpec(**fields | changed)


def undisturbed(rows: Iterable[ToolResult]) -> list[ToolResult]:
    """Results as if the machine did nothing else, however busy it is: those that others disturbed are made again."""
    return [msgspec.structs.replace(row, other_cpu_s=0.0) for row in rows]


def prompt(case_id: str, approach: str, text: str | None = None, **changed: Any) -> Prompt:
    """A rendered prompt of the task."""
    text = f"What about {case_id} by {approach}?" if text is None else text
    fields: dict[str, Any] = {
        "task": "colours",
        "case": case_id,
        "cluster": case_id,
        "size": "S",
        "approach": approach,
        "prompt": text,
        "prompt_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "answer_schema": SCHEMA,
        "scoring": SCORING,
        "truth": {"colour": "red"},
        "stratum": "",
    }
    return Prompt(**fields | changed)


def prompts(block: Block, **changed: Any) -> dict[tuple[str, str], Prompt]:
    """The prompts that a block needs."""
    return {(c, a): prompt(c, a, **changed) for c in block.cases for a in block.approaches}


def block(**changed: Any) -> Block:
    """A block of two arms on three cases."""
    fields: dict[str, Any] = {
        "profile": "light",
        "results": "results/light",
        "instance": "small",
        "model": "fake:1b",
        "task": "colours",
        "cases": ["one", "two", "three"],
        "samples": 3,
        "approaches": ["baseline", "tools"],
        "options": {"temperature": 0.0, "num_ctx": 8192, "num_predict": 512},
        "think": False,
        "timeout_s": 10.0,
        "attempts": 3,
        "retry": "default",
        "round": 0,
        "plan": "0123456789abcdef",
        "run_requests": 6,
        "endpoint": {
            "kind": "external",
            "instance": "small",
            "model": "fake:1b",
            "max_concurrent": 2,
            "startup_timeout_s": 5,
        },
    } | changed
    return Block(**fields | {"endpoint": EndpointSpec.from_dict(fields["endpoint"])})


def sample(**changed: Any) -> Sample:
    """A completed sample."""
    fields: dict[str, Any] = {
        "profile": "light",
        "instance": "small",
        "model": "fake:1b",
        "model_digest": "abc",
        "task": "colours",
        "case": "one",
        "cluster": "one",
        "size": "S",
        "approach": "baseline",
        "sample": 0,
        "repeat": 0,
        "seed": 7,
        "status": "completed",
        "error": None,
        "response": '{"colour": "red"}',
        "answer": {"colour": "red"},
        "score": 1.0,
        "input_tokens": 100,
        "output_tokens": 10,
        "total_tokens": 110,
        "duration_s": 1.5,
        "time_to_first_token_s": 0.5,
        "load_s": 0.0,
        "prompt_eval_s": 0.4,
        "eval_s": 1.0,
        "rest_s": 0.1,
        "tool_s": 0.0,
        "prompt_cached_tokens": 0,
        "resources": Resources(),
        "plan": None,
        "done_reason": "stop",
        "attempts": [Attempt("2026-01-01T00:00:00Z", 1.5)],
        "order": 0,
        "in_flight": 1,
        "session": "s",
        "started_at": "2026-01-01T00:00:00Z",
        "flags": [],
        "request": Request("d", "p", {"seed": 7}, PROTOCOL),
        "endpoint": EndpointIdentity("external", "0.0.0-fake"),
    }
    return Sample(**fields | changed)
