"""The actions that the judged tool adds to the agent's: commands, tools of its MCP server, filters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from ai_dev_tools.benchmark._util.credentials import without_passwords
from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark._util.text import visible_line
from ai_dev_tools.benchmark.agents.actions import Action, ActionResult, Actions
from ai_dev_tools.benchmark.agents.file_actions import as_path, workspace_texts
from ai_dev_tools.benchmark.agents.mcp_server import McpServer
from ai_dev_tools.benchmark.agents.mcp_tools import given_to_server, offered
from ai_dev_tools.benchmark.agents.tool_commands import action_of, failed, run_command
from ai_dev_tools.benchmark.agents.tool_folder import ToolFolder
from ai_dev_tools.benchmark.errors import ToolError
from ai_dev_tools.benchmark.records.agent_tool import PLAIN_ACTIONS, AgentTool
from ai_dev_tools.benchmark.records.episode import EpisodeSpec
from ai_dev_tools.benchmark.records.sample_error import SampleError


def tool_actions(spec: EpisodeSpec, plain: Actions | None) -> Sequence[Actions]:
    """What the episode's tool offers, not yet opened; empty without a tool that does anything.

    Args:
        plain: the agent's own file actions, which an output filter wraps.
    """
    tool = spec.tool
    if tool is None or not (tool.commands or tool.mcp or tool.wraps):
        return ()
    return [ToolActions(tool, workspace_texts(spec.workspace), plain, case_words(spec.question, spec.vars))]


class ToolActions:
    """Everything that one tool offers in one episode, in one folder.

    Args:
        texts: text of each file of the workspace by path.
        plain: the agent's own file actions.
        words: values of the placeholders of the case.
    """

    def __init__(
        self, tool: AgentTool, texts: Mapping[str, str], plain: Actions | None, words: Mapping[str, str]
    ) -> None:
        self._tool, self._texts, self._plain = tool, texts, plain
        self._folder = ToolFolder(tool, texts, words)
        self._commands = {command.name: command for command in tool.commands}
        self._mcp_names: dict[str, str] = {}
        self._stack = ExitStack()
        self.offered: Sequence[Action] = ()
        self.startup_s = 0.0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._folder)
            actions = [action_of(command) for command in self._tool.commands]
            actions += [action for action in self._plain_actions() if action.name in self._tool.wraps]
            if self._tool.mcp:
                actions += self._started(stack)
            self.offered = actions
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def call(self, name: str, arguments: Mapping[str, JsonValue]) -> ActionResult:
        """Carry out an action of the tool."""
        if command := self._commands.get(name):
            return run_command(command, arguments, self._folder)
        if name in self._mcp_names:
            return self._ask(self._mcp_names[name], arguments)
        return self._filtered(name, arguments)

    def _plain_actions(self) -> Sequence[Action]:
        return self._plain.offered if self._plain else ()

    def _started(self, stack: ExitStack) -> list[Action]:
        """Start the server; returns its tools as actions."""
        self._server = stack.enter_context(McpServer(self._folder))
        self.startup_s = self._server.startup_s
        try:
            found = offered(self._tool.id, self._server.tools, taken_names(self._tool), self._tool.mcp_tools)
        except ToolError as error:
            error.spent_s = self.startup_s
            raise
        self._mcp_names = {action.name: name for name, action in found.items()}
        return list(found.values())

    def _ask(self, name: str, arguments: Mapping[str, JsonValue]) -> ActionResult:
        try:
            text, is_error, seconds = self._server.call(name, given_to_server(arguments))
        except ToolError as error:
            return failed(error)
        text = self._folder.shown(text) or "(no output)"
        said = visible_line(without_passwords(f"{self._tool.id} ({name}): {text}"), 300)
        problem = SampleError("tool", said) if is_error else None
        return ActionResult(text, seconds, problem, tool=True)

    def _filtered(self, name: str, arguments: Mapping[str, JsonValue]) -> ActionResult:
        """What a filter makes of a plain action.

        A path that names nothing is the agent's own affair, in all arms alike: it gets the plain action's hint.
        """
        command, path = self._tool.wraps[name], as_path(arguments.get("path"))
        if self._plain and not self._names_something(path):
            return self._plain.call(name, arguments)
        plain = self._plain.call(name, arguments).text if command.filters and self._plain else None
        return run_command(command, {**arguments, "path": path}, self._folder, plain)

    def _names_something(self, path: str) -> bool:
        return not path or any(name == path or name.startswith(f"{path}/") for name in self._texts)


def taken_names(tool: AgentTool) -> list[str]:
    """Names that a server's tools cannot have."""
    return [*PLAIN_ACTIONS, "answer", *(command.name for command in tool.commands)]


def case_words(question: str, variables: Mapping[str, object]) -> dict[str, str]:
    """Values of the placeholders of a case, by name."""
    texts = {f"vars.{name}": _as_text(value) for name, value in variables.items()}
    return {"question": question, **texts}


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
