"""Templates that tasks and tools read are rendered once a session: each time forks the test process, which is large.

Rendering itself is tested in unit/tasks/test_templating.py, which takes the functions from where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import pytest

from ai_dev_tools.benchmark.prompts import tool_spec
from ai_dev_tools.benchmark.tasks import questions, templating
from ai_dev_tools.benchmark.tasks.templating import Rendered, TemplateFailure

T = TypeVar("T")
_known: dict[tuple[object, ...], object] = {}


def _once(key: tuple[object, ...], render: Callable[[], T], is_final: Callable[[T], bool]) -> T:
    """What was rendered before under the same limits; what reached a limit may not do so again."""
    limits = (templating.CPU_S, templating.WALL_S, templating.MEMORY_BYTES, templating.MAX_TEXT_BYTES)
    if (known := _known.get((*key, *limits))) is not None:
        return known[0]  # type: ignore[index,no-any-return]
    found = render()
    if is_final(found):
        _known[(*key, *limits)] = (found,)
    return found


def _problem(source: str) -> str | None:
    return _once(("problem", source), lambda: templating.template_problem(source), lambda found: found is None)


def _each(
    source: str, values: Iterable[Mapping[str, object]], most_bytes: int = templating.MAX_TEXT_BYTES
) -> list[Rendered]:
    given = list(values)
    return list(
        _once(
            ("each", source, repr(given), most_bytes),
            lambda: templating.render_each(source, given, most_bytes),
            lambda found: not any(isinstance(outcome, TemplateFailure) for outcome in found),
        )
    )


def use(patch: pytest.MonkeyPatch) -> None:
    """Take what was rendered already."""
    patch.setattr(tool_spec, "template_problem", _problem)
    patch.setattr(questions, "render_each", _each)
