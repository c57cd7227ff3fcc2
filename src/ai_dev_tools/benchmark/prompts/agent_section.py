"""The section `agent` of a tool's YAML: what the tool gives to an agent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ai_dev_tools.benchmark.config.parsing import StrictModel
from ai_dev_tools.benchmark.prompts.placeholders import PLACES, check_words, names_in
from ai_dev_tools.benchmark.records.agent_tool import PLAIN_ACTIONS, Argument, ArgumentType, ToolCommand

WORKSPACE = "workspace"
WHERE = (*PLACES, WORKSPACE)
"""Placeholders that say where things are; `prepare`, which runs once for all questions, has no others."""
GIVEN = (*WHERE, "question", "vars.NAME")
"""Placeholders that are not the model's."""
TAKEN = (*PLAIN_ACTIONS, "answer", "action", "tool")
"""Names that an action of a tool cannot have."""
NAME = r"^[a-z][a-z0-9_]{0,47}$"
LAUNCHERS = frozenset({
    "sh", "ash", "bash", "dash", "fish", "ksh", "zsh", "csh", "tcsh", "cmd", "powershell", "pwsh", "busybox", "toybox", "env",
    "xargs", "parallel", "sudo", "doas", "nohup", "nice", "timeout", "time", "setsid", "stdbuf", "script", "ssh", "make",
    "watch", "sed", "ed", "vi", "vim", "nvim", "emacs",
})  # fmt: skip
"""Shells, and programs that run another one or a script that their arguments name, anywhere in a command."""
INTERPRETERS = re.compile(
    r"(python|pypy|node|nodejs|deno|bun|perl|ruby|php|lua|luajit|rscript|tclsh|osascript|awk|gawk|mawk|nawk)[\d.]*"
)
PLAIN_ARGUMENTS: Mapping[str, Mapping[str, Argument]] = {
    "list_files": {"path": Argument(type="path", default=".")},
    "read_file": {"path": Argument(type="path"), "start": Argument(type="integer", minimum=1, default=1)},
    "search": {"pattern": Argument(max_length=2000), "path": Argument(type="path", default=".")},
}
"""What the plain actions are called with, and so what a filter's command may name."""


def check_command(argv: tuple[str, ...], arguments: Mapping[str, object]) -> None:
    """Raise ValueError for a command that could execute a model's text or has an unknown placeholder."""
    check_words(argv[:1], PLACES)
    check_words(argv, (*GIVEN, *arguments))
    program = PurePosixPath(argv[0]).name.lower().removesuffix(".exe")
    if program in LAUNCHERS:
        raise ValueError(
            f"'{argv[0]}' is a shell or starts other programs, so a model could run any program: "
            "use the tool's own program, or your own script: ['{python}', '{tool_dir}/TOOL_script.py', …]"
        )
    if (argv[0] == "{python}" or INTERPRETERS.fullmatch(program)) and not _has_own_code(argv, arguments):
        raise ValueError(
            f"'{argv[0]}' runs code, so a model could run any code: "
            "begin with your own file, such as '{tool_dir}/TOOL_script.py'"
        )


def _has_own_code(argv: tuple[str, ...], arguments: Mapping[str, object]) -> bool:
    """Whether what an interpreter runs is written in the command, before anything of a model."""
    if not any(name in arguments for word in argv for name in names_in(word)):
        return True
    python = argv[0] == "{python}" or "python" in argv[0]
    for word in argv[1:]:
        if any(name in arguments for name in names_in(word)):
            return False
        if not word.startswith("-"):
            return True
        if not python:  # most others take code more than once
            return False
    return True


def _as_table(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


def _as_wrap(value: object) -> object:
    return {"argv": value} if isinstance(value, list | tuple) else value


class ArgumentSpec(StrictModel):
    """What a model may write for a placeholder."""

    type: ArgumentType = "string"
    description: str = ""
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    max_length: Annotated[int, Field(ge=1, le=2000)] = 200
    minimum: float | None = None
    maximum: float | None = None
    default: bool | int | float | str | None = None

    @model_validator(mode="after")
    def _fits_its_type(self) -> ArgumentSpec:
        text, number = self.type == "string", self.type in ("integer", "number")
        if not text and (self.choices or self.pattern is not None):
            raise ValueError(f"'choices' and 'pattern' are for type string, not {self.type}")
        if not number and (self.minimum is not None or self.maximum is not None):
            raise ValueError(f"'minimum' and 'maximum' are for numbers, not for type {self.type}")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"'pattern' is not a regular expression: {error}") from None
        if self.default is not None and not self._is_of_type(self.default):
            raise ValueError(f"'default' is {self.default!r}, which is not of type {self.type}")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"'minimum' is {self.minimum:g}, and 'maximum' {self.maximum:g}: no number fits")
        if isinstance(self.default, int | float) and not isinstance(self.default, bool):
            low, high = self.minimum, self.maximum
            if (low is not None and self.default < low) or (high is not None and self.default > high):
                raise ValueError(f"'default' is {self.default!r}, which is not between 'minimum' and 'maximum'")
        if self.pattern is not None and isinstance(self.default, str) and not re.fullmatch(self.pattern, self.default):
            raise ValueError(f"'default' is {self.default!r}, which does not match 'pattern'")
        if self.choices and self.default is not None and self.default not in self.choices:
            raise ValueError(f"'default' is {self.default!r}, which is not among the choices")
        return self

    def _is_of_type(self, value: bool | int | float | str) -> bool:
        if self.type in ("string", "path"):
            return isinstance(value, str)
        if self.type == "boolean" or isinstance(value, bool):
            return self.type == "boolean" and isinstance(value, bool)
        return isinstance(value, int) or (self.type == "number" and isinstance(value, float))

    def record(self) -> Argument:
        fields = self.model_dump()
        return Argument(**fields | {"choices": list(self.choices)})


class CommandSpec(StrictModel):
    """An action that runs a program."""

    name: str = Field(pattern=NAME)
    description: str = Field(min_length=1)
    argv: tuple[str, ...] = Field(min_length=1)
    arguments: dict[str, Annotated[ArgumentSpec, BeforeValidator(_as_table)]] = {}
    accept_exit: tuple[int, ...] = (0,)

    @field_validator("name")
    @classmethod
    def _free_name(cls, value: str) -> str:
        if value in TAKEN:
            raise ValueError(f"'{value}' is already an action or word of the agent: choose another name")
        return value

    @model_validator(mode="after")
    def _sound(self) -> CommandSpec:
        for name in self.arguments:
            if name in GIVEN or not re.fullmatch(NAME, name):
                raise ValueError(f"an argument cannot be named '{name}': use lower-case letters, digits and '_'")
        check_command(self.argv, self.arguments)
        used = {name for word in self.argv for name in names_in(word)}
        if unused := [name for name in self.arguments if name not in used]:
            raise ValueError(f"argument '{unused[0]}' is not in argv: write {{{unused[0]}}} where it belongs")
        return self

    def record(self) -> ToolCommand:
        return ToolCommand(
            name=self.name,
            argv=list(self.argv),
            description=" ".join(self.description.split()),
            arguments={name: argument.record() for name, argument in self.arguments.items()},
            accept_exit=self.accept_exit,
        )


class WrapSpec(StrictModel):
    """A command whose output replaces the result of a plain action.

    Attributes:
        reads: `plain`: the command gets what the plain action returns on stdin; `files`: it reads the workspace itself.
    """

    argv: tuple[str, ...] = Field(min_length=1)
    accept_exit: tuple[int, ...] = (0,)
    reads: Literal["files", "plain"] = "files"

    def record(self, action: str) -> ToolCommand:
        return ToolCommand(
            name=action,
            argv=list(self.argv),
            arguments=dict(PLAIN_ARGUMENTS[action]),
            accept_exit=self.accept_exit,
            filters=self.reads == "plain",
        )


class McpSpec(StrictModel):
    """An MCP server that speaks over stdio; with `tools`, only these of its tools are offered."""

    command: tuple[str, ...] = Field(min_length=1)
    tools: tuple[str, ...] | None = Field(None, min_length=1)

    @field_validator("command")
    @classmethod
    def _known_placeholders(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_words(value[:1], PLACES)
        check_words(value, GIVEN)
        return value


class AgentSection(StrictModel):
    """What a tool gives to an agent in addition to the agent's own actions.

    Attributes:
        instructions: what its maker tells an agent (a skill, a rules file); by default, what its MCP server says.
    """

    instructions: str | None = None
    commands: tuple[CommandSpec, ...] = ()
    mcp: McpSpec | None = None
    wraps: dict[Literal["list_files", "read_file", "search"], Annotated[WrapSpec, BeforeValidator(_as_wrap)]] = {}

    @model_validator(mode="after")
    def _sound(self) -> AgentSection:
        if not (self.instructions or self.commands or self.mcp or self.wraps):
            raise ValueError("it is empty: set instructions, commands, mcp or wraps")
        names = [command.name for command in self.commands]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two commands are named '{twice[0]}'")
        for action, wrap in self.wraps.items():
            try:
                check_command(wrap.argv, PLAIN_ARGUMENTS[action])
            except ValueError as error:
                raise ValueError(f"wraps.{action}: {error}") from None
        return self

    def programs(self) -> list[tuple[str, ...]]:
        """Every command of the section."""
        servers = [self.mcp.command] if self.mcp else []
        return [*servers, *(command.argv for command in self.commands), *(wrap.argv for wrap in self.wraps.values())]
