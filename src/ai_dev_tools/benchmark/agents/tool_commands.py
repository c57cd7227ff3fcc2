"""A tool's commands as actions: a program, with the model's text as words of its command line."""

from __future__ import annotations

from collections.abc import Mapping

from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark.agents.actions import Action, ActionResult
from ai_dev_tools.benchmark.agents.command_arguments import BadArgument, command_words, schema_of
from ai_dev_tools.benchmark.agents.tool_folder import ToolFolder
from ai_dev_tools.benchmark.errors import ToolError
from ai_dev_tools.benchmark.records.agent_tool import ToolCommand
from ai_dev_tools.benchmark.records.sample_error import SampleError


def action_of(command: ToolCommand) -> Action:
    """A command as a model is told of it."""
    return Action(command.name, command.description, schema_of(command.arguments))


def run_command(
    command: ToolCommand, arguments: Mapping[str, JsonValue], folder: ToolFolder, plain: str | None = None
) -> ActionResult:
    """Run a command with what a model wrote.

    Args:
        plain: what the plain action returns, for a command that filters it.
    """
    what = f"{folder.tool.id} ({command.name})"
    try:
        words = command_words(command, arguments, folder.places, folder.run_folder.case)
    except BadArgument as error:
        return ActionResult(f"error: {error}", tool=True)
    try:
        said = folder.run(what, words, accept_exit=command.accept_exit, stdin=plain if command.filters else None)
    except ToolError as error:
        return failed(error)
    problem = SampleError("tool", said.problem) if said.problem else None
    return ActionResult(said.text or "(no output)", said.wall_s, problem, tool=True)


def failed(error: ToolError) -> ActionResult:
    """The end of an episode in which the tool died or hung."""
    return ActionResult(f"error: {error}", error.spent_s, SampleError("tool", str(error)), tool=True, ends=True)
