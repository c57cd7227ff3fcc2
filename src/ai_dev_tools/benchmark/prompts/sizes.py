"""Estimate the tokens of prompts from their characters, and check the size class of cases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.errors import ConfigurationErrors
from ai_dev_tools.benchmark.prompts import Prompt
from ai_dev_tools.benchmark.tasks.size_classes import CHARS_PER_TOKEN, LARGEST

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.tasks.loading import Task

REFUSED_BEYOND = 1.5
"""A case is refused if its estimate exceeds its class by this factor, which is more than tokenizers differ."""
_MOST_LINES = 10


def estimated_tokens(text: str) -> int:
    """Number of tokens of a text, estimated from its characters."""
    return round(len(text) / CHARS_PER_TOKEN)


def refuse_wrong_sizes(task: Task, rows: Iterable[Prompt]) -> None:
    """Raise ConfigurationErrors, a line per case, if a baseline prompt is far longer than its size class.

    A context that the user wrote may have any length: there is no larger class, and there are no files to leave out.
    """
    files = {case.id for case in task.cases if case.contexts is None}
    baselines = (row for row in rows if row.approach == "baseline" and row.case in files)
    lines = [problem for row in baselines if (problem := size_problem(row, far_beyond=True))]
    if lines:
        rest = [f"… and {plural(len(lines) - _MOST_LINES, 'more case')}"] if len(lines) > _MOST_LINES else []
        raise ConfigurationErrors([*lines[:_MOST_LINES], *rest])


def size_problem(row: Prompt, far_beyond: bool = False) -> str | None:
    """Why a prompt does not fit the size class that its case declares; None if it does."""
    tokens = estimated_tokens(row.prompt or "")
    if tokens <= LARGEST[row.size] * (REFUSED_BEYOND if far_beyond else 1):
        return None
    fitting = next((size for size, most in LARGEST.items() if tokens <= most), None)
    way_out = f"declare size: {fitting}" if fitting else "show fewer files, or cut them with `excerpt`"
    return (
        f"task {row.task}: case '{row.case}' has size {row.size}, at most {LARGEST[row.size]:,} tokens, but its baseline "
        f"prompt has about {tokens:,} ({len(row.prompt or ''):,} characters): {way_out}"
    )
