"""Other programs beside a tool: recorded with its time, told, and reason enough not to compare that time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from ai_dev_tools.benchmark.analysis.flatten import sample_row
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.analysis.validity_table import check_samples
from ai_dev_tools.benchmark.endpoints.resource_use import is_disturbed
from ai_dev_tools.benchmark.plugins import CaseInputs
from ai_dev_tools.benchmark.prompts.approaches import build_context, find_approach
from ai_dev_tools.benchmark.prompts.rendering import render_prompts
from ai_dev_tools.benchmark.prompts.tool_results import ToolResult, collect_contexts, disturbed_line
from ai_dev_tools.benchmark.prompts.tools import run_tool
from ai_dev_tools.benchmark.tasks.loading import load_task
from support.making import case, sample, tool, write_task

CORES = os.cpu_count() or 1
FOR_A_WHILE = "import time\nend = time.monotonic() + 0.6\nwhile time.monotonic() < end: {body}\nprint(1)"
seen_here = pytest.mark.skipif(sys.platform != "linux", reason="what a machine does besides is read from /proc")


def result(**changed: Any) -> ToolResult:
    fields = {"case": "one", "tool": "echo", "version": "1", "digest": "d", "status": "ok", "wall_s": 1.0}
    return ToolResult(**fields | changed)


# --- measured ---------------------------------------------------------------------------------------------------------


@seen_here
def test_work_of_others_is_recorded(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            run = run_tool(tool(tmp_path, "-c", FOR_A_WHILE.format(body="time.sleep(0.05)")), {}, {}, sandbox="none")
        finally:
            other.kill()
    assert run.other_cpu_s is not None
    assert is_disturbed(run.other_cpu_s, run.wall_s)


@seen_here
def test_the_work_of_the_tool_and_its_children_is_not_that_of_others(tmp_path: Path) -> None:
    """It takes all cores, so that nothing is left that others could have used."""
    fork = f"import os\nfor _ in range({CORES - 1}):\n    if not os.fork(): break\n"
    run = run_tool(tool(tmp_path, "-c", fork + FOR_A_WHILE.format(body="pass")), {}, {}, sandbox="none")
    assert run.other_cpu_s is not None
    assert run.cpu_s > 0
    assert run.other_cpu_s <= CORES * (run.wall_s + 0.1) - run.cpu_s


@pytest.mark.parametrize(
    ("other_s", "wall_s", "disturbed"),
    [(None, 1.0, False), (0.19, 0.2, False), (0.3, 1.0, True), (0.3, 2.0, False), (4.0, 2.0, True)],
)
def test_a_quarter_of_a_core_disturbs_if_it_can_be_told(other_s: float | None, wall_s: float, disturbed: bool) -> None:
    assert result(other_cpu_s=other_s, wall_s=wall_s).disturbed is disturbed


# --- told, and measured again -------------------------------------------------------------------------------------------


def test_a_disturbed_result_is_made_again_when_the_job_runs_and_an_undisturbed_one_is_kept(tmp_path: Path) -> None:
    write_task(tmp_path, case("one"), case("two"))
    task, spec = load_task(tmp_path / "colours"), tool(tmp_path, "-c", "import time; print(time.time_ns())")
    first = collect_contexts(task, spec, tmp_path, {})
    known = {
        "one": msgspec.structs.replace(first[0], other_cpu_s=9.0),
        "two": msgspec.structs.replace(first[1], other_cpu_s=0.0),
    }
    again = collect_contexts(task, spec, tmp_path, known)
    assert [row.text == old.text for row, old in zip(again, first, strict=True)] == [False, True]


def test_one_line_says_which_and_what_to_do() -> None:
    rows = [result(other_cpu_s=0.0), result(case="two", other_cpu_s=1.5), result(case="three", other_cpu_s=0.5)]
    assert disturbed_line("colours", rows) == (
        "warning: colours: other programs used the machine while echo ran, on 2 cases (on two 1.5 cores): its time there "
        "counts for no claim. On a quiet machine, add `--forcerun collect_contexts`: no model is asked again"
    )
    assert disturbed_line("colours", rows[:1]) is None


# --- on the way to a verdict --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("others", "expected"), [((0.5, 0.25), 0.75), ((0.5, None), None)], ids=["all known", "one unknown"]
)
def test_an_arm_of_several_tools_was_disturbed_by_what_disturbed_each(
    others: tuple[float | None, ...], expected: float | None
) -> None:
    found = {f"t{n}": result(tool=f"t{n}", other_cpu_s=other) for n, other in enumerate(others)}
    material = CaseInputs(case="one", texts={}, findings=found, tools=tuple(found))
    for arm in ("tools", "shuffled"):
        context = build_context(find_approach(arm, found), material)
        assert (context.tool_s, context.tool_other_cpu_s) == (2.0, expected)
    assert build_context(find_approach("baseline", found), material).tool_other_cpu_s is None


def test_time_during_which_other_programs_ran_is_void_and_tokens_are_not() -> None:
    pair = [
        sample(approach="baseline"),
        sample(approach="tools", order=1, tool_s=2.0, tool_other_cpu_s=1.0),
    ]
    table = pd.DataFrame([sample_row(one) for one in pair])
    checked = Samples.prepare(table).frame.set_index("approach")
    assert checked["why_time"].astype(str).to_dict() == {"baseline": "", "tools": "tool_contention"}
    assert not checked["void_tokens"].any()


def test_a_tool_of_an_earlier_version_whose_surroundings_are_unknown_is_not_called_undisturbed() -> None:
    table = pd.DataFrame([sample_row(sample(tool_s=2.0)), sample_row(sample(approach="tools", order=1))])
    ledger = check_samples(table)
    found = ledger[ledger["check"] == "tool_contention"].set_index("approach")["status"].astype(str).to_dict()
    assert found == {"baseline": "unknown", "tools": "ok"}


@pytest.mark.parametrize("status", ["ok", "failed"])
def test_a_prompt_says_it_of_its_tools_also_where_they_failed(status: str, tmp_path: Path) -> None:
    task = load_task(write_task(tmp_path, case("one")))
    found = {"echo": {"one": result(status=status, error="crashed", wall_s=2.0, other_cpu_s=0.75)}}
    arms = [find_approach(name, found) for name in ("baseline", "tools")]
    baseline, tools = render_prompts(task, found, arms, tmp_path)
    assert (baseline.tool_s, baseline.tool_other_cpu_s) == (0.0, None)
    assert (tools.tool_s, tools.tool_other_cpu_s) == (2.0, 0.75)


def test_a_tool_that_failed_next_to_others_says_it_too(tmp_path: Path) -> None:
    write_task(tmp_path, case("one"))
    (row,) = collect_contexts(load_task(tmp_path / "colours"), tool(tmp_path, "-c", "1 / 0"), tmp_path, {})
    assert row.status == "failed"
    assert (row.other_cpu_s is not None) == (sys.platform == "linux")
