"""A tool as it is given to an agent: its section `agent`, with the version that is installed."""

from __future__ import annotations

import os

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts.agent_section import AgentSection
from ai_dev_tools.benchmark.prompts.placeholders import filled, names_in
from ai_dev_tools.benchmark.prompts.program_digest import executed_digest
from ai_dev_tools.benchmark.prompts.run_folder import SandboxSetting
from ai_dev_tools.benchmark.prompts.tool_spec import ToolSpec, places_of
from ai_dev_tools.benchmark.prompts.tools import found_argv, installed_version, is_installed
from ai_dev_tools.benchmark.records.agent_tool import AgentTool
from ai_dev_tools.benchmark.tasks.case_files import content_digest


def require_agent(spec: ToolSpec) -> AgentSection:
    """The tool's section `agent`.

    Raises:
        ConfigurationError: it has none.
    """
    if spec.agent is None:
        raise ConfigurationError(
            f"tool '{spec.id}' has no section 'agent', so there is no arm agent-{spec.id}",
            remedy=f"Add a section 'agent' to {spec.folder / f'{spec.id}.yaml'}, see docs/tools-for-agents.md",
        )
    return spec.agent


def agent_tool(spec: ToolSpec, sandbox: SandboxSetting = "auto") -> AgentTool:
    """A tool as a prompt carries it.

    Raises:
        ConfigurationError: it gives nothing to an agent, is not installed, or not in the pinned version.
    """
    section = require_agent(spec)
    for words in spec.agent_commands():
        if not is_installed(spec, words[0]):
            raise ConfigurationError(
                f"tool '{spec.id}': its program for agents, '{words[0]}', is not installed "
                f"({spec.folder / f'{spec.id}.yaml'})",
                remedy=f"Install it: {spec.install}",
            )
    version = installed_version(spec, sandbox)
    return AgentTool(
        id=spec.id,
        version=version,
        digest=agent_digest(spec, version),
        instructions=(section.instructions or "").strip(),
        mcp=list(section.mcp.command) if section.mcp else [],
        mcp_tools=list(section.mcp.tools or ()) if section.mcp else [],
        commands=[command.record() for command in section.commands],
        wraps={action: wrap.record(action) for action, wrap in section.wraps.items()},
        folder=os.path.relpath(spec.folder),
        timeout_s=spec.timeout_s,
        network=spec.network,
        sandbox=sandbox,
    )


def agent_digest(spec: ToolSpec, version: str) -> str:
    """A digest of what determines a tool's work for an agent: files, version, what is executed."""
    executed = [
        executed_digest(found_argv([filled(word, places_of(spec)) for word in words if fixed(word)]), spec.package)
        for words in spec.agent_commands()
    ]
    return content_digest(spec.fingerprint(agent=True), version, *executed)


def fixed(word: str) -> bool:
    """Whether a word is the same in every episode."""
    return all(name in ("python", "tool_dir") for name in names_in(word))
