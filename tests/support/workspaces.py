"""Tasks whose cases have workspaces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ai_dev_tools.benchmark.tasks.loading import Task, load_task
from ai_dev_tools.benchmark.tasks.workspaces import WorkspaceFiles, read_workspace
from support.making import case, write_task


def task_of(folder: Path, *spaces: dict[str, Any], **changed: Any) -> Task:
    cases = [
        case(f"case{number}", source=None, workspace=space, **changed) for number, space in enumerate(spaces, start=1)
    ]
    more = {"tools": None, "agents_only": True, "single_source": True}
    return load_task(write_task(folder / "tasks", *cases, **more))


def files_of(task: Task, corpora: Path) -> WorkspaceFiles:
    item = task.cases[0]
    assert item.workspace is not None
    return read_workspace(item, item.workspace, corpora, task.folder)
