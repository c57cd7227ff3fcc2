"""Words in braces in a tool's command: filled for each case, or refused when the YAML is read; never passed on as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.errors import ConfigurationError, ToolError
from ai_dev_tools.benchmark.prompts.placeholders import VALID, ToolInput, check_words, command_line, in_template
from ai_dev_tools.benchmark.prompts.tool_results import collect_contexts
from ai_dev_tools.benchmark.prompts.tool_spec import load_tool
from ai_dev_tools.benchmark.prompts.tools import condense, run_tool
from ai_dev_tools.benchmark.tasks.loading import load_task
from support.making import case, tool, undisturbed, write_task

FILES = {"app.py": "x = 1\n", "pkg/mod.py": "y = 2\n"}
SHOW = "import sys; print(sys.argv[1:])"
TOOL: dict[str, Any] = {
    "id": "echo",
    "description": "prints",
    "install": "pip install echo",
    "command": ["echo"],
    "output": "text",
    "template": "{{ text }}",
}


def refused(folder: Path, **changed: Any) -> str:
    """What is said of a tool file with these fields."""
    path = folder / "echo.yaml"
    path.write_text(yaml.safe_dump(TOOL | changed))
    with pytest.raises(ConfigurationError) as caught:
        load_tool(path)
    line = str(caught.value)
    assert "\n" not in line
    assert "echo.yaml" in line
    return line


def shown(*words: str, files: dict[str, str] | None = None, **given: Any) -> str:
    """The words that a tool gets after its program."""
    spec = tool(Path(), "-c", SHOW, *words)
    return run_tool(spec, FILES if files is None else files, given.pop("vars", {}), **given).condensed


# --- refused when the YAML is read --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("{file}", ["{file} is not a placeholder", "did you mean {files}", "{{file}}"]),
        ("{Files}", ["{Files} is not a placeholder", "did you mean {files}"]),
        ("--in={query}", ["{query} is not a placeholder", "{{query}}"]),
        ("{files!r}", ["did you mean {files}"]),
        ("{files[0]}", ["did you mean {files}"]),
        ("{vars}", ["did you mean {vars.NAME}"]),
        ("{vars.}", ["did you mean {vars.NAME}"]),
        ("{case_vars.x}", ["is not a placeholder"]),
        ("{tool-dir}/x", ["did you mean {tool_dir}"]),
        ("${HOME}", ["{HOME} is not a placeholder"]),
        ("cat {files}", ['write "{files}" as a separate word', '"$@"']),
        ("--files={files}", ['write "{files}" as a separate word']),
        ("{ files }", ["write {files} instead of { files }"]),
        ("{{ question }}", ["write {question}"]),
    ],
)
def test_an_unknown_or_misplaced_placeholder_is_refused(word: str, words: list[str], tmp_path: Path) -> None:
    line = refused(tmp_path, command=["echo", word])
    assert "'command'" in line
    assert all(part in line for part in words), line


@pytest.mark.parametrize("word", ["{files}", "{question}", "{vars.x}", "{nonsense}"])
def test_a_version_command_and_a_program_know_no_case(word: str, tmp_path: Path) -> None:
    assert "'version_command'" in refused(tmp_path, version_command=["echo", word])
    assert "'command'" in refused(tmp_path, command=[word])


@given(st.text("{} filesquton.vars_dirpyhNAME:-$\n", max_size=12))
@example("{files}")
@example("{{files}}")
@example("{{{question}}}")
def test_every_word_is_refused_or_filled_or_text(word: str) -> None:
    """No word reaches a tool with a name in single braces that was meant to be filled."""
    try:
        check_words([word], VALID)
    except ValueError:
        return
    given = ToolInput("one", "Q?", {})
    try:
        argv = command_line([word], {"python": "P", "tool_dir": "D", "output_file": "O"}, ["a"], given)
    except ToolError:
        return
    assert word == "{files}" or "{files}" not in argv[0] or "{{files}}" in word


# --- filled -------------------------------------------------------------------------------------------------------


def test_question_and_variables_are_filled_for_each_case() -> None:
    given = {"question": "Where is {files} parsed?", "vars": {"topic": "a b", "n": 3, "deep": True, "tags": ["x"]}}
    words = shown("{question}", "--topic={vars.topic}", "{vars.n}", "{vars.deep}", "{vars.tags}", **given)
    assert words == str(["Where is {files} parsed?", "--topic=a b", "3", "true", '["x"]'])


def test_a_missing_variable_is_one_line_naming_case_and_variable(tmp_path: Path) -> None:
    task = load_task(write_task(tmp_path, case("one", vars={"thing": "sky", "topic": "x"}), case("two")))
    rows = collect_contexts(task, tool(tmp_path, "-c", SHOW, "{vars.topic}"), tmp_path, {})
    assert [row.status for row in rows] == ["ok", "failed"]
    assert "case 'two' has no var 'topic', which {vars.topic} in the command needs" in str(rows[1].error)


@pytest.mark.parametrize("word", ["{question}", "{vars.topic}"])
def test_what_a_case_says_is_not_taken_for_an_option(word: str) -> None:
    given = {"question": "-rf", "vars": {"topic": "--config=mine"}, "case": "one"}
    with pytest.raises(ToolError, match=r"case 'one': .* would read as an option.*--option="):
        shown(word, **given)
    assert shown("--", word, **given).startswith("['--', '-")
    assert shown(f"--q={word}", **given).startswith("['--q=-")
    assert shown("{vars.n}", vars={"n": -1}) == "['-1']"


@pytest.mark.parametrize("name", ["-rf.py", "-x/a.py", "@list", "+x.py", "--help"])
def test_a_file_is_never_taken_for_an_option(name: str) -> None:
    code = "import sys; print(sys.argv[1][:2] == './', open(sys.argv[1]).read(), sys.argv[1:])"
    spec = tool(Path(), "-c", code, "{files}")
    said = run_tool(spec, {name: "here", "a.py": ""}, {}).condensed
    assert said == f"True here {[name, 'a.py']}", "findings name the file as the other arms do"


def test_a_template_has_question_and_variables_too() -> None:
    given = ToolInput("one", "Why?", {"topic": "parsing", "a-b": 1})
    for template in ("{{ question }} {{ vars.topic }} {{ vars['a-b'] }}", "{question} {vars.topic} {vars.a-b}"):
        spec = tool(Path(), "x", template=template)
        assert condense(spec, b"", given.vars, question=given.question) == "Why? parsing 1"
    spec = tool(Path(), "x", template="{{ vars.nothing }}")
    with pytest.raises(ToolError, match=r"on case 'one'.*nothing"):
        condense(spec, b"", {}, question="", case="one")


def test_jinja_of_a_template_is_left_alone() -> None:
    for text in ("{{question}}", "{{ vars.a }}", "{% if question %}{x}{% endif %}", "{question", "{other}"):
        assert in_template(text) == text


# --- what depends on the question ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "asks"),
    [
        ({"command": ("{python}", "-c", SHOW, "{question}")}, True),
        ({"template": "{{ text }} {{ question }}"}, True),
        ({"template": "{{ text }} {question}"}, True),
        ({"template": "{% if question|length > 3 %}{{ text }}{% endif %}"}, True),
        ({}, False),
    ],
    ids=str,
)
def test_another_question_runs_again_just_the_tools_that_see_it(
    changed: dict[str, Any], asks: bool, tmp_path: Path
) -> None:
    task = load_task(write_task(tmp_path))
    other = task.model_copy(update={"question": "What else about {{ thing }}?"})
    spec = tool(tmp_path, "-c", SHOW, **changed)
    first = undisturbed(collect_contexts(task, spec, tmp_path, {}))
    second = undisturbed(collect_contexts(other, spec, tmp_path, {row.case: row for row in first}))
    assert (second != first) is asks
    assert asks is ("What else about the sky?" in second[0].text) or changed.get("template", "").startswith("{%")
