"""The question of each case: a task's template with the case's variables, the same in every arm."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ai_dev_tools.benchmark.tasks.templating import MAX_QUESTION_BYTES, TemplateFailure, render_each

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.tasks.loading import Case, Task


def render_questions(task: Task, cases: Iterable[Case] | None = None) -> dict[str, str | TemplateFailure]:
    """The question of each case by its id; stops after one that uses too much time or memory."""
    asked = list(task.cases if cases is None else cases)
    rendered = render_each(task.question, [case.vars for case in asked], MAX_QUESTION_BYTES)
    return {
        case.id: found if isinstance(found, TemplateFailure) else found.strip()
        for case, found in zip(asked, rendered, strict=False)
    }


def question_error(task: Task, case: Case, failed: TemplateFailure) -> str:
    """Why a question could not be rendered, and where to look."""
    where = task.folder / "task.yaml"
    if failed.kind == "limit":
        return f"{case.where}: the question of {where} uses too much: {failed.message}"
    return f"{case.where}: 'vars' do not fit the question of {where}: {failed.message}"
