"""The tasks that come with the benchmark, for tests of them."""

from __future__ import annotations

import functools

from ai_dev_tools.benchmark.tasks.loading import Task, find_tasks, load_task
from support.repository import ROOT

SHIPPED = find_tasks([ROOT / "config" / "tasks"])
CORPORA = ROOT / "resources" / "corpora"


@functools.cache
def load_once(task_id: str) -> Task:
    """A shipped task."""
    return load_task(SHIPPED[task_id])
