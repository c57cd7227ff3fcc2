"""MCP servers as an agent's actions: started for real in the tool's room; each way of failing is one line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest

from ai_dev_tools.benchmark.agents.tool_actions import ToolActions
from ai_dev_tools.benchmark.agents.tool_folder import MOST_RESULT
from ai_dev_tools.benchmark.agents.workspace_preparation import find_offer
from ai_dev_tools.benchmark.errors import ConfigurationError, ToolError
from ai_dev_tools.benchmark.records.agent_tool import AgentTool
from support.repository import ROOT

SERVER = str(ROOT / "tests" / "fakes" / "mcp_server.py")
TEXTS = {"app.py": "a = 1\nb = 2\n", "pkg/mod.py": "x = 1\n"}


def server(*fault: str, **changed: object) -> AgentTool:
    mcp = ["{python}", SERVER, "{workspace}", *fault]
    tool = AgentTool(id="index", version="1.0", digest="d", mcp=mcp, folder=str(Path(SERVER).parent))
    return msgspec.structs.replace(tool, **changed)


def opened(tool: AgentTool) -> ToolActions:
    return ToolActions(tool, TEXTS, None, {})


@pytest.fixture(scope="module")
def running() -> Iterator[ToolActions]:
    """One server for all tests that leave it as it is."""
    with patch.dict(os.environ, {"SECRET_TOKEN": "s3cr3t"}), opened(server()) as actions:
        yield actions


def test_the_tools_of_a_server_are_actions_with_its_own_schemas(running: ToolActions) -> None:
    found = {action.name: action for action in running.offered}
    assert found["count_lines"].description == "Counts the lines of a file."
    assert found["count_lines"].parameters["required"] == ["path"]
    assert running.startup_s > 0


def test_a_server_reads_a_fresh_copy_of_the_workspace_and_its_time_is_charged(running: ToolActions) -> None:
    result = running.call("count_lines", {"path": "app.py"})
    assert (result.text, result.tool, result.ends, result.error) == ("app.py: 2 lines", True, False, None)
    assert result.seconds > 0


def test_a_name_of_the_agents_own_gets_the_tool_in_front(running: ToolActions) -> None:
    assert running.call("index_search", {"pattern": "x"}).text == "searched x"


def test_a_server_sees_no_secret_and_its_paths_are_those_of_the_workspace(running: ToolActions) -> None:
    assert running.call("surroundings", {}).text == "app.py HOME=~ secret=None"


def test_what_a_model_reads_of_a_result_is_limited(running: ToolActions) -> None:
    text = running.call("long_text", {"size": MOST_RESULT + 5}).text
    assert text == "x" * MOST_RESULT + "\n… (cut: 16,005 characters in all; ask for less)"


@pytest.mark.parametrize(("name", "arguments"), [("count_lines", {"path": "no.py"}), ("long_text", {"size": "many"})])
def test_an_error_of_a_tool_is_shown_to_the_model_and_the_episode_goes_on(
    name: str, arguments: dict[str, str], running: ToolActions
) -> None:
    wrong = running.call(name, arguments)
    assert wrong.error is not None and not wrong.ends
    assert f"Error executing tool {name}" in wrong.text
    assert "\n" not in wrong.error.message
    assert running.call("count_lines", {"path": "app.py"}).text == "app.py: 2 lines"


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("die", "index: its MCP server ended with exit code 3: the index is corrupt"),
        ("hang", "index: its MCP server did not answer within 0.5 s"),
        (
            "babble",
            "index: its MCP server printed something other than MCP messages, for which stdout is reserved: Indexing 10 files",
        ),
    ],
)
def test_a_server_that_dies_hangs_or_prints_garbage_ends_the_episode(action: str, expected: str) -> None:
    with opened(server()) as actions:
        room = actions._folder.run_folder.scratch
        if action == "hang":
            actions._server.timeout_s = 0.5
        result = actions.call(action, {})
    assert result.ends and result.tool and result.error is not None
    assert result.error.message.startswith(expected)
    assert "\n" not in result.error.message
    assert not room.exists()


@pytest.mark.parametrize(
    ("fault", "timeout_s", "expected"),
    [
        ("dies", 60.0, "index: its MCP server ended with exit code 1: cannot open the index"),
        ("silent", 0.5, "index: its MCP server did not answer within 0.5 s"),
        (
            "garbage",
            60.0,
            "index: its MCP server printed something other than MCP messages, for which stdout is reserved: Welcome to",
        ),
        ("empty", 60.0, "index: its MCP server offers no tools"),
        (
            "formless",
            60.0,
            "index: its MCP server sent what the protocol does not allow (tools.0.inputSchema: Input should",
        ),
    ],
)
def test_a_server_that_cannot_be_used_is_one_line(fault: str, timeout_s: float, expected: str) -> None:
    with pytest.raises(ToolError) as caught, opened(server(fault, timeout_s=timeout_s)):
        pass
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)
    assert caught.value.spent_s > 0


def test_a_server_that_is_not_there_is_one_line_before_the_first_request() -> None:
    with pytest.raises(ConfigurationError, match=r"^index: its MCP server cannot be started"):
        find_offer(server(mcp=["no-such-server-anywhere"]))


def test_the_package_is_only_imported_where_a_server_is_started() -> None:
    code = (
        "import sys, ai_dev_tools.benchmark.agents.tool_actions; "
        "print([m for m in ('mcp', 'anyio', 'jsonschema', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
