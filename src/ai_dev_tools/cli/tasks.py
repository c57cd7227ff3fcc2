"""Commands about tasks: list-tasks, add-task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, TypedDict

import typer

from ai_dev_tools.benchmark._util.json_values import JsonObject, table_in
from ai_dev_tools.benchmark.config.shipped_files import task_folders_of
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.names import clean_files
from ai_dev_tools.benchmark.records.paths import CASE_LIST
from ai_dev_tools.cli import console
from ai_dev_tools.cli.command_request import CommandRequest
from ai_dev_tools.cli.options import AsJson, Root


class TaskRow(TypedDict):
    """A task as `list-tasks` shows it."""

    id: str
    name: str
    workflow_type: str
    cases: int
    S: int
    L: int
    complete: bool
    tools: str
    description: str
    folder: str


def list_tasks(root: Root = None, as_json: AsJson = False) -> None:
    """List all tasks."""
    rows = task_rows(CommandRequest(root).find_root())
    console.out_json(rows) if as_json else console.out(task_table(rows))


def add_task(
    task_id: Annotated[str, typer.Option("--task-id", help="Letters, digits, '-' and '_'")],
    name: Annotated[str, typer.Option("--name", help="For people")],
    baseline_prompt: Annotated[str, typer.Option("--baseline-prompt", help="Context of the baseline arm; @FILE")],
    tools_prompt: Annotated[str, typer.Option("--tools-prompt", help="Context of the tools arm; @FILE reads it")],
    workflow_type: Annotated[str, typer.Option("--workflow-type", help="safety_check, pattern_analysis …")] = "custom",
    description: Annotated[str, typer.Option("--description", help="One sentence [default: the name]")] = "",
    expected_outputs: Annotated[
        str | None, typer.Option("--expected-outputs", metavar="JSON", help='{"risk_level": "HIGH"}')
    ] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds for one request")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace your task with this id")] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Add a task made from two prompts."""
    from ai_dev_tools.benchmark.tasks.registry import get_task_registry  # takes 0.2 s

    task = get_task_registry(root).create_custom_task(
        task_id, name, workflow_type, text_or_file(baseline_prompt), text_or_file(tools_prompt), description, timeout,
        json_table(expected_outputs, "--expected-outputs"), overwrite,
    )  # fmt: skip
    if as_json:
        console.out_json({"id": task.id, "folder": task.folder, "answer_schema": task.answer_schema})
    else:
        console.tell(f"Task '{task.id}' is in {task.folder}. Run it: ai-dev-bench run --tasks {task.id}")
    if expected_outputs is None:
        console.say("note: without --expected-outputs answers are not scored, so no verdict on it can say 'saves'")


def task_rows(root: Path) -> list[TaskRow]:
    """One row per task. Reads only what is shown: a task that is broken elsewhere is found by `validate`.

    `complete` is false where a list of cases is not fetched yet, whose cases are then not counted.
    """
    import yaml  # takes 10 ms

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    rows: dict[str, TaskRow] = {}
    for path in sorted(path for folder in task_folders_of(root) for path in clean_files(folder, "*/task.yaml")):
        try:
            task = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
            listed, complete = _listed_sizes(path, task, root)
            sizes = [_size(case) for case in clean_files(path.parent, "cases/*.yaml")] + listed
            rows[path.parent.name] = {
                "id": path.parent.name,
                "name": task["name"],
                "workflow_type": task["workflow_type"],
                "cases": len(sizes),
                "S": sizes.count("S"),
                "L": sizes.count("L"),
                "complete": complete,
                "tools": ", ".join(task.get("tools") or ()),
                "description": task.get("description", ""),
                "folder": str(path.parent),
            }
        except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"{path} is not a task ({type(error).__name__}: {error})",
                remedy="See what is wrong: ai-dev-bench validate",
            ) from None
    return [rows[name] for name in sorted(rows)]


def task_table(rows: list[TaskRow]) -> str:
    """The tasks for people."""
    shown = [{**row, "cases": f"{row['cases']}{'' if row['complete'] else '+'}"} for row in rows]
    text = console.table(shown, ["id", "workflow_type", "cases", "S", "L", "tools", "name"])
    return text if all(row["complete"] for row in rows) else f"{text}\n+ and those of a list that a run will fetch"


def _size(case: Path) -> str:
    for line in case.read_text(encoding="utf-8").splitlines():
        if line.startswith("size:"):
            return line.removeprefix("size:").split("#")[0].strip(" \"'")
    return "?"


def _listed_sizes(path: Path, task: JsonObject, root: Path) -> tuple[list[str], bool]:
    """Sizes of the cases that a task has from lists, and whether all lists are available; fetches nothing."""
    folder, declared = path.parent, task.get("cases_from")
    if not declared and not any((folder / name).is_file() for name in ("cases.jsonl", "cases.csv")):
        return [], True  # importing the module that reads lists takes longer than all the rest
    # these take 0.1 s
    from ai_dev_tools.benchmark.config.parsing import parse
    from ai_dev_tools.benchmark.tasks.case_lists import CaseList, list_files, listed_cases

    pinned = parse(CaseList, declared, f"{path}: cases_from") if declared else None
    remote = root / CASE_LIST.format(sha256=pinned.sha256, format=pinned.kind) if pinned and pinned.url else None
    files = list_files(folder, None if remote else pinned, str(path))
    if pinned and remote and remote.is_file():
        files.append((remote, pinned.kind))
    fields = table_in(table_in(task.get("answer_schema")).get("properties"))
    rows = [row for file, kind in files for _, row in listed_cases(file, kind, fields)]
    return [str(row.get("size", "?")) for row in rows], remote is None or remote.is_file()


def text_or_file(value: str) -> str:
    """The text itself, or with `@FILE` the content of the file."""
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot read {value[1:]}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{value[1:]} is not UTF-8 text ({error})") from None


def json_table(text: str | None, option: str) -> JsonObject | None:
    """A JSON object given on the command line."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f'{option}: not JSON ({error}), expected for example \'{{"risk_level": "HIGH"}}\''
        ) from None
    if not isinstance(value, dict) or not value:
        raise ConfigurationError(f"{option}: expected a JSON object with a field or more, found {text[:60]}")
    return value
