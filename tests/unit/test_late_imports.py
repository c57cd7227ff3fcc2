"""An import within a function names the time that its module saves at every start that does without it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from support.repository import ROOT

TIME = re.compile(r"#.*\d m?s\b")


def late_imports(code: str) -> Iterator[ast.Import | ast.ImportFrom]:
    functions = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    for function in functions:
        yield from (node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom))


def unnamed(code: str) -> list[int]:
    """Lines of late imports without a time at their end, or above a block of them."""
    lines, late = code.splitlines(), list(late_imports(code))
    places = {number for node in late for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)}

    def named(first: int) -> bool:
        while first - 1 in places or not lines[first - 2].strip():
            first -= 1
        return bool(TIME.search(lines[first - 2]))

    return [
        node.lineno for node in late if not TIME.search(lines[(node.end_lineno or 0) - 1]) and not named(node.lineno)
    ]


def test_a_time_is_looked_for_at_the_end_and_above_a_block() -> None:
    code = "def f():\n    import a\n    # these take 0.2 s\n    import b\n\n    import c\n    d()\n    import e  # takes 5 ms\n"
    assert unnamed(code) == [2]


def test_every_import_within_a_function_says_what_it_saves() -> None:
    files = sorted((ROOT / "src").rglob("*.py"))
    found = {str(path.relative_to(ROOT)): lines for path in files if (lines := unnamed(path.read_text()))}
    assert found == {}
