"""The file of a third-party agent, `config/agents/AGENT.yaml`: how it is installed and started."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ai_dev_tools.benchmark._util.text import visible
from ai_dev_tools.benchmark.config.as_written import as_list
from ai_dev_tools.benchmark.config.parsing import PathSafe, StrictModel, nearest, parse, read_yaml
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.plugins import AGENT, AGENT_PREFIX
from ai_dev_tools.benchmark.prompts.placeholders import check_words, filled
from ai_dev_tools.benchmark.records.agent_program import AgentProgram, AgentSandbox, AnswerPlace
from ai_dev_tools.benchmark.records.names import clean_files
from ai_dev_tools.benchmark.tasks.case_files import content_digest

FOLDER = "folder"
OF_EPISODE = ("workspace", "question", "question_file", "answer_file", "base_url", "key", "model")
VALID = (FOLDER, *OF_EPISODE)
"""Placeholders of a command, its environment and its files."""
VERSION_TIMEOUT_S = 60.0
SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
Words = Annotated[tuple[str, ...], Field(min_length=1)]


class ArmSpec(StrictModel):
    """What one arm has that the others have not."""

    description: str = ""
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    files: dict[str, str] = {}

    @model_validator(mode="after")
    def _sound(self) -> ArmSpec:
        check_words([*self.arguments, *self.environment.values(), *self.files.values()], VALID)
        _check_paths(self.files)
        return self


class ProgramSpec(StrictModel):
    """A third-party agent."""

    id: PathSafe
    description: str
    homepage: str | None = None
    install: str
    version: str | None = None
    version_command: Words | None = None
    command: Words
    environment: dict[str, str] = {}
    files: dict[str, str] = {}
    needs: tuple[str, ...] = ()
    answer: Annotated[tuple[AnswerPlace, ...], BeforeValidator(as_list), Field(min_length=1)] = ("file",)
    answer_file: str = "answer.json"
    answer_field: str = ""
    accept_exit: tuple[int, ...] = (0,)
    arms: dict[str, ArmSpec] = {}
    file: Path = Field(exclude=True)

    @field_validator("command", "version_command")
    @classmethod
    def _known_placeholders(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        check_words((value or ())[:1], (FOLDER,))
        check_words(value or (), VALID)
        return value

    @field_validator("answer_file")
    @classmethod
    def _below_the_workspace(cls, value: str) -> str:
        _check_paths([value])
        return value

    @model_validator(mode="after")
    def _sound(self) -> ProgramSpec:
        check_words([*self.environment.values(), *self.files.values()], VALID)
        _check_paths(self.files)
        if not any("{base_url}" in text for text in (*self.command, *self.environment.values(), *self.files.values())):
            raise ValueError("{base_url} is neither in its command, environment nor files: it would not ask the meter")
        if not any("{question" in word for word in (*self.command, *self.files.values())):
            raise ValueError("neither {question} nor {question_file} is in its command: it would not get the question")
        return self

    def arm(self, approach: str) -> ArmSpec:
        """What only the arm `agent` or `agent-NAME` has.

        Raises:
            ConfigurationError: this agent has no such arm.
        """
        name = approach.removeprefix(AGENT_PREFIX)
        if name == AGENT or name in self.arms:
            return self.arms.get(name, ArmSpec())
        raise ConfigurationError(
            f"the agent '{self.id}' has no arm {approach}, {nearest(name, self.arms)}",
            remedy=f"Add it under 'arms' in {self.file}, with what differs from the arm '{AGENT}'",
        )

    @property
    def fingerprint(self) -> str:
        """A digest of all that its file says of how it works."""
        said = self.model_dump(mode="json", exclude={"description", "homepage", "install"})
        return content_digest(json.dumps(said, sort_keys=True))

    def record(self, approach: str, folder: Path, version: str, sandbox: AgentSandbox) -> AgentProgram:
        """The program as the prompts of an arm carry it."""
        arm = self.arm(approach)
        said = self.model_dump(mode="json", exclude={"arms", "description", "homepage", "install"})
        return AgentProgram(
            id=self.id,
            version=version,
            digest=content_digest(json.dumps([said, arm.model_dump(mode="json")], sort_keys=True), version),
            command=[*self.command, *arm.arguments],
            environment={**self.environment, **arm.environment},
            files={**self.files, **arm.files},
            answer=list(self.answer),
            answer_file=self.answer_file,
            answer_field=self.answer_field,
            accept_exit=list(self.accept_exit),
            folder=str(folder),
            needs=list(self.needs),
            sandbox=sandbox,
        )


@dataclass(frozen=True)
class InstalledProgram:
    """A third-party agent as it is installed."""

    spec: ProgramSpec
    version: str


def given_program(given: Mapping[str, str] | None) -> InstalledProgram | None:
    """The third-party agent that a job is told of: its `file` and installed `version`."""
    if given is None:
        return None
    path = Path(given["file"])
    return InstalledProgram(load_program(path.stem, {path.stem: path}), given["version"])


def _check_paths(names: Iterable[str]) -> None:
    """Raise ValueError for a name that is not that of a file below the workspace."""
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or name != path.as_posix() or name == "." or "\0" in name:
            raise ValueError(f"'{name}' is not a path below the workspace, such as answer.json")


def find_programs(folders: Iterable[Path]) -> dict[str, Path]:
    """Files of agents by id; those of later folders win."""
    return {path.stem: path for folder in folders if folder.is_dir() for path in clean_files(folder, "*.yaml")}


def load_program(name: str, found: Mapping[str, Path]) -> ProgramSpec:
    """The agent with this name.

    Args:
        found: files of agents, by id.

    Raises:
        ConfigurationError: there is none, or anything is wrong with its file.
    """
    if name not in found:
        raise ConfigurationError(f"agent.program: there is no agent '{name}', {nearest(name, found)}")
    path = found[name]
    spec = parse(ProgramSpec, read_yaml(path), str(path), {"file": path})
    if spec.id != path.stem:
        raise ConfigurationError(
            f"{path}: 'id' is '{spec.id}' but the file is named '{path.stem}': use one name for both"
        )
    return spec


def installed_program(spec: ProgramSpec, folder: Path) -> str:
    """The version of the agent that is installed in a folder; `unknown` if its file gives no way to ask.

    Raises:
        ConfigurationError: it is not installed, or not in the pinned version; says how to install it.
    """
    places = {FOLDER: str(folder.absolute())}
    remedy = f"Install it: {filled(spec.install, {FOLDER: str(folder)})}"
    program = filled(spec.command[0], places)
    for name in (program, *spec.needs):
        if shutil.which(name, path=program_path(folder)) is None:
            raise ConfigurationError(f"the agent '{spec.id}' is not installed: there is no {name}", remedy=remedy)
    if spec.version_command is None:
        return spec.version or "unknown"
    found = _version(
        tuple(filled(word, places) for word in spec.version_command), program_path(folder), spec.id, remedy
    )
    if spec.version and found != spec.version:
        raise ConfigurationError(
            f"the agent '{spec.id}' is version {found}, but {spec.file} pins {spec.version}", remedy=remedy
        )
    return found


def program_path(folder: Path, needs: Iterable[str] | None = None) -> str:
    """Where an agent's programs are looked for: its own come first.

    Args:
        needs: in a sandbox, the further programs that it is made of: then only those of the system come after them, whatever
            else is on PATH, so that an agent finds the same on every machine.
    """
    own = [str(folder.absolute() / name) for name in ("bin", "node_modules/.bin")]
    if needs is None:
        return os.pathsep.join([*own, os.environ.get("PATH", os.defpath)])
    found = [str(Path(path).parent) for name in needs if (path := shutil.which(name))]
    return os.pathsep.join(dict.fromkeys([*own, *found, *SYSTEM_PATH]))


@functools.cache
def _version(argv: tuple[str, ...], path: str, agent: str, remedy: str) -> str:
    environment = {"PATH": path, "HOME": "/nonexistent", "LANG": "C.UTF-8", "NO_COLOR": "1"}
    try:
        ended = subprocess.run(
            argv, env=environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = getattr(error, "strerror", None) or f"it took more than {VERSION_TIMEOUT_S:g} s"
        raise ConfigurationError(f"the agent '{agent}' does not report its version: {reason}", remedy=remedy) from None
    lines = [line for line in ended.stdout.decode(errors="replace").splitlines() if line.strip()]
    if ended.returncode or not lines:
        words = ended.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it says nothing"]
        raise ConfigurationError(
            f"the agent '{agent}' does not report its version (exit code {ended.returncode}): {visible(words[0][:200])}",
            remedy=remedy,
        )
    return visible(lines[-1].strip()[:200], keep_lines=False)
