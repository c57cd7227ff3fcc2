"""A tool that fails on its first cases in one way is given up; one that fails here and there is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_dev_tools.benchmark.prompts.tool_results import ToolResult, collect_contexts
from ai_dev_tools.benchmark.tasks.loading import load_task
from support.making import case, tool, undisturbed, write_task

CASES = [case(f"c{n}", source=None, inline={f"f{n}.py": f"{n}\n"}) for n in range(6)]


def collected(folder: Path, code: str, known: list[ToolResult] | None = None, **changed: object) -> list[ToolResult]:
    if not (folder / "colours").exists():
        write_task(folder, *CASES, sources={"x": ""})
    spec = tool(folder, "-c", f"import glob, sys\nname = glob.glob('f*')[0]\n{code}", **changed)
    known_rows = {row.case: row for row in known or []}
    return undisturbed(collect_contexts(load_task(folder / "colours"), spec, folder, known_rows))


def ran(folder: Path, rows: list[ToolResult]) -> list[str]:
    return [row.case for row in rows if not str(row.error).startswith("not run")]


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("sys.exit('no model at port 9')", {}),
        ("sys.exit('cannot parse ' + name + ' at 0x%x' % id(name))", {}),
        ("sys.exit(int('3'))", {}),
        ("sys.exit('wrong: line %s of ./%s' % (len(name) + int(name[1]), name))", {}),
        ("print('no json in ' + name)", {"output": "json"}),
        ("", {"output": "json"}),
        ("print(1)", {"template": "{{ nothing }}"}),
        ("import time; print(name, flush=True); time.sleep(60)", {"timeout_s": 0.5}),
    ],
    ids=["message", "name", "code", "line", "garbage", "empty", "template", "hang"],
)
def test_a_tool_that_fails_the_same_way_three_times_is_not_run_on_the_rest(
    code: str, changed: dict[str, object], tmp_path: Path
) -> None:
    rows = collected(tmp_path, code, **changed)
    assert [row.status for row in rows] == ["failed"] * 6
    assert ran(tmp_path, rows) == ["c0", "c1", "c2"]
    assert all(str(rows[0].error) in str(row.error) for row in rows[3:])
    assert all("failed on the first 3 cases in the same way" in str(row.error) for row in rows[3:])


def test_what_was_not_run_costs_what_the_first_cases_cost(tmp_path: Path) -> None:
    """A user would have waited as long on each of them: nothing would make the tool look cheap."""
    rows = collected(tmp_path, "import time; time.sleep(0.05); sys.exit('no')")
    assert {row.wall_s for row in rows[3:]} == {sorted(row.wall_s for row in rows[:3])[1]}


@pytest.mark.parametrize(
    "code",
    [
        "sys.exit('no' if name != 'f1.py' else None)",
        "sys.exit({'0': 'no memory', '1': 'no disk'}.get(name[1], 'no time'))",
        "sys.exit({'0': 1, '1': 2}.get(name[1], 3))",
    ],
    ids=["one is fine", "other words", "other codes"],
)
def test_a_tool_that_fails_in_several_ways_or_works_at_all_is_run_on_all(code: str, tmp_path: Path) -> None:
    rows = collected(tmp_path, code)
    assert ran(tmp_path, rows) == [f"c{n}" for n in range(6)]


def test_a_tool_that_was_given_up_gets_another_chance(tmp_path: Path) -> None:
    switch = tmp_path / "works"
    code = f"import os; sys.exit(None if os.path.exists({str(switch)!r}) else 'no server')"
    rows = collected(tmp_path, code)
    assert len(ran(tmp_path, rows)) == 3
    switch.touch()
    assert {row.status for row in collected(tmp_path, code, rows)} == {"ok"}


def test_known_results_are_not_given_up_with_the_rest(tmp_path: Path) -> None:
    """The last case was run alone, before the first ones failed."""
    code = "sys.exit('no' if name != 'f5.py' else None)"
    first = collected(tmp_path, code)
    assert first[5].error is not None
    assert first[5].error.startswith("not run")
    spec = tool(tmp_path, "-c", f"import glob, sys\nname = glob.glob('f*')[0]\n{code}")
    task = load_task(tmp_path / "colours")
    (last,) = undisturbed(collect_contexts(task, spec, tmp_path, {}, cases=["c5"]))
    rows = collected(tmp_path, code, [last])
    assert rows[5] == last
    assert ran(tmp_path, rows) == [f"c{n}" for n in range(6)]


def test_a_known_result_of_the_tool_shows_that_it_works(tmp_path: Path) -> None:
    code = "sys.exit('no' if name != 'f0.py' else None)"
    first = collected(tmp_path, code)
    again = collected(tmp_path, code, first)
    assert again[0] == first[0]
    assert len(ran(tmp_path, again)) == 6
