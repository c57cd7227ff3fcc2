"""Before the first request: a tool prepares each workspace once, and what it made goes with every copy of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ai_dev_tools.benchmark.agents.tool_actions import ToolActions
from ai_dev_tools.benchmark.agents.workspace_preparation import WorkspacePreparation, require_prepared, server_words
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts.episodes import workspace_digest
from ai_dev_tools.benchmark.records.agent_tool import AgentTool, ToolCommand
from ai_dev_tools.benchmark.records.episode import Workspace
from ai_dev_tools.benchmark.records.prepared import PreparedTool, read_prepared, write_prepared
from ai_dev_tools.benchmark.records.row_journal import keeping
from ai_dev_tools.benchmark.tasks.loading import load_task
from support.making import tool, write_task
from support.repository import ROOT

SERVER = ROOT / "tests" / "fakes" / "mcp_server.py"
MAKES = """
import os, pathlib
pathlib.Path("index.db").write_text(",".join(sorted(os.listdir("."))))
(pathlib.Path.home() / ".cache").mkdir()
(pathlib.Path.home() / ".cache" / "seen").write_text(os.getcwd())
open(os.path.join(os.environ["TMPDIR"], "t"), "w").write("tmp")
os.symlink("/etc/passwd", "link")
"""
LOOKS = """
import os
made, seen = open("index.db").read(), open(os.path.expanduser("~/.cache/seen")).read()
print(made, seen == os.getcwd(), os.path.lexists("link"), os.path.exists(os.environ["TMPDIR"] + "/t"))
"""
LOOK = ToolCommand(name="look", argv=["{python}", "-c", LOOKS])


def workspace(text: str = "x = 1\n") -> Workspace:
    texts = {"app.py": text}
    return Workspace(kind="case", label="one", digest=workspace_digest(texts), texts=texts)


def preparing(
    folder: Path, code: str = MAKES, known: dict[str, PreparedTool] | None = None, **changed: Any
) -> WorkspacePreparation:
    tool = AgentTool(id="index", version="1", digest="d", folder=str(folder), commands=[LOOK], timeout_s=20.0)
    command = ("{python}", "-c", code) if code else ()
    return WorkspacePreparation(msgspec.structs.replace(tool, **changed), command, True, known or {}, folder)


def test_what_a_tool_made_goes_with_every_copy_of_the_workspace(tmp_path: Path) -> None:
    (row,) = preparing(tmp_path).rows([("one", workspace(), "")])
    assert row.status == "ok" and row.agent is not None and row.agent.prepared is not None
    assert row.wall_s > 0 and row.cpu_s > 0
    assert [action.name for action in row.offered] == ["look"]
    with ToolActions(row.agent, workspace().texts, None, {}) as actions:
        text = actions.call("look", {}).text
    assert text.startswith("app.py ") and text.endswith(" False True")


def test_a_workspace_is_prepared_once_whatever_the_number_of_cases(tmp_path: Path) -> None:
    counting = f"open({str(tmp_path / 'runs')!r}, 'a').write('x')"
    cases = [("one", workspace(), ""), ("two", workspace(), ""), ("three", workspace("y = 2\n"), "")]
    first = preparing(tmp_path, counting, sandbox="none").rows(cases)
    assert (tmp_path / "runs").read_text() == "xx"
    write_prepared(tmp_path / "rows.jsonl", first)
    known = read_prepared(tmp_path / "rows.jsonl")
    assert preparing(tmp_path, counting, known, sandbox="none").rows(cases) == first
    assert (tmp_path / "runs").read_text() == "xx"
    preparing(tmp_path, counting, known, sandbox="none", digest="other").rows(cases)
    assert (tmp_path / "runs").read_text() == "xxxx"
    for row in first:
        assert row.agent is not None
        Path(str(row.agent.prepared)).unlink(missing_ok=True)
    preparing(tmp_path, counting, known, sandbox="none").rows(cases)
    assert (tmp_path / "runs").read_text() == "xxxxxx"


def test_what_is_prepared_is_kept_when_a_later_case_ends_the_job(tmp_path: Path) -> None:
    counting, path = f"open({str(tmp_path / 'runs')!r}, 'a').write('x')", tmp_path / "rows.jsonl"

    def prepare(cases: Iterable[tuple[str, Workspace, str]]) -> None:
        known = read_prepared(path)
        with keeping(path, known.values()) as keep:
            made = preparing(tmp_path, counting, known, sandbox="none")
            made.keep = keep
            write_prepared(path, made.rows(cases))

    def changing() -> Iterator[tuple[str, Workspace, str]]:
        yield "one", workspace(), ""
        raise ConfigurationError("its files have changed since the prompts were made")

    with pytest.raises(ConfigurationError, match="have changed"):
        prepare(changing())
    kept = read_prepared(path)
    assert kept.keys() == {"one"} and not path.exists()
    prepare([("one", workspace(), "")])
    assert (tmp_path / "runs").read_text() == "x"
    assert read_prepared(path) == kept and path.exists()


def test_a_tool_that_cannot_prepare_a_workspace_has_failed_there_at_its_cost(tmp_path: Path) -> None:
    fails = "import sys; sys.exit('no parser for x = 1' if 'x' in open('app.py').read() else 0)"
    one, two = preparing(tmp_path, fails).rows([("one", workspace(), ""), ("two", workspace("y = 2\n"), "")])
    assert (one.status, one.agent) == ("failed", None)
    assert one.error == "index (prepare) ended with exit code 1: no parser for x = 1"
    assert one.wall_s > 0
    assert two.status == "ok"


def test_a_case_without_workspace_is_left_out(tmp_path: Path) -> None:
    (row,) = preparing(tmp_path).rows([("one", None, "corpus 'x' is not available")])
    assert (row.status, row.error) == ("skipped", "corpus 'x' is not available")


def test_a_server_is_looked_at_once_and_what_it_says_of_itself_counts(tmp_path: Path) -> None:
    mcp = ["{python}", str(SERVER), "{workspace}"]
    rows = preparing(SERVER.parent, "", mcp=mcp, commands=[]).rows(
        [("one", workspace(), ""), ("two", workspace("y"), "")]
    )
    assert {action.name for action in rows[0].offered} >= {"count_lines", "index_search"}
    assert rows[1].offered == rows[0].offered
    assert rows[1].agent is not None and rows[1].agent.instructions == "Ask `count_lines` before you read."


def test_a_server_that_cannot_be_used_stops_the_run_before_the_first_request(tmp_path: Path) -> None:
    mcp = ["{python}", str(SERVER), "{workspace}", "empty"]
    with pytest.raises(ConfigurationError, match="index: its MCP server offers no tools"):
        preparing(SERVER.parent, "", mcp=mcp).rows([("one", workspace(), "")])


def test_a_server_is_looked_at_with_the_words_of_a_case(tmp_path: Path) -> None:
    """As in an episode: a server may need what its command names."""
    mcp = ["{python}", str(SERVER), "{workspace}", "{vars.fault}"]
    made = preparing(SERVER.parent, "", mcp=mcp, commands=[])
    made.words = {"one": {"vars.fault": "empty"}}
    with pytest.raises(ConfigurationError, match="offers no tools"):
        made.rows([("one", workspace(), "")])
    made.words = {"one": {"vars.fault": ""}}
    assert made.rows([("one", workspace(), "")])[0].status == "ok"


def test_the_words_of_cases_are_worked_out_only_for_a_server_that_names_them(tmp_path: Path) -> None:
    task = load_task(write_task(tmp_path, tools=None))
    tool = AgentTool(id="index", version="1", digest="d", mcp=["server", "--about={question}", "{vars.thing}"])
    words = server_words(tool, task, task.cases)
    assert words["one"] == {"question": "Which colour has the sky?", "vars.thing": "the sky"}
    assert server_words(msgspec.structs.replace(tool, mcp=["server", "{workspace}"]), task, task.cases) == {}


def failed(case: str, error: str = "index (prepare) ended with exit code 1: no parser") -> PreparedTool:
    return PreparedTool(case=case, tool="mine", digest=case, status="failed", error=error)


FINE = PreparedTool(case="fine", tool="mine", digest="d", status="ok")
NOT_THERE = PreparedTool(case="gone", tool="mine", digest="", status="skipped", error="corpus 'x' is not available")


@pytest.mark.parametrize(
    ("of_tasks", "which"),
    [
        ([[failed("a")]], "its only workspace"),
        ([[failed("a"), failed("b"), failed("c", "killed")], [NOT_THERE, failed("d")]], "any of the 4 workspaces"),
    ],
    ids=["one", "all tasks"],
)
def test_a_tool_that_can_prepare_no_workspace_stops_the_run_in_one_line_and_may_try_again(
    of_tasks: list[list[PreparedTool]], which: str, tmp_path: Path
) -> None:
    files = [tmp_path / f"{number}.jsonl" for number, _ in enumerate(of_tasks)]
    for file, rows in zip(files, of_tasks, strict=True):
        write_prepared(file, rows)
    spec = tool(tmp_path, "-V")
    with pytest.raises(ConfigurationError) as caught:
        require_prepared(spec, files)
    line = str(caught.value)
    assert f"tool '{spec.id}' could not prepare {which}: index (prepare) ended with exit code 1: no parser" in line
    assert f"Correct 'prepare' in {tmp_path / f'{spec.id}.yaml'}" in line and "\n" not in line
    assert not any(file.exists() for file in files)


def test_a_tool_that_fails_on_some_workspaces_or_on_all_of_one_task_goes_on(tmp_path: Path) -> None:
    """What it fails on is its failure, and the report says so; leaving such a task out would favour the tool."""
    files = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    write_prepared(files[0], [failed("a"), failed("b")])
    write_prepared(files[1], [FINE, failed("c")])
    assert require_prepared(tool(tmp_path, "-V"), files) == "1 of 4 workspaces prepared"
    assert all(file.exists() for file in files)


def test_where_no_workspace_was_there_no_tool_is_blamed(tmp_path: Path) -> None:
    write_prepared(tmp_path / "rows.jsonl", [NOT_THERE])
    assert require_prepared(tool(tmp_path, "-V"), [tmp_path / "rows.jsonl"]) == "0 of 0 workspaces prepared"
