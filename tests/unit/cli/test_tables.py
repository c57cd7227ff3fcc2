"""Tables of the command line: plain text whatever is in them and wherever they are printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ai_dev_tools.cli.console import table
from ai_dev_tools.cli.validate import without_stack


def test_columns_are_aligned_by_what_signs_take_on_a_terminal() -> None:
    lines = table([{"name": "日本", "n": 1}, {"name": "abcd", "n": 2}]).splitlines()
    assert {cell_len(line) for line in lines[2:]} == {7}
    assert table([{"a": None, "b": 1.23456789, "c": float("nan")}]).splitlines()[-1].split() == ["-", "1.235", "-"]


def test_nothing_in_a_cell_is_a_command_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    said = "[red]x[/red] :smile: https://x.example \x1b[31m"
    shown = table([{"a": said}])
    assert "[red]x[/red] :smile: https://x.example" in shown
    assert "\x1b" not in shown


@given(st.lists(st.text(alphabet="abd \u65e5-", max_size=80), min_size=1, max_size=3))
def test_folding_loses_nothing_and_keeps_to_the_width(cells: list[str]) -> None:
    shown = table([{f"k{number}": text for number, text in enumerate(cells)}], most=60)
    assert max(map(cell_len, shown.splitlines())) <= 60
    for sign in "abd\u65e5":
        assert sum(line.count(sign) for line in shown.splitlines()[2:]) == sum(text.count(sign) for text in cells)


def test_of_a_traceback_in_a_check_only_the_last_line_is_shown() -> None:
    stack = 'File "server.py", line 3, in <module> | import absent | '
    error = "ModuleNotFoundError: No module named 'absent'"
    assert without_stack(f"it ended: Traceback (most recent call last): | {stack}{error}") == f"it ended: {error}"
    assert without_stack(f"it ended: {stack}{error}") == f"it ended: {error}"
    assert without_stack("it said: a | b") == "it said: a | b"
