"""What a tool gives to an agent, as a prompt carries it: commands, an MCP server, output filters.

Light imports: block jobs read these. `prompts.agent_section` checks the YAML that they come from.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ai_dev_tools.benchmark.records.sample_error import described

ArgumentType = Literal["string", "integer", "number", "boolean", "path"]
PLAIN_ACTIONS = ("list_files", "read_file", "search")
"""What an agent can do without any tool. A tool may give the results of these instead."""


class Argument(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True, kw_only=True):
    """What a model may write for a placeholder of a command; with a default, it may leave it out."""

    type: ArgumentType = "string"
    description: str = ""
    choices: list[str] = []
    pattern: str | None = None
    max_length: int = 200
    minimum: float | None = None
    maximum: float | None = None
    default: str | int | float | bool | None = None


class ToolCommand(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True, kw_only=True):
    """An action that a program carries out: words with `{placeholders}`, never a shell."""

    name: str
    argv: list[str]
    description: str = ""
    arguments: dict[str, Argument] = {}
    accept_exit: tuple[int, ...] = (0,)
    filters: Annotated[bool, described("whether it reads what the plain action returns, on stdin")] = False


class AgentTool(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True, kw_only=True):
    """What the judged tool gives to an agent.

    From the `agent` section of its file, with the version that is installed.
    """

    id: str
    version: str
    digest: Annotated[str, described("of the tool's files, version, and what is executed")]
    instructions: str = ""
    mcp: Annotated[list[str], described("command of an MCP server over stdio; empty: none")] = []
    mcp_tools: Annotated[list[str], described("names of the server's tools that are offered; empty: all")] = []
    commands: list[ToolCommand] = []
    wraps: Annotated[
        dict[str, ToolCommand], described("commands that give the result of a plain action, by its name")
    ] = {}
    prepared: Annotated[str | None, described("archive of what it made of the workspace beforehand")] = None
    folder: Annotated[str, described("of the tool's file, seen from the working folder")] = ""
    timeout_s: Annotated[float, described("most seconds for one call, or for the start of a server", "s")] = 60.0
    network: bool = False
    sandbox: Literal["auto", "none", "bubblewrap"] = "auto"
