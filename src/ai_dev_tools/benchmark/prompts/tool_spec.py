"""Tool files: what a tool's YAML says, and one line for each mistake in it."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pydantic import Field, PositiveFloat, ValidationInfo, field_validator, model_validator

from ai_dev_tools.benchmark._util.text import nearest
from ai_dev_tools.benchmark.config.parsing import PathSafe, StrictModel, parse, read_yaml
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts.agent_section import WHERE, AgentSection
from ai_dev_tools.benchmark.prompts.placeholders import (
    PLACES,
    VALID,
    VARS,
    check_words,
    in_template,
    names_in,
    vars_in_template,
)
from ai_dev_tools.benchmark.prompts.tool_output import OutputFormat
from ai_dev_tools.benchmark.records.names import clean_files
from ai_dev_tools.benchmark.tasks.templating import names_variable, template_problem

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.tasks.loading import Case

AGENT_FIELDS = {"agent", "prepare"}
"""Fields that change nothing about a single prompt."""


class ToolSpec(StrictModel):
    """How a tool is run and how its output is condensed."""

    id: PathSafe
    description: str
    homepage: str | None = None
    package: str | None = None
    version: str | None = None
    version_command: tuple[str, ...] | None = Field(None, min_length=1)
    install: str
    command: tuple[str, ...] = Field(min_length=1)
    accept_exit: tuple[int, ...] = (0,)
    timeout_s: PositiveFloat = 60.0
    output: OutputFormat
    output_file: str | None = Field(None, min_length=1)
    network: bool = False
    template: str
    prepare: tuple[str, ...] | None = Field(None, min_length=1)
    agent: AgentSection | None = None
    folder: Path = Field(exclude=True)

    @field_validator("command", "version_command", "prepare")
    @classmethod
    def _known_placeholders(cls, value: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        if value and info.field_name == "command":
            check_words(value[:1], PLACES)
            check_words(value, VALID)
        elif value and info.field_name == "prepare":
            check_words(value[:1], PLACES)
            check_words(value, WHERE)
        elif value:
            check_words(value, PLACES)
        return value

    @model_validator(mode="after")
    def _prepares_for_agents(self) -> ToolSpec:
        if self.prepare and self.agent is None:
            raise ValueError("'prepare' is for agents, but there is no section 'agent'")
        return self

    @field_validator("output_file")
    @classmethod
    def _below_the_case(cls, value: str | None) -> str | None:
        if value is not None and (
            value != PurePosixPath(value).as_posix()
            or value.startswith("/")
            or ".." in value.split("/")
            or "\0" in value
            or value == "."
        ):
            raise ValueError(f"'{value}' is not a path below the case's folder, such as report.json or out/report.json")
        return value

    @property
    def asks_question(self) -> bool:
        """Whether the output depends on the question; if so, another question runs the tool again."""
        return any("question" in names_in(word) for word in self.command) or names_variable(
            in_template(self.template), "question"
        )

    def fingerprint(self, *, agent: bool = False) -> str:
        """The tool's own files, as text; with what it gives to an agent, if that is asked."""
        beside = [
            [path.relative_to(self.folder).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()]
            for path in companions(self.folder / f"{self.id}.yaml")
        ]
        said = self.model_dump(mode="json", exclude=None if agent else AGENT_FIELDS)
        return json.dumps([said, beside], sort_keys=True)

    @property
    def program(self) -> str:
        """The program that it is known by; empty for instructions alone."""
        return next((words[0] for words in (self.command, *self.agent_commands()) if words), "")

    def agent_commands(self) -> list[tuple[str, ...]]:
        """Commands that run for an agent."""
        own = [self.prepare] if self.prepare else []
        return [*own, *(self.agent.programs() if self.agent else [])]


class AgentOnlySpec(ToolSpec):
    """A tool that has no findings about a case, and so cannot be used in a single prompt."""

    command: tuple[str, ...] = ()
    output: OutputFormat = "text"
    template: str = ""


def find_tools(folder: Path) -> dict[str, Path]:
    """Tool files by id.

    Raises:
        ConfigurationError: the folder does not exist.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"tool folder {folder} does not exist", remedy="Correct 'tool_folders' in the config")
    found = {path.stem: path for path in clean_files(folder, "*.yaml")}
    for path in clean_files(folder, "*.yml"):
        if not any(path.stem == tool or path.stem.startswith(f"{tool}_") for tool in found):
            raise ConfigurationError(f"{path} is not read", remedy=f"Rename it to {path.with_suffix('.yaml')}")
    return found


def companions(tool_file: Path) -> list[Path]:
    """Files that belong to a tool, sorted.

    Files and folders next to its YAML whose names start with `<tool>_`.
    """
    folder, stem = tool_file.parent, tool_file.stem
    return sorted({*clean_files(folder, f"{stem}_*"), *clean_files(folder, f"{stem}_*/**/*")})


def load_tool(path: Path) -> ToolSpec:
    """The tool in a file.

    Raises:
        ConfigurationError: anything wrong with it, naming file and field.
    """
    data = read_yaml(path)
    agent_only = isinstance(data, dict) and "agent" in data and not {"command", "output", "template"} & set(data)
    spec = parse(AgentOnlySpec if agent_only else ToolSpec, data, str(path), {"folder": path.parent})
    if spec.id != path.stem:
        raise ConfigurationError(
            f"{path}: 'id' is '{spec.id}' but the file is named '{path.stem}': use one name for both"
        )
    if problem := template_problem(in_template(spec.template)):
        raise ConfigurationError(f"{path}: 'template' is not a valid Jinja2 template: {problem}")
    return spec


def require_findings(spec: ToolSpec) -> None:
    """Refuse a tool that is for agents alone where its findings are shown.

    Raises:
        ConfigurationError: it has no `command`.
    """
    if not spec.command:
        raise ConfigurationError(
            f"tool '{spec.id}' cannot be used in single prompts (no 'command' in {spec.folder / f'{spec.id}.yaml'})",
            remedy=f"Judge it in an agent: approaches=agent,agent-{spec.id},agent-none",
        )


def require_vars(spec: ToolSpec, cases: Iterable[Case], *, agent: bool) -> None:
    """Refuse a case without a variable that the tool names.

    Args:
        agent: whether it is what the tool gives to an agent that counts, and not what it does for a single prompt.

    Raises:
        ConfigurationError: the first case that lacks one.
    """
    words = [word for command in spec.agent_commands() for word in command] if agent else spec.command
    names = {name.removeprefix(VARS) for word in words for name in names_in(word) if name.startswith(VARS)}
    names |= set() if agent else set(vars_in_template(spec.template))
    place = f"what tool '{spec.id}' gives to an agent" if agent else f"the command or template of tool '{spec.id}'"
    for case in cases if names else ():
        if absent := sorted(name for name in names if case.vars.get(name) is None):
            raise ConfigurationError(
                f"{case.where}: case '{case.id}' has no var '{absent[0]}', which {{{VARS}{absent[0]}}} in {place} "
                "stands for",
                remedy=f"Add it to the case's 'vars', or correct {spec.folder / f'{spec.id}.yaml'}: "
                f"{nearest(absent[0], case.vars)}",
            )


def places_of(spec: ToolSpec) -> dict[str, str]:
    """Values of the placeholders that mean the same everywhere."""
    return {"python": sys.executable, "tool_dir": str(spec.folder.resolve())}
