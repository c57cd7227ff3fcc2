"""Digests of questions and tools for the plan, so that none can be replaced under its old name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ai_dev_tools.benchmark.prompts.tool_spec import AGENT_FIELDS, ToolSpec, companions
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.tasks.case_files import content_digest, source_files
from ai_dev_tools.benchmark.tasks.loading import Case, Task
from ai_dev_tools.benchmark.tasks.workspaces import Workspaces

LENGTH = 12
_CASE = ("cluster", "source", "files", "excerpt", "inline", "contexts", "vars", "truth")
_PROSE = {"description", "homepage", "install"}


def case_digests(task: Task, cases: Iterable[str]) -> dict[str, str]:
    """For each case, a digest of the question, the files and the correct answer.

    Files of a corpus are pinned by checksum in `corpora.yaml`, those of a git repository by its commit; they may not be here
    yet, so only their names count.
    """
    rules = [rule.model_dump_json() for rule in task.scoring]
    workspaces = Workspaces(task, Path(paths.CORPORA_FOLDER))

    def parts(case: Case) -> list[object]:
        return [*_case(case), *_files(task, case), *_workspace(case, workspaces)]

    return {
        name: content_digest(task.question, task.answer_schema, *rules, *parts(task.case(name)))[:LENGTH]
        for name in cases
    }


def _case(case: Case) -> list[str]:
    return [case.model_dump_json(include={name}) for name in _CASE]


def _files(task: Task, case: Case) -> list[bytes]:
    if case.source is None or case.corpus:
        return []
    base: Path = task.folder.resolve() / "sources"
    return [path.read_bytes() for path in source_files(case, base, case.source, case.where)]


def _workspace(case: Case, workspaces: Workspaces) -> list[str]:
    """Where the files of a workspace come from, and for a folder what they say."""
    if case.workspace is None:
        return []
    said = case.workspace.model_dump_json()
    return [said, workspaces.of(case).digest] if case.workspace.path else [said]


def tool_fingerprint(tool: ToolSpec) -> str:
    """A digest of what determines a tool's output in addition to its version and input.

    Descriptions do not count.
    """
    beside = [
        part
        for path in companions(tool.folder / f"{tool.id}.yaml")
        for part in (path.relative_to(tool.folder).as_posix(), path.read_bytes())
    ]
    absent = set() if tool.agent else AGENT_FIELDS  # digests from before there were agents stay the same
    return content_digest(tool.model_dump_json(exclude=_PROSE | absent), *beside)[:LENGTH]
