"""Tasks and their cases; defined in `loading`, with their questions in `questions`.

Names are imported when first used, so that a block job, which needs `answers` and `scoring` only, stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.tasks.case_files import *  # noqa: F403
    from ai_dev_tools.benchmark.tasks.loading import *  # noqa: F403
    from ai_dev_tools.benchmark.tasks.questions import *  # noqa: F403

_HOMES = {
    "CORPUS_PREFIX": "loading",
    "Case": "loading",
    "ScoringRule": "loading",
    "Task": "loading",
    "TaskRegistry": "registry",
    "case_texts": "case_files",
    "check_names": "loading",
    "content_digest": "case_files",
    "create_custom_task": "registry",
    "find_tasks": "loading",
    "get_task_registry": "registry",
    "load_task": "loading",
    "render_questions": "questions",
    "source_files": "case_files",
}


def __getattr__(name: str) -> object:
    if home := _HOMES.get(name):
        return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
