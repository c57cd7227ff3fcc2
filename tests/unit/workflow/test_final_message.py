"""What is left of a run when it ends."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from ai_dev_tools.benchmark.errors import LARGER_BUDGET
from ai_dev_tools.benchmark.workflow import final_message
from ai_dev_tools.benchmark.workflow.final_message import cancel_timers, closing_lines
from ai_dev_tools.benchmark.workflow.flow import Flow


def test_timers_that_the_scheduler_leaves_do_not_keep_the_process_alive() -> None:
    """Each would wait its second out after the last job."""
    left = threading.Timer(3600.0, lambda: None)
    left.start()
    cancel_timers()
    left.join(60.0)
    assert not left.is_alive()


BUDGET = f"error: 1 USD of the budget of 1 USD is spent: 3 of 9 requests of this run are answered. {LARGER_BUDGET}."


def test_a_spent_budget_is_said_once_and_not_to_continue_with_the_same_command() -> None:
    earlier = BUDGET.replace("3 of", "2 of")
    assert closing_lines([earlier, BUDGET]) == ["The run is not complete: its budget is spent.", BUDGET]
    assert closing_lines(["error: x", BUDGET, "error: x"])[1:] == ["error: x", BUDGET]


@pytest.mark.parametrize(("rule", "said"), [("validate", 0), ("plan", 0), ("run_block", 1)])
def test_what_measures_nothing_is_not_called_a_run_to_be_continued(
    rule: str, said: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(final_message, "report_failure", lambda profile, since: calls.append(profile))
    workflow = SimpleNamespace(
        dag=SimpleNamespace(needrun_jobs=lambda: [SimpleNamespace(rule=SimpleNamespace(name=rule))])
    )
    flow: Any = SimpleNamespace(_workflow=workflow, profile="light", _started=0.0)
    Flow.report_failure(flow)
    assert len(calls) == said
