"""What reports and archives say about the settings of a run.

`RunAbout`, kept as about.json, is for the report; `Subject` is for the archive.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import msgspec

from ai_dev_tools.benchmark.errors import ConfigurationError

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True)
class RunAbout:
    """What a report says about the run in addition to its tables; empty if nobody knows.

    Attributes:
        profile: the hardware profile as it was resolved, under the names of its settings.
        models: tags of the models that are asked.
        tasks: name of each task for people, by id.
        supplied: by id, tasks whose prompts the user supplied, and whether their answers are scored.
        approaches: what each arm shows, by name.
        samples: samples per task and arm; expected: samples of all arms, by task.
        plan: hash of the plan in force.
        partial: whether missing blocks are left out instead of asked.
        given: settings of the command line that a further run of the same kind would repeat.
    """

    profile: dict[str, object] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    tasks: dict[str, str] = field(default_factory=dict)
    supplied: dict[str, bool] = field(default_factory=dict)
    approaches: dict[str, str] = field(default_factory=dict)
    samples: int | None = None
    expected: dict[str, int] = field(default_factory=dict)
    execution_mode: str = ""
    plan: str | None = None
    partial: bool = False
    given: dict[str, object] = field(default_factory=dict)

    @classmethod
    def read(cls, data: object, where: str = "about.json") -> RunAbout:
        """What a file or a parameter says; names of newer versions are passed over.

        Raises:
            ConfigurationError: it says something else than this.
        """
        return _converted(data, cls, where)

    def plain(self) -> dict[str, object]:
        """As JSON has it."""
        return _plain(self)

    @property
    def profile_name(self) -> str:
        """The profile's name; "" where it is not known."""
        return str(self.profile.get("name") or "")

    @property
    def instances(self) -> list[dict[str, object]]:
        """The profile's instances, as they were resolved."""
        listed = self.profile.get("instances")
        return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []

    @property
    def expected_samples(self) -> int | None:
        """How many samples the settings ask for; None if that is not known."""
        return sum(self.expected.values()) * max(1, len(self.models)) if self.expected else None


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What to archive, as the workflow knows it.

    Attributes:
        profile: name of the results folder.
        config: all settings, resolved.
        plan: hash of the plan in force.
        tasks: folder of each task by id; task_files: case lists of each task that lie elsewhere.
        blocks: block files of the run; others in its folder, of other tasks or models, are not of it.
        contexts: files with what tools said.
        tools: YAML file of each tool by id.
        corpora: ids of the corpora that the tasks read; repositories: ids of the commits that agents read.
        home: folder of the workflow's own files, seen from the working folder.
    """

    profile: str
    config: dict[str, Any]
    plan: str
    tasks: dict[str, str]
    blocks: list[str]
    contexts: list[str]
    task_files: dict[str, list[str]]
    tools: dict[str, str]
    corpora: list[str]
    about: RunAbout
    home: str = "."
    repositories: list[str] = field(default_factory=list)

    @classmethod
    def from_dict(cls, data: object) -> Subject:
        """The subject in the parameters of a job."""
        return _converted(data, cls, "the archive's parameters")

    def plain(self) -> dict[str, object]:
        """As the parameters of a job have it."""
        return _plain(self)


def _converted(data: object, kind: type[S], where: str) -> S:
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _plain(struct: RunAbout | Subject) -> dict[str, object]:
    return asdict(struct)
