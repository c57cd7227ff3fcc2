"""Types that threads decode are prepared when their module is imported.

msgspec prepares a type when it is first decoded. Where two threads do so at once, one finds it half prepared, and the process
crashes (0.22: `types[i]` is still NULL in `json_decode_struct_map_inner`).
"""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from support.repository import ROOT

PACKAGE = ROOT / "src" / "ai_dev_tools" / "benchmark"
IN_THREADS = ("agents", "endpoints", "execution", "prompts")
"""Rooms whose functions run in the threads of a block."""
AT_ONCE = """
import sys, threading
from ai_dev_tools.benchmark.prompts.containment import RunEnd, _end_decoder
sys.setswitchinterval(1e-6)
go = threading.Barrier(8)
def decode():
    go.wait()
    assert _end_decoder.decode(b'{"how": "exit", "code": 0, "detail": "", "wall_s": 1.5}') == RunEnd("exit", 0, "", 1.5)
threads = [threading.Thread(target=decode) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def unprepared(code: str) -> list[int]:
    """Lines within functions that decode a type by its name, or make a decoder for it."""
    functions = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    calls = (node for function in functions for node in ast.walk(function) if isinstance(node, ast.Call))

    def prepares(call: ast.Call) -> bool:
        if ast.unparse(call.func) == "msgspec.json.Decoder":
            return True
        named = any(word.arg == "type" and isinstance(word.value, ast.Name) for word in call.keywords)
        return named and ast.unparse(call.func) == "msgspec.json.decode"

    return sorted({call.lineno for call in calls if prepares(call)})


def test_a_type_that_is_decoded_by_name_is_found() -> None:
    code = "def f(x):\n    return msgspec.json.decode(x, type=Thing)\n\ndef g(x):\n    return msgspec.json.decode(x)\n"
    assert unprepared(code) == [2]


@pytest.mark.parametrize("room", IN_THREADS)
def test_no_function_of_a_block_prepares_a_type(room: str) -> None:
    files = [path for path in (PACKAGE / room).rglob("*.py") if "embedded" not in path.parts]
    found = {str(path.relative_to(PACKAGE)): lines for path in files if (lines := unprepared(path.read_text()))}
    assert found == {}


def test_threads_decode_at_once_in_a_fresh_process() -> None:
    for _ in range(3):
        assert subprocess.run([sys.executable, "-c", AT_ONCE], check=False).returncode == 0
