"""What `validate` says of a tool for agents, and which version counts of a program with an environment of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ai_dev_tools.benchmark.agents.workspace_preparation import offer_line
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts.agent_tools import agent_tool
from ai_dev_tools.benchmark.prompts.tool_spec import load_tool, require_findings
from ai_dev_tools.benchmark.prompts.tools import installed_version
from support.repository import ROOT

SERVER = str(ROOT / "tests" / "fakes" / "mcp_server.py")


def written(folder: Path, agent: object, **changed: object) -> Path:
    path = folder / "index.yaml"
    path.write_text(yaml.safe_dump({"id": "index", "description": "d", "install": "i", "agent": agent} | changed))
    return path


def test_a_server_is_started_once_and_what_it_adds_to_each_turn_is_said(tmp_path: Path) -> None:
    agent = {
        "mcp": {"command": ["{python}", SERVER, "{workspace}"], "tools": ["count_lines"]},
        "wraps": {"search": ["grep", "-rnF", "--regexp={pattern}", "{path}"]},
    }
    line = offer_line(agent_tool(load_tool(written(tmp_path, agent))))
    assert line.startswith("1 action (count_lines), filters search, instructions; ")
    assert line.endswith(" characters are added to each turn")


def test_a_server_that_cannot_be_used_is_one_line_before_the_first_request(tmp_path: Path) -> None:
    agent = {"mcp": {"command": ["{python}", SERVER, "{workspace}", "dies"]}}
    with pytest.raises(ConfigurationError, match="index: its MCP server ended with exit code 1: cannot open the index"):
        offer_line(agent_tool(load_tool(written(tmp_path, agent))))


def test_a_tool_for_agents_alone_has_no_findings_to_show(tmp_path: Path) -> None:
    spec = load_tool(written(tmp_path, {"instructions": "Be brief."}, version="3"))
    with pytest.raises(ConfigurationError, match=r"cannot be used in single prompts.*agent-index"):
        require_findings(spec)
    assert installed_version(spec) == "3"
    assert agent_tool(spec).instructions == "Be brief."


def test_a_program_in_an_environment_of_its_own_has_the_version_that_is_there(tmp_path: Path) -> None:
    """As `pipx` and `uv tool` install it: the program on PATH is a link into that environment."""
    info = tmp_path / "env" / "lib" / "python3.11" / "site-packages" / "far_away_index-4.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: far-away-index\nVersion: 4.2\n")
    program = tmp_path / "env" / "bin" / "far-away-index"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    link = tmp_path / "link"
    link.symlink_to(program)
    agent = {"mcp": {"command": [str(link), "{workspace}"]}}
    assert installed_version(load_tool(written(tmp_path, agent, package="far-away-index"))) == "4.2"
    with pytest.raises(ConfigurationError, match="or in that of its program"):
        installed_version(load_tool(written(tmp_path, agent, package="not-there-either")))
