"""The section `agent` of a tool's YAML: what it may say, and one line for each mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts.agent_section import check_command
from ai_dev_tools.benchmark.prompts.agent_tools import agent_tool
from ai_dev_tools.benchmark.prompts.fingerprints import tool_fingerprint
from ai_dev_tools.benchmark.prompts.tool_spec import ToolSpec, load_tool
from ai_dev_tools.benchmark.prompts.tools import tool_digest

COMMAND: dict[str, Any] = {
    "name": "find_symbol",
    "description": "Finds a symbol",
    "argv": ["grep", "-n", "--regexp={name}", "{path}"],
    "arguments": {"name": "string", "path": {"type": "path", "default": "."}},
}


def loaded(folder: Path, agent: Any = None, **changed: Any) -> ToolSpec:
    fields = {"id": "index", "description": "d", "install": "pip install x", "agent": agent} | changed
    path = folder / "index.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in fields.items() if value is not None}))
    return load_tool(path)


def refusal(folder: Path, agent: Any = None, **changed: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        loaded(folder, agent, **changed)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{folder / 'index.yaml'}: ")


def command(**changed: Any) -> dict[str, Any]:
    return {"commands": [COMMAND | changed]}


def test_a_tool_may_be_for_agents_alone(tmp_path: Path) -> None:
    spec = loaded(tmp_path, command())
    found = agent_tool(spec)
    assert [item.name for item in found.commands] == ["find_symbol"]
    assert found.commands[0].arguments["path"].type == "path"
    assert found.version == "unknown"


def test_a_tool_without_agent_has_the_digests_that_it_had(tmp_path: Path) -> None:
    """Otherwise every result of every tool would be made again, and every plan would name another tool."""
    single = {"command": ["grep", "x"], "output": "text", "template": "{{ text }}"}
    spec = loaded(tmp_path, **single)
    assert "agent" not in spec.fingerprint() and "prepare" not in spec.fingerprint()
    with_agent = loaded(tmp_path, command(), **single)
    assert spec.fingerprint() == with_agent.fingerprint()
    assert tool_digest(spec, "1") == tool_digest(with_agent, "1")
    assert tool_fingerprint(spec) != tool_fingerprint(with_agent)


def test_another_section_is_another_tool_for_an_agent(tmp_path: Path) -> None:
    first = agent_tool(loaded(tmp_path, command()))
    assert first.digest == agent_tool(loaded(tmp_path, command())).digest
    assert first.digest != agent_tool(loaded(tmp_path, command(description="Finds it"))).digest
    assert first.digest != agent_tool(loaded(tmp_path, {**command(), "instructions": "Use it."})).digest


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ({}, "it is empty: set instructions"),
        ({"command": ["x"]}, "unknown setting 'agent.command'"),
        (command(name="read_file"), "'read_file' is already an action or word of the agent"),
        (command(name="answer"), "'answer' is already an action or word of the agent"),
        (command(name="Find it"), "'agent.commands.0.name' is 'Find it'"),
        (command(argv=[]), "'agent.commands.0.argv' is []: name at least 1"),
        (command(argv=["{name}", "{path}"]), "{name} is not a placeholder"),
        (command(argv=["grep", "{nam}", "{path}"]), "{nam} is not a placeholder, did you mean {name}?"),
        (command(argv=["grep", "{name}"]), "argument 'path' is not in argv"),
        (command(arguments={"name": "text", "path": "path"}), "'agent.commands.0.arguments.name.type' is 'text'"),
        (command(arguments={"name": {"pattern": "("}, "path": "path"}), "'pattern' is not a regular expression"),
        (command(arguments={"name": {"default": 3}, "path": "path"}), "'default' is 3, which is not of type string"),
        (
            command(arguments={"name": {"type": "integer", "minimum": 5, "maximum": 1}, "path": "path"}),
            "no number fits",
        ),
        (
            command(arguments={"name": {"type": "number", "maximum": 1, "default": 9.5}, "path": "path"}),
            "'default' is 9.5, which is not between",
        ),
        (command(arguments={"name": {"pattern": "a+", "default": "b"}, "path": "path"}), "does not match 'pattern'"),
        (command(arguments={"workspace": "string"}), "an argument cannot be named 'workspace'"),
        (command(argv=["sh", "-c", "grep {name} {path}"]), "'sh' is a shell or starts other programs"),
        (command(argv=["/bin/BASH", "-c", "x", "{name}", "{path}"]), "'/bin/BASH' is a shell or starts other programs"),
        (command(argv=["env", "X={name}", "grep", "{path}"]), "'env' is a shell or starts other programs"),
        (command(argv=["{python}", "-c", "print({name})", "{path}"]), "'{python}' runs code"),
        (command(argv=["python3", "-I", "{path}", "{name}"]), "'python3' runs code"),
        (command(argv=["node", "-e", "1", "-e", "{name}", "{path}"]), "'node' runs code"),
        (command(argv=["awk", "/{name}/", "{path}"]), "'awk' runs code"),
        ({"mcp": {"command": []}}, "'agent.mcp.command' is []: name at least 1"),
        ({"mcp": {"command": ["x", "{query}"]}}, "{query} is not a placeholder"),
        ({"mcp": {"command": ["x"], "tools": []}}, "'agent.mcp.tools' is []: name at least 1"),
        ({"wraps": {"serch": ["x"]}}, "'agent.wraps' has 'serch': expected list_files, read_file or search"),
        ({"wraps": {"answer": ["x"]}}, "'agent.wraps' has 'answer': expected list_files, read_file or search"),
        ({"wraps": {"search": ["rtk", "{patern}"]}}, "{patern} is not a placeholder, did you mean {pattern}"),
        ({"wraps": {"read_file": ["rtk", "{pattern}"]}}, "{pattern} is not a placeholder"),
        ({"wraps": {"search": {"argv": ["x"], "reads": "stdin"}}}, "'agent.wraps.search.reads' is 'stdin'"),
        ({"commands": [COMMAND, COMMAND]}, "two commands are named 'find_symbol'"),
    ],
)
def test_a_mistake_is_one_line(agent: Any, expected: str, tmp_path: Path) -> None:
    assert expected in refusal(tmp_path, agent)


@pytest.mark.parametrize(
    "argv",
    [
        ["{python}", "{tool_dir}/index_find.py", "{name}", "{path}"],
        ["{python}", "-I", "-m", "index", "{name}", "{path}"],
        ["{python}", "-c", "import sys; print(sys.argv)", "{name}", "{path}"],
        ["node", "{tool_dir}/index_find.js", "{name}", "{path}"],
    ],
)
def test_a_custom_script_may_get_what_a_model_wrote(argv: list[str], tmp_path: Path) -> None:
    assert loaded(tmp_path, command(argv=argv)).agent is not None


def test_prepare_is_for_agents_and_for_all_questions(tmp_path: Path) -> None:
    single = {"command": ["grep", "x"], "output": "text", "template": "{{ text }}"}
    assert "'prepare' is for agents" in refusal(tmp_path, prepare=["ctags"], **single)
    assert "{question} is not a placeholder" in refusal(tmp_path, command(), prepare=["ctags", "{question}"])
    assert loaded(tmp_path, command(), prepare=["ctags", "-R", "{workspace}"]).prepare == ("ctags", "-R", "{workspace}")


def test_a_tool_for_single_prompts_still_needs_its_fields(tmp_path: Path) -> None:
    assert "'template' is missing" in refusal(tmp_path, command(), command=["grep", "x"], output="text")


def test_what_is_not_there_is_one_line_each(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no section 'agent', so there is no arm agent-index"):
        agent_tool(loaded(tmp_path, command=["grep", "x"], output="text", template="{{ text }}"))
    with pytest.raises(
        ConfigurationError, match=r"its program for agents, 'no-such-server', is not installed.*pip install x"
    ):
        agent_tool(loaded(tmp_path, {"mcp": {"command": ["no-such-server"]}}))
    with pytest.raises(ConfigurationError, match="pins 9"):
        agent_tool(loaded(tmp_path, command(), version="9"))


def test_the_command_that_is_suggested_instead_of_a_shell_is_valid_yaml() -> None:
    with pytest.raises(ValueError, match="own script") as caught:
        check_command(("sh", "-c", "{x}"), {"x": "string"})
    suggested = str(caught.value).partition("own script: ")[2]
    assert yaml.safe_load(suggested.replace(", …", "")) == ["{python}", "{tool_dir}/TOOL_script.py"]
