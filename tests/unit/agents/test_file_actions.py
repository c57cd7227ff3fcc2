"""The agent's own actions over a workspace: read-only, bounded, and forgiving about how a path is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.agents.file_actions import MOST_CHARS, FileActions, workspace_texts
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts.episodes import FOUND_LINES, PLAIN, READ_LINES, case_workspace, workspace_digest
from ai_dev_tools.benchmark.records.episode import Workspace

TEXTS = {
    "app/main.py": "import os\n\n\ndef run():\n    return os.getcwd()\n",
    "app/long.py": "".join(f"line {number}\n" for number in range(1, 401)),
    "README.md": "# App\n",
}


def call(name: str, **arguments: object) -> str:
    return FileActions(TEXTS).call(name, arguments).text  # type: ignore[arg-type]


def test_files_are_listed_with_their_lines() -> None:
    assert call("list_files", path="").splitlines() == [
        "app/main.py (5 lines)",
        "app/long.py (400 lines)",
        "README.md (1 lines)",
    ]
    assert call("list_files", path="app").splitlines() == ["app/main.py (5 lines)", "app/long.py (400 lines)"]


@pytest.mark.parametrize("path", ["app/main.py", "./app/main.py", "/app/main.py", "app//main.py"])
def test_a_file_is_read_however_its_path_is_written(path: str) -> None:
    assert call("read_file", path=path, start=1).splitlines()[0] == "app/main.py, lines 1 to 5 of 5:"


def test_a_long_file_is_read_in_parts() -> None:
    first, second = call("read_file", path="app/long.py", start=1), call("read_file", path="app/long.py", start=151)
    assert first.splitlines()[:2] == [f"app/long.py, lines 1 to {READ_LINES} of 400:", "line 1"]
    assert second.splitlines()[1] == "line 151"
    assert call("read_file", path="app/long.py", start=999) == "app/long.py has 400 lines"


def test_lines_have_the_numbers_that_tools_give_them() -> None:
    """A form feed does not end a line for a compiler, an index of symbols, or `grep -n`."""
    actions = FileActions({"old.py": "a = 1\n\f\nb = '\x1c'\nc = 3\n"})
    assert actions.call("list_files", {}).text == "old.py (4 lines)"
    assert actions.call("search", {"pattern": "c ="}).text == "old.py:4: c = 3"
    assert actions.call("read_file", {"path": "old.py", "start": 4}).text == "old.py, lines 4 to 4 of 4:\nc = 3"


def test_what_is_searched_for_is_text_and_no_pattern() -> None:
    assert call("search", pattern="os.getcwd()", path="") == "app/main.py:5: return os.getcwd()"
    assert call("search", pattern=".*", path="") == "no line contains it"
    assert call("search", pattern=" ", path="") == "there is no text to search for"


def test_no_action_returns_more_than_its_limit() -> None:
    found = call("search", pattern="line", path="app/long.py").splitlines()
    assert len(found) == FOUND_LINES + 1 and found[-1].startswith("… and 370 more lines")
    wide = FileActions({"wide.txt": "x" * 100_000})
    assert len(wide.call("read_file", {"path": "wide.txt", "start": 1}).text) < MOST_CHARS + 100


def test_many_files_are_listed_by_folder() -> None:
    many = FileActions({f"pkg/part{number % 3}/m{number}.py": "" for number in range(300)} | {"setup.py": ""})
    assert many.call("list_files", {"path": ""}).text.splitlines() == ["pkg/ (300 files)", "setup.py"]
    assert "pkg/part0/ (100 files)" in many.call("list_files", {"path": "pkg"}).text


def test_a_path_that_leads_nowhere_is_answered_with_the_nearest() -> None:
    assert call("read_file", path="app/man.py", start=1) == "there is no 'app/man.py' here, did you mean 'app/main.py'?"
    assert "there is no '../etc/passwd' here" in call("read_file", path="../etc/passwd", start=1)


@given(
    st.dictionaries(st.sampled_from(["path", "start", "pattern"]), st.none() | st.integers() | st.text() | st.floats())
)
def test_whatever_a_model_writes_gets_an_answer(arguments: dict[str, object]) -> None:
    actions = FileActions(TEXTS)
    for action in PLAIN:
        assert actions.call(action.name, arguments).text  # type: ignore[arg-type]


def test_a_workspace_of_files_is_read_as_it_was_when_the_prompts_were_made(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    there = Workspace(
        kind="path", label="mine", digest=workspace_digest({"a.py": "x = 1\n"}), root=str(tmp_path), files=["a.py"]
    )
    assert workspace_texts(there) == {"a.py": "x = 1\n"}
    assert workspace_texts(case_workspace("one", {"b.py": "", "a.py": "1"})) == {"a.py": "1", "b.py": ""}
    (tmp_path / "a.py").write_text("x = 2\n")
    with pytest.raises(ConfigurationError, match="have changed since the prompts were made"):
        workspace_texts(there)
    (tmp_path / "a.py").unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        workspace_texts(there)
