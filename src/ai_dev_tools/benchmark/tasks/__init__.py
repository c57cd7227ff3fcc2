"""Tasks and their cases; defined in `loading`.

Names are imported when first used, so that a block job, which needs `answers` and `scoring` only, stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.tasks.loading import *  # noqa: F403

_NAMES = frozenset(
    {
        "CORPUS_PREFIX",
        "Case",
        "ScoringRule",
        "Task",
        "TaskRegistry",
        "case_texts",
        "check_names",
        "content_digest",
        "create_custom_task",
        "find_tasks",
        "get_task_registry",
        "load_task",
        "render_question",
        "render_questions",
        "source_files",
    }
)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(f"{__name__}.loading"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
