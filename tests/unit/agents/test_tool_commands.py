"""A tool's commands and output filters: run in the tool's room, with what a model wrote, and charged to the tool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.agents.actions import ActionResult
from ai_dev_tools.benchmark.agents.file_actions import FileActions
from ai_dev_tools.benchmark.agents.tool_actions import ToolActions, case_words
from ai_dev_tools.benchmark.agents.tool_folder import MOST_RESULT
from ai_dev_tools.benchmark.prompts.agent_section import PLAIN_ARGUMENTS
from ai_dev_tools.benchmark.records.agent_tool import AgentTool, Argument, ToolCommand

TEXTS = {"app.py": "import os\nx = 1\n", "pkg/mod.py": "y = 2\n"}


def tool(*commands: ToolCommand, wraps: dict[str, ToolCommand] | None = None, **changed: Any) -> AgentTool:
    return AgentTool(
        id="index", version="1", digest="d", folder=".", commands=list(commands), wraps=wraps or {}, **changed
    )


def python(code: str, *words: str, name: str = "look", **changed: Any) -> ToolCommand:
    return ToolCommand(name=name, argv=["{python}", "-c", code, *words], **changed)


def called(given: AgentTool, name: str = "look", words: dict[str, str] | None = None, **arguments: Any) -> ActionResult:
    with ToolActions(given, TEXTS, FileActions(TEXTS), words or {}) as actions:
        return actions.call(name, arguments)


def test_a_command_runs_in_a_fresh_copy_of_the_workspace_and_its_time_is_charged() -> None:
    code = "import os; print(sorted(os.listdir('.')), open('app.py').read()); open('app.py', 'w').close()"
    for _ in range(2):
        result = called(tool(python(code)))
        assert result.text == "['app.py', 'pkg'] import os\nx = 1"
        assert result.tool and not result.ends and result.error is None and result.seconds > 0


def test_what_a_tool_leaves_stays_for_the_episode() -> None:
    code = "p = __import__('pathlib').Path.home() / 'n'; p.open('a').write('x'); print(p.read_text())"
    count = python(code)
    with ToolActions(tool(count), TEXTS, None, {}) as actions:
        assert [actions.call("look", {}).text for _ in range(3)] == ["x", "xx", "xxx"]


def test_what_a_model_writes_is_one_word_and_never_searched_for_placeholders() -> None:
    show = python("import sys; print(sys.argv[1:])", "{q}", arguments={"q": Argument()})
    assert called(tool(show), q="{workspace} $(id) ; ls").text == "['{workspace} $(id) ; ls']"


def test_a_refused_argument_is_said_to_the_model_and_costs_the_tool_nothing() -> None:
    show = python("print(1)", "{q}", arguments={"q": Argument()})
    result = called(tool(show), q="-rf")
    assert result.text == "error: 'q' must not begin with -"
    assert result.error is None and not result.ends and result.seconds == 0


def test_a_command_may_name_the_question_and_variables_of_the_case() -> None:
    show = python("import sys; print(sys.argv[1:])", "{question}", "{vars.name}", "{vars.n}")
    words = case_words("Who calls x?", {"name": "x", "n": 3})
    assert called(tool(show), words=words).text == "['Who calls x?', 'x', '3']"


def test_an_exit_code_is_shown_to_the_model_unless_it_is_fine() -> None:
    fails = "import sys; print('some'); print('no such symbol', file=sys.stderr); sys.exit(2)"
    result = called(tool(python(fails)))
    assert result.text == "index (look) ended with exit code 2: stderr: no such symbol; stdout: some"
    assert result.error is not None and result.error.class_ == "tool" and not result.ends
    fine = called(tool(python(fails, accept_exit=(0, 2))))
    assert (fine.text, fine.error) == ("some", None)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import time; time.sleep(60)", "index (look) did not end within 1 s"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "index (look) ended with exit code -11"),
    ],
)
def test_a_command_that_hangs_or_is_killed_ends_the_episode(code: str, expected: str) -> None:
    result = called(tool(python(code), timeout_s=1.0))
    assert result.ends and result.error is not None
    assert result.error.message.startswith(expected)


def test_a_program_that_is_not_there_ends_the_episode() -> None:
    result = called(tool(ToolCommand(name="look", argv=["no-such-program-anywhere"])))
    assert result.ends and result.error is not None
    assert result.error.message.startswith("index (look) cannot be started")


def test_a_long_output_is_cut_and_paths_are_those_of_the_workspace() -> None:
    result = called(tool(python(f"print('x' * {MOST_RESULT * 9})")))
    assert result.text == "x" * MOST_RESULT + f"\n… (cut: {MOST_RESULT * 9 + 1:,} bytes in all; ask for less)"
    paths = "import os, sys; print(os.getcwd() + '/app.py', os.path.expanduser('~/x'), sys.argv[1] + '/pkg')"
    assert called(tool(python(paths, "{workspace}"))).text == "app.py ~/x pkg"
    assert called(tool(python("pass"))).text == "(no output)"


def test_a_filter_takes_the_place_of_what_a_plain_action_returns() -> None:
    search = python(
        "import sys; print('found', sys.argv[1:])", "{pattern}", "{path}", arguments=dict(PLAIN_ARGUMENTS["search"])
    )
    given = tool(wraps={"search": search})
    with ToolActions(given, TEXTS, FileActions(TEXTS), {}) as actions:
        assert [action.name for action in actions.offered] == ["search"]
        assert actions.offered[0] == next(a for a in FileActions(TEXTS).offered if a.name == "search")
    result = called(given, "search", pattern="x", path="")
    assert result.text == "found ['x', '.']" and result.tool


def test_a_path_that_names_nothing_gets_the_same_hint_with_a_filter_as_without() -> None:
    """Otherwise the words of the benchmark's own messages would be judged, and not the filter."""
    shown = python("print('filtered')", "{path}", arguments=dict(PLAIN_ARGUMENTS["read_file"]))
    given = tool(wraps={"read_file": shown})
    for path in ("/home/user/app.py", "../app.py", "nothing.py"):
        asked = {"path": path, "start": 1}
        result = called(given, "read_file", **asked)
        assert (result.text, result.tool) == (FileActions(TEXTS).call("read_file", asked).text, False)
    assert called(given, "read_file", path="/app.py", start=1).text == "filtered"


def test_a_filter_may_read_what_the_plain_action_returns() -> None:
    upper = python(
        "import sys; print(sys.stdin.read().upper())", filters=True, arguments=dict(PLAIN_ARGUMENTS["read_file"])
    )
    plain = FileActions(TEXTS).call("read_file", {"path": "app.py", "start": 1}).text
    assert called(tool(wraps={"read_file": upper}), "read_file", path="app.py", start=1).text == plain.upper()


def test_files_of_a_workspace_are_all_of_one_age_so_that_no_index_looks_outdated(tmp_path: Path) -> None:
    ages = python("import os; print({os.stat(p).st_mtime for p in ('app.py', 'pkg/mod.py')})")
    assert called(tool(ages)).text == "{1577836800.0}"
