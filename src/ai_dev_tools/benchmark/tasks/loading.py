"""Tasks and their cases: folders of data, no code.

`config/tasks/<task>/` holds task.yaml, cases and sources/.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, PositiveFloat, field_validator, model_validator

from ai_dev_tools.benchmark._util.json_values import JsonFields, JsonValue, table_in
from ai_dev_tools.benchmark.config.models import WorkflowType
from ai_dev_tools.benchmark.config.parsing import (
    CLUSTER,
    PLACE,
    PathSafe,
    StrictModel,
    nearest,
    parse,
    read_yaml,
    refuse_unstorable,
)
from ai_dev_tools.benchmark.errors import ConfigurationError, ConfigurationErrors
from ai_dev_tools.benchmark.plugins import SCORERS
from ai_dev_tools.benchmark.records.names import clean_files
from ai_dev_tools.benchmark.tasks.case_files import source_files
from ai_dev_tools.benchmark.tasks.case_lists import IMPLICIT, CaseList, list_files, listed_cases
from ai_dev_tools.benchmark.tasks.checking import task_errors
from ai_dev_tools.benchmark.tasks.corpora import whole_id
from ai_dev_tools.benchmark.tasks.excerpts import Excerpt
from ai_dev_tools.benchmark.tasks.repositories import check_place
from ai_dev_tools.benchmark.tasks.scoring import NORMALISATIONS
from ai_dev_tools.benchmark.tasks.workspaces import WorkspaceSource

CORPUS_PREFIX = "corpus:"
_OF_A_RULE = ("field", "scorer", "weight")
"""What every scoring rule may say; all else goes to its scorer."""


class ScoringRule(StrictModel):
    """How one field of the answer is compared with the truth."""

    field: str
    scorer: str
    weight: PositiveFloat = 1.0
    normalise: tuple[str, ...] | None = None
    tolerance: float | None = None
    relative: float | None = None

    model_config = ConfigDict(extra="allow")  # a plugin's scorer has its own parameters, checked below

    @field_validator("scorer")
    @classmethod
    def _known_scorer(cls, value: str) -> str:
        if value not in SCORERS:
            raise ValueError(f"unknown scorer '{value}', {nearest(value, SCORERS)}")
        return value

    @field_validator("normalise")
    @classmethod
    def _known_normalisation(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in value or ():
            if name not in NORMALISATIONS:
                raise ValueError(f"unknown normalisation '{name}', {nearest(name, NORMALISATIONS)}")
        return value

    @model_validator(mode="after")
    def _parameters_of_the_scorer(self) -> ScoringRule:
        parameters = [*inspect.signature(SCORERS[self.scorer].function).parameters.values()][2:]
        named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        given = self.as_dict().keys() - set(_OF_A_RULE)
        strange = sorted(given - named.keys()) if not any(p.kind is p.VAR_KEYWORD for p in parameters) else []
        if strange and strange[0] in (self.model_extra or {}):
            hint = nearest(strange[0], [*named, *_OF_A_RULE])
            raise ValueError(f"scorer '{self.scorer}' takes no '{strange[0]}', {hint}")
        if strange:
            raise ValueError(f"scorer '{self.scorer}' takes no '{strange[0]}', valid: {', '.join(named) or 'none'}")
        if absent := [name for name, p in named.items() if p.default is p.empty and name not in given]:
            raise ValueError(f"scorer '{self.scorer}' needs '{absent[0]}'")
        return self

    def as_dict(self) -> JsonFields:
        """The rule as `scoring.score_answer` takes it."""
        return self.model_dump(exclude_none=True, mode="json")


class Case(StrictModel):
    """One concrete question: real files and the truth about them."""

    id: PathSafe
    cluster: str = Field(pattern=CLUSTER)
    size: Literal["S", "L"]
    source: str | None = Field(None, min_length=1, pattern=PLACE)
    files: tuple[str, ...] = Field(("**/*",), min_length=1)
    excerpt: Excerpt | None = None
    inline: dict[str, str] | None = Field(None, min_length=1)
    contexts: dict[str, str] | None = Field(None, min_length=1)
    workspace: WorkspaceSource | None = None
    vars: dict[str, object] = {}
    truth: dict[str, Any] | None = None
    labels: object = None
    established: str | None = None
    tool_states_answer: bool = False
    notes: str | None = None
    where: str = Field("", exclude=True)

    @field_validator("inline")
    @classmethod
    def _inside(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        for name in value or {}:
            if not Path(name).name or name.startswith("/") or ".." in Path(name).parts or "\0" in name:
                raise ValueError(f"'{name}' is not a path below the case's folder")
            if holder := next((part for part in map(str, Path(name).parents) if part in (value or {})), None):
                raise ValueError(f"'{holder}' is a file, and a folder in '{name}'")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Case:
        if sum(given is not None for given in (self.source, self.inline, self.contexts, self.workspace)) != 1:
            raise ValueError("give exactly one of 'source', 'inline', 'contexts' and 'workspace'")
        if self.workspace and self.excerpt:
            raise ValueError("'excerpt' cannot be used with 'workspace': an agent decides itself what it reads")
        if self.truth is not None and not self.established:
            raise ValueError("'established' is missing: say how the truth was established")
        return self

    @property
    def corpus(self) -> str | None:
        """Id of the corpus that the files come from, if any."""
        return (
            self.source.removeprefix(CORPUS_PREFIX) if self.source and self.source.startswith(CORPUS_PREFIX) else None
        )


class Task(StrictModel):
    """A question family with an answer schema and scorers.

    Attributes:
        single_source: all cases come from one repository. Its files are the clusters, and verdicts hold only for it.
        agents_only: cases have a workspace instead of files that fit a prompt, so that no arm with a single prompt exists.
        cases_from: where more cases are listed than cases/ holds.
        case_lists: files of all lists that were read.
    """

    id: PathSafe
    name: str
    description: str
    workflow_type: WorkflowType
    tools: tuple[str, ...] = ()
    question: str
    answer_schema: dict[str, Any]
    scoring: tuple[ScoringRule, ...] = ()
    timeout: PositiveFloat | None = None
    single_source: bool = False
    agents_only: bool = False
    cases_from: CaseList | None = None
    folder: Path = Field(exclude=True)
    case_lists: tuple[Path, ...] = Field((), exclude=True)
    cases: tuple[Case, ...] = Field(exclude=True, min_length=1)

    @property
    def corpora(self) -> list[str]:
        """Ids of the corpora that cases of this task read."""
        shown = {case.corpus for case in self.cases if case.corpus}
        return sorted(shown | {whole_id(space.corpus) for space in self.workspaces if space.corpus})

    @property
    def workspaces(self) -> dict[WorkspaceSource, str]:
        """The workspaces of its cases, each with the place where it is named first."""
        return {case.workspace: case.where for case in reversed(self.cases) if case.workspace}

    @property
    def repositories(self) -> dict[str, WorkspaceSource]:
        """The commits of git repositories that its cases read, by id."""
        return {name: space for space in self.workspaces if (name := space.repository(self.folder))}

    @property
    def supplied(self) -> bool:
        """Whether contexts are given directly, so that no tool ran for them."""
        return any(case.contexts is not None for case in self.cases)

    def case(self, case_id: str) -> Case:
        """The case with this id; raises KeyError."""
        return {case.id: case for case in self.cases}[case_id]

    def case_ids(self, sizes: Iterable[str] = ("S", "L")) -> list[str]:
        """Ids of the cases of these size classes, sorted."""
        wanted = set(sizes)
        return sorted(case.id for case in self.cases if case.size in wanted)

    def input_files(self) -> list[Path]:
        """Every file of the task folder that prompts depend on, sorted.

        They are looked for once, because Snakemake asks for each job.
        """
        return list(self._input_files)

    @cached_property
    def _input_files(self) -> tuple[Path, ...]:
        parts = [
            self.folder / "task.yaml",
            *clean_files(self.folder / "cases", "**/*"),
            *clean_files(self.folder / "sources", "**/*"),
            *self.case_lists,
        ]
        return tuple(sorted(path for path in parts if path.is_file()))


def find_tasks(folders: Iterable[Path]) -> dict[str, Path]:
    """Task folders by id. A task in a later folder replaces one with the same id in an earlier folder.

    Raises:
        ConfigurationError: a folder to search does not exist.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise ConfigurationError(
                f"task folder {folder} does not exist", remedy="Correct 'task_folders' in the config"
            )
        found.update({path.parent.name: path.parent for path in clean_files(folder, "*/task.yaml")})
        for path in clean_files(folder, "*/task.yml"):
            if path.parent.name not in found:
                raise ConfigurationError(f"{path} is not read", remedy=f"Rename it to {path.with_suffix('.yaml')}")
    return found


def says_agents_only(folder: Path) -> bool:
    """Whether a task says that only agents can be asked; nothing of it is checked, and no case is read."""
    path = folder / "task.yaml"
    try:
        if "agents_only" not in path.read_text(encoding="utf-8"):
            return False
    except (OSError, UnicodeDecodeError):
        return False  # loading the task reports what is wrong
    return table_in(read_yaml(path)).get("agents_only") is True


def load_task(folder: Path) -> Task:
    """The task in a folder, fully checked except for what needs a corpus.

    Raises:
        ConfigurationError: anything wrong with it, one line each, naming file and field.
    """
    path = folder / "task.yaml"
    data = read_yaml(path)
    settings = data if isinstance(data, dict) else {}
    declared = settings.get("cases_from")
    lists = list_files(folder, parse(CaseList, declared, f"{path}: cases_from") if declared else None, str(path))
    _refuse_unread(folder, [file for file, _ in lists])
    cases = [_load_case(file, folder) for file in clean_files(folder / "cases", "*.yaml")]
    cases += [
        _checked(where, fields, folder)
        for file, kind in lists
        for where, fields in listed_cases(file, kind, _answer_fields(settings))
    ]
    if not cases:
        raise ConfigurationError(f"{folder / 'cases'}: no cases found", remedy="Add at least one <case>.yaml")
    task = parse(Task, data, str(path), {"folder": folder, "cases": cases, "case_lists": [file for file, _ in lists]})
    refuse_unstorable(settings, str(path))
    for workspace, where in task.workspaces.items():
        check_place(workspace, folder, where)
    if lines := task_errors(task, path):
        raise ConfigurationErrors(lines)
    return task


def _refuse_unread(folder: Path, lists: Sequence[Path]) -> None:
    """Refuse files that look like cases but have a name that nothing reads.

    They would be left out silently.
    """
    for path in clean_files(folder / "cases", "*.yml"):
        raise ConfigurationError(f"{path} is not read", remedy=f"Rename it to {path.with_suffix('.yaml')}")
    for path in clean_files(folder, "cases.*"):
        if path not in lists:
            raise ConfigurationError(f"{path} is not read", remedy=f"Save the list as {' or '.join(IMPLICIT)}")


def _load_case(path: Path, folder: Path) -> Case:
    case = _checked(str(path), read_yaml(path), folder)
    if case.id != path.stem:
        raise ConfigurationError(
            f"{path}: 'id' is '{case.id}' but the file is named '{path.stem}': use one name for both"
        )
    return case


def _checked(where: str, fields: object, folder: Path) -> Case:
    """A case from its fields, its source looked up."""
    case = parse(Case, fields, where, {"where": where})
    refuse_unstorable(fields, where)
    if case.source and not case.corpus:
        source_files(case, folder.resolve() / "sources", case.source, where)
    return case


def _answer_fields(settings: Mapping[str, object]) -> dict[str, JsonValue]:
    """Schema of each answer field that an unchecked task.yaml declares."""
    schema = settings.get("answer_schema")
    fields = schema.get("properties") if isinstance(schema, dict) else None
    return fields if isinstance(fields, dict) else {}


def check_names(names: Sequence[str], valid: Iterable[str], what: str) -> None:
    """Refuse names that do not exist.

    Raises:
        ConfigurationErrors: one line per wrong name with the nearest valid one.
    """
    known = set(valid)
    lines = [f"unknown {what} '{name}', {nearest(name, known)}" for name in names if name not in known]
    if lines:
        raise ConfigurationErrors(lines)
