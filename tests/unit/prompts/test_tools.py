"""Tools under test: run for real in a folder of their own, with nothing of the user's; each failure is one line."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.errors import ConfigurationError, ToolError
from ai_dev_tools.benchmark.prompts import tools
from ai_dev_tools.benchmark.prompts.tool_results import collect_contexts
from ai_dev_tools.benchmark.prompts.tool_spec import find_tools, load_tool
from ai_dev_tools.benchmark.prompts.tools import condense, installed_version, run_tool
from ai_dev_tools.benchmark.tasks.loading import load_task
from support.making import case, tool, write_task

FILES = {"app.py": "x = 1\n", "pkg/mod.py": "y = 2\n"}
TOOL: dict[str, Any] = {
    "id": "echo",
    "description": "prints",
    "install": "pip install echo",
    "command": ["{python}", "-c", "print('hi')"],
    "output": "text",
    "template": "{{ text }}",
}


def write_tool(folder: Path, **changed: Any) -> Path:
    path = folder / "echo.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in (TOOL | changed).items() if value is not None}))
    return path


def said(folder: Path, code: str, **changed: Any) -> str:
    """What a Python program as a tool says about two files."""
    return run_tool(tool(folder, "-c", code, **changed), FILES, {}).condensed


def failure(folder: Path, code: str, **changed: Any) -> str:
    with pytest.raises(ToolError) as caught:
        said(folder, code, **changed)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what a tool sees ---------------------------------------------------------------------------------------------


def test_a_tool_sees_a_fresh_folder_with_just_the_files(tmp_path: Path) -> None:
    listing = "import os; print(sorted(os.path.join(d, f)[2:] for d, _, fs in os.walk('.') for f in fs))"
    assert said(tmp_path, listing) == "['app.py', 'pkg/mod.py']"
    assert said(tmp_path, "print(open('pkg/mod.py').read())") == "y = 2"


def test_what_a_tool_writes_is_gone_afterwards(tmp_path: Path) -> None:
    place = said(tmp_path, "import os; open('left', 'w'); open(os.path.expanduser('~/left'), 'w'); print(os.getcwd())")
    assert not Path(place).exists()
    assert not Path(place).parent.exists()
    assert "False" in said(
        tmp_path, "import os; print(os.path.exists('left'), os.path.exists(os.path.expanduser('~/left')))"
    )


def test_nothing_of_the_users_environment_reaches_a_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUFF_CONFIG", "mine.toml")
    monkeypatch.setenv("SECRET_TOKEN", "s3cr3t")
    seen = json.loads(said(tmp_path, "import os, json; print(json.dumps(dict(os.environ)))"))
    assert set(seen) <= {"PATH", "HOME", "TMPDIR", "LANG", "NO_COLOR", "PYTHONDONTWRITEBYTECODE", "LC_CTYPE"}
    assert seen["HOME"] != os.environ.get("HOME")


def test_a_tool_has_no_input_and_no_terminal(tmp_path: Path) -> None:
    assert said(tmp_path, "import sys; print(repr(sys.stdin.read()), sys.stdout.isatty())") == "'' False"


def test_programs_of_the_running_environment_are_found_when_it_is_not_activated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    spec = tool(tmp_path, command=(Path(sys.executable).name, "-c", "print(1)"))
    assert installed_version(spec) == "unknown"
    assert run_tool(spec, FILES, {}).condensed == "1"


def test_placeholders(tmp_path: Path) -> None:
    code = "import sys; print(sys.argv[1:])"
    spec = tool(tmp_path, "-c", code, "{tool_dir}/rules.yml", "{files}", "$HOME;*", "{}", "*.{py,pyi}", "{{files}}")
    folder = tmp_path.resolve()
    assert run_tool(spec, FILES, {}).condensed == str(
        [f"{folder}/rules.yml", "app.py", "pkg/mod.py", "$HOME;*", "{}", "*.{py,pyi}", "{files}"]
    )


def test_a_program_next_to_its_yaml(tmp_path: Path) -> None:
    program = tmp_path / "echo_it"
    program.write_text("#!/bin/sh\necho mine\n")
    program.chmod(0o755)
    spec = tool(tmp_path, command=("{tool_dir}/echo_it",), version_command=("{tool_dir}/echo_it", "--version"))
    assert installed_version(spec) == "mine"
    assert run_tool(spec, FILES, {}).condensed == "mine"


def test_time_and_size_are_measured(tmp_path: Path) -> None:
    code = """
import time
end = time.process_time() + 0.2
while time.process_time() < end: pass
time.sleep(0.1)
print('x' * 1000)"""
    run = run_tool(tool(tmp_path, "-c", code, template="{{ text|length }}"), FILES, {})
    assert (run.raw_bytes, run.condensed) == (1001, "1001")
    assert run.cpu_s >= 0.2
    assert run.wall_s >= 0.3


def test_a_case_without_files_can_be_run(tmp_path: Path) -> None:
    assert run_tool(tool(tmp_path, "-c", "print('nothing')"), {}, {}).condensed == "nothing"


# --- ways to fail -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("import time; time.sleep(0.2); raise SystemExit(3)", {}),
        ("import time; time.sleep(60)", {"timeout_s": 0.2}),
        ("import time; time.sleep(0.2); print('no json')", {"output": "json"}),
    ],
    ids=["crash", "hang", "garbage"],
)
def test_a_failure_says_what_it_cost(code: str, changed: dict[str, Any], tmp_path: Path) -> None:
    """In the results too: who waits for a tool that fails has waited all the same."""
    with pytest.raises(ToolError) as caught:
        said(tmp_path, code, **changed)
    assert 0.2 <= caught.value.spent_s < 60
    task = load_task(write_task(tmp_path, case("one")))
    (row,) = collect_contexts(task, tool(tmp_path, "-c", code, **changed), tmp_path, {})
    assert row.status == "failed"
    assert 0.2 <= row.wall_s < 60


def test_a_crash_says_the_exit_code_and_the_last_words(tmp_path: Path) -> None:
    assert failure(tmp_path, "raise SystemExit(3)") == "echo ended with exit code 3: no message"
    assert failure(tmp_path, "import sys; sys.exit('cannot')") == "echo ended with exit code 1: cannot"
    assert "exit code -9" in failure(tmp_path, "import os; os.kill(os.getpid(), 9)")


def test_the_last_words_are_the_last_ones_however_many_came_before(tmp_path: Path) -> None:
    code = "import sys; sys.stderr.write('debug\\n' * 10_000 + 'no such file: x\\n'); sys.exit(2)"
    debug = "debug | " * 4
    assert failure(tmp_path, code) == f"echo ended with exit code 2: {debug}no such file: x"


def test_an_exit_code_that_is_accepted_is_no_crash(tmp_path: Path) -> None:
    assert said(tmp_path, "print('found'); raise SystemExit(1)", accept_exit=(0, 1)) == "found"
    assert "exit code 0" in failure(tmp_path, "", accept_exit=(1,))


def test_a_tool_that_hangs_is_ended(tmp_path: Path) -> None:
    started = time.monotonic()
    assert failure(tmp_path, "import time; time.sleep(600)", timeout_s=0.3) == "echo did not end within 0.3 s"
    assert time.monotonic() - started < 300


def test_too_much_output_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "MAX_OUTPUT_BYTES", 2_000_000)
    assert failure(tmp_path, "print('x' * 3_000_000)") == "echo printed more than 2 MB"
    assert len(said(tmp_path, "print('x' * 1_900_000)")) == 1_900_000


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_tool_that_never_stops_printing_is_ended_before_its_time_is_up(
    stream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would fill the disk."""
    monkeypatch.setattr(tools, "MAX_OUTPUT_BYTES", 1_000_000)
    monkeypatch.setattr(tools, "LOOK_EVERY_S", 0.2)
    code = f"import sys, time\nsys.{stream}.write('x' * 1_500_000)\nsys.{stream}.flush()\ntime.sleep(600)"
    assert failure(tmp_path, code, timeout_s=500) == "echo printed more than 1 MB"


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ("json", "print('no json')"),
        ("json", ""),
        ("json", "print('{\"a\": 1} trailing')"),
        ("json", "print('[' * 100_000)"),
        ("jsonl", "print('{}\\nnonsense')"),
        ("text", "import sys; sys.stdout.buffer.write(b'\\xff\\xfe')"),
        ("json", "import sys; sys.stdout.buffer.write(b'\\x00\\xff')"),
    ],
)
def test_garbage_is_refused(output: str, code: str, tmp_path: Path) -> None:
    assert f"echo: the output is not valid {output}" in failure(tmp_path, code, output=output, template="{{ data }}")


@pytest.mark.parametrize(
    "template",
    [
        "{{ data.results[0].line }}",
        "{{ data.a / 0 }}",
        "{{ data.a + 'x' }}",
        "{{ ''.split('') }}",
        "{{ data.a.x() }}",
        "{{ '{}'.format() }}",
        "{{ ().__class__ }}",
    ],
)
def test_a_template_that_does_not_fit_is_refused(template: str, tmp_path: Path) -> None:
    line = failure(tmp_path, "print('{\"a\": 1}')", output="json", template=template)
    assert "the template does not fit the tool's output" in line


def test_a_program_that_is_gone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"echo cannot be started: No such file.*Install: pip install echo"):
        run_tool(tool(tmp_path, command=("no-such-program",)), FILES, {})


@given(
    st.binary(max_size=40) | st.text('[]{}",:0 \\ud8ae\n').map(str.encode), st.sampled_from(["json", "jsonl", "text"])
)
def test_no_output_does_anything_but_condense_or_fail_as_a_tool(stdout: bytes, output: str) -> None:
    spec = tool(Path(), "x", output=output, template="{{ data }}{{ text }}")
    with contextlib.suppress(ToolError):
        condense(spec, stdout, {}).encode()


# --- condensing ---------------------------------------------------------------------------------------------------


def test_a_template_sees_data_text_and_the_cases_variables(tmp_path: Path) -> None:
    spec = tool(tmp_path, "x", output="json", template="{{ data.n }} {{ text|length }} {{ case_vars.who }}\n\n")
    assert condense(spec, b'{"n": 1}', {"who": "me"}) == "1 8 me"


def test_json_lines_are_a_list_whatever_they_hold(tmp_path: Path) -> None:
    spec = tool(tmp_path, "x", output="jsonl", template="{% for row in data %}{{ row.a }};{% endfor %}")
    assert condense(spec, '{"a": "1\u20282"}\n\n{"a": 2}\r\n'.encode(), {}) == "1\u20282;2;"


def test_half_a_surrogate_pair_does_not_end_the_run(tmp_path: Path) -> None:
    assert condense(tool(tmp_path, "x", output="json", template="{{ data }}"), rb'"a\ud800b"', {}) == "a?b"


# --- tool files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"install": None}, ["'install' is missing"]),
        ({"command": []}, ["'command'"]),
        ({"comand": []}, ["unknown setting 'comand'", "did you mean 'command'"]),
        ({"output": "xml"}, ["'output' is 'xml'", "json"]),
        ({"template": "{% for x in"}, ["'template' is not a valid Jinja2 template"]),
        ({"timeout_s": 0}, ["'timeout_s' is 0"]),
        ({"id": "other"}, ["'id' is 'other'", "named 'echo'"]),
        ({"id": "../x"}, ["'id' is '../x'", "part of a path"]),
    ],
    ids=str,
)
def test_a_wrong_tool_file_is_one_line_naming_file_and_field(
    changed: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_tool(write_tool(tmp_path, **changed))
    line = str(caught.value)
    assert "\n" not in line
    assert "echo.yaml" in line
    assert all(word in line for word in words), line


def test_a_tool_that_does_not_come_to_saying_its_version_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "VERSION_TIMEOUT_S", 0.2)
    hanging = tool(tmp_path, version_command=("{python}", "-c", "import time; time.sleep(600)"))
    with pytest.raises(ConfigurationError, match="does not report its version"):
        installed_version(hanging)


def test_tools_are_found_by_their_file(tmp_path: Path) -> None:
    path = write_tool(tmp_path)
    assert find_tools(tmp_path) == {"echo": path}
    assert load_tool(path).id == "echo"


# --- versions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "version"),
    [
        ({"package": "pytest"}, pytest.__version__),
        ({"package": "pytest", "version": pytest.__version__}, pytest.__version__),
        ({"version_command": ("{python}", "-c", "print('echo 1.2\\nmore')")}, "echo 1.2"),
        ({"version_command": ("{python}", "-c", "import sys; sys.stderr.write('1.3')")}, "1.3"),
        ({"version_command": ("{python}", "-c", "")}, "unknown"),
        ({}, "unknown"),
    ],
    ids=str,
)
def test_the_installed_version(changed: dict[str, Any], version: str, tmp_path: Path) -> None:
    assert installed_version(tool(tmp_path, "-c", "", **changed)) == version


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"command": ("no-such-program",)}, ["tool 'echo' is not installed", "echo.yaml"]),
        ({"package": "no-such-package"}, ["package 'no-such-package' is not installed"]),
        ({"package": "pytest", "version": "0.1"}, [f"is version {pytest.__version__}", "pins 0.1"]),
        ({"version": "0.1"}, ["is version unknown", "pins 0.1"]),
        ({"version_command": ("no-such-program",)}, ["does not report its version"]),
        ({"version_command": ("{python}", "-c", "print('usage'); exit(2)")}, ["does not report its version", "code 2"]),
    ],
    ids=str,
)
def test_a_tool_that_is_not_the_pinned_one_says_how_to_install_it(
    changed: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        installed_version(tool(tmp_path, **changed))
    line = str(caught.value)
    assert line.endswith("Install it: pip install echo")
    assert "\n" not in line
    assert all(word in line for word in words), line
