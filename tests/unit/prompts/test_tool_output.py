"""What a tool prints or writes is read strictly, and a failure says what its maker needs in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.errors import ConfigurationError, ToolError
from ai_dev_tools.benchmark.prompts import tools
from ai_dev_tools.benchmark.prompts.tool_output import read_output
from ai_dev_tools.benchmark.prompts.tool_spec import load_tool
from ai_dev_tools.benchmark.prompts.tools import condense, installed_version, run_tool
from support.making import tool


def said(code: str, files: dict[str, str] | None = None, **changed: Any) -> str:
    return run_tool(tool(Path(), "-c", code, **changed), files or {}, {}).condensed


def failure(code: str, files: dict[str, str] | None = None, **changed: Any) -> str:
    with pytest.raises(ToolError) as caught:
        said(code, files, **changed)
    line = str(caught.value)
    assert line.isprintable()
    assert len(line) < 2_000
    return line


# --- what JSON does not have --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        ('{"a": NaN}', "NaN is not JSON"),
        ("[Infinity]", "Infinity is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        ("[1e999]", "1e999 is too large a number"),
        ("[-1e999]", "-1e999 is too large a number"),
        ("[" + "9" * 5000 + "]", "an integer has 5000 digits"),
        ('{"a": 1, "b": {"x": 1, "x": 2}}', 'the name "x" twice'),
        ('{"a": 1} {"a": 2}', "Extra data"),
        ("[" * 100_000, "nested too deeply"),
        ("", "Expecting value"),
    ],
    ids=lambda text: text[:20],
)
@pytest.mark.parametrize("output", ["json", "jsonl"])
def test_what_is_not_json_is_refused_and_says_what(printed: str, words: str, output: str) -> None:
    if output == "jsonl" and not printed:
        assert condense(tool(Path(), "x", output=output, template="{{ data }}"), b"", {}) == "[]"
        return
    with pytest.raises(ToolError, match=r"^echo: the output is not valid json") as caught:
        condense(tool(Path(), "x", output=output, template="{{ data }}"), printed.encode(), {})
    assert words in str(caught.value)


@pytest.mark.parametrize("output", ["json", "jsonl", "text"])
def test_a_byte_order_mark_is_not_part_of_what_is_said(output: str) -> None:
    spec = tool(Path(), "x", output=output, template="{{ data if data else text }}")
    marked, plain = (condense(spec, mark + b'{"a": 1}', {}) for mark in (b"\xef\xbb\xbf", b""))
    assert marked == plain
    assert "\ufeff" not in marked


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
                    | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_all_that_is_json_is_read_as_it_is(value: Any) -> None:
    assert read_output(json.dumps(value).encode(), "json")[1] == value
    assert read_output((json.dumps(value) + "\n").encode(), "jsonl")[1] == [value]


# --- tools that write a file --------------------------------------------------------------------------------------

BANNER = "print('echo 1.0 is looking around ...')\n"


def test_a_tool_that_writes_to_a_fixed_place() -> None:
    code = BANNER + "import os; os.mkdir('out'); open('out/report.json', 'w').write('{\"a\": 1}')"
    assert said(code, output="json", output_file="out/report.json", template="{{ data.a }}") == "1"


@pytest.mark.parametrize(("output", "suffix"), [("json", ".json"), ("jsonl", ".jsonl"), ("text", ".txt")])
def test_a_tool_that_is_told_where_to_write(output: str, suffix: str) -> None:
    """Its report lies beside the case's files, not among them, and has the name that many tools go by."""
    code = BANNER + (
        "import os, sys; path = sys.argv[1]; assert not os.path.abspath(path).startswith(os.getcwd())\n"
        "open(path, 'w').write('\"' + os.path.splitext(path)[1] + '\"')"
    )
    command = ("{python}", "-c", code, "{output_file}")
    assert suffix in said("", command=command, output=output, template="{{ text }}")


def test_a_fixed_place_can_be_named_in_the_command() -> None:
    command = (
        "{python}",
        "-c",
        BANNER + "import sys; open(sys.argv[1][2:], 'w').write(sys.argv[1])",
        "-o{output_file}",
    )
    assert said("", command=command, output_file="r.txt") == "-or.txt"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("", ["wrote no report.json", "No such file", "echo 1.0"]),
        ("import os; os.mkdir('report.json')", ["not as a file"]),
        ("import os; os.mkfifo('report.json')", ["not as a file"]),
        ("import os; os.symlink('/etc/hosts', 'report.json')", ["leads out of its folder"]),
        ("import os; os.symlink('report.json', 'report.json')", ["wrote no report.json"]),
        ("open('report.json', 'w').write('x' * 3_000_000)", ["wrote more than 2 MB to report.json"]),
        ("open('report.json', 'w').write('oops')", ["the output is not valid json"]),
    ],
)
def test_a_tool_that_wrote_nothing_usable(code: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "MAX_OUTPUT_BYTES", 2_000_000)
    line = failure(BANNER + code, output="json", output_file="report.json")
    assert all(word in line for word in words), line


def test_a_file_of_the_case_is_not_taken_for_the_report() -> None:
    assert "which the case has already" in failure("", {"report.txt": "mine"}, output_file="report.txt")


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "", ".", "a//b", "a\0b"])
def test_a_place_outside_the_case_is_refused(path: str, tmp_path: Path) -> None:
    fields = {"id": "echo", "description": "d", "install": "i", "command": ["x"], "output": "text", "template": "x"}
    (tmp_path / "echo.yaml").write_text(yaml.safe_dump(fields | {"output_file": path}))
    with pytest.raises(ConfigurationError, match=r"echo\.yaml: 'output_file'"):
        load_tool(tmp_path / "echo.yaml")


# --- messages -----------------------------------------------------------------------------------------------------


def test_a_failure_says_the_last_lines_of_both_streams() -> None:
    code = """
import sys
print("reading app.py"); print("rule X crashed: no grammar")
sys.stderr.write("error: 1 rule failed\\n\\nhint: see above\\n"); sys.exit(2)"""
    assert failure(code) == (
        "echo ended with exit code 2: stderr: error: 1 rule failed | hint: see above; "
        "stdout: reading app.py | rule X crashed: no grammar"
    )


def test_a_time_out_says_them_too() -> None:
    code = "import time; print('waiting for a server on port 9', flush=True); time.sleep(60)"
    assert failure(code, timeout_s=6) == "echo did not end within 6 s: stdout: waiting for a server on port 9"


def test_a_message_is_short_and_cannot_steer_a_terminal() -> None:
    code = (
        "import sys; sys.stderr.write('x' * 9000 + '\\n' + 'y\\x1b[2J\\x00\\r' * 5000 + '\\n'); "
        "sys.stderr.buffer.write(b'\\xff\\xfe last\\n'); sys.exit(1)"
    )
    line = failure(code)
    assert line.endswith("last")
    assert "\x1b" not in line


def test_folders_that_are_gone_are_not_in_a_message() -> None:
    code = "import os, sys; sys.exit(f'{os.getcwd()}/app.py and ' + os.path.expanduser('~/x') + ' are wrong')"
    assert failure(code.replace("{os.getcwd()}", "' + os.getcwd() + '")) == (
        "echo ended with exit code 1: app.py and ~/x are wrong"
    )


def test_a_package_that_is_looked_for_in_the_wrong_place_says_so() -> None:
    with pytest.raises(ConfigurationError) as caught:
        installed_version(tool(Path(), "x", package="no-such-package"))
    line = str(caught.value)
    assert "environment that runs the workflow" in line
    assert "version_command: [{python}, --version]" in line
