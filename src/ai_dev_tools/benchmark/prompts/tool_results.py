"""What each tool says about each case, and what that cost: `results/contexts/{task}.{tool}.jsonl`."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from ai_dev_tools.benchmark._util.files import write_atomically
from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.endpoints.resource_use import is_disturbed
from ai_dev_tools.benchmark.errors import ToolError
from ai_dev_tools.benchmark.prompts.containment import choose_sandbox
from ai_dev_tools.benchmark.prompts.run_folder import Sandbox, SandboxSetting
from ai_dev_tools.benchmark.prompts.tool_spec import ToolSpec
from ai_dev_tools.benchmark.prompts.tools import installed_version, run_tool, tool_digest
from ai_dev_tools.benchmark.records.row_journal import read_rows
from ai_dev_tools.benchmark.tasks.case_files import case_texts, content_digest
from ai_dev_tools.benchmark.tasks.corpora import CorpusUnavailable
from ai_dev_tools.benchmark.tasks.loading import Case, Task
from ai_dev_tools.benchmark.tasks.questions import render_questions
from ai_dev_tools.benchmark.tasks.templating import TemplateFailure

ENOUGH_FAILURES = 3
"""If a tool fails on this many first cases in the same way, it is not run on the others."""


class ToolResult(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One tool on one case. Times are seconds: the median of the runs, and each run.

    Attributes:
        other_cpu_s: CPU time of everything else on the machine during a run, also the median; None if it is unknown.
        digest: of everything that the result depends on; `program`: of the tool's own part of that.
        sandbox: what isolated the tool from the system.
    """

    case: str
    tool: str
    version: str
    digest: str
    status: Literal["ok", "failed", "skipped"]
    error: str | None = None
    text: str = ""
    raw_bytes: int = 0
    condensed_bytes: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    runs_wall_s: list[float] = []
    program: str = ""
    sandbox: Sandbox = "none"
    other_cpu_s: float | None = None

    @property
    def disturbed(self) -> bool:
        """Whether other programs may have slowed down the tool, so that its time says little."""
        return is_disturbed(self.other_cpu_s, self.wall_s)


_decoder = msgspec.json.Decoder(ToolResult)


def read_contexts(path: Path) -> dict[str, ToolResult]:
    """Tool results by case id, see `read_rows`."""
    return {row.case: row for row in read_rows(path, _decoder)}


def write_contexts(path: Path, rows: Iterable[ToolResult]) -> None:
    """Write tool results as JSON lines, atomically."""
    write_atomically(path, b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def collect_contexts(
    task: Task,
    spec: ToolSpec,
    corpora: Path,
    known: Mapping[str, ToolResult],
    runs: int = 1,
    *,
    cases: Collection[str] | None = None,
    sandbox: SandboxSetting = "auto",
    keep: Callable[[ToolResult], None] | None = None,
) -> list[ToolResult]:
    """Run a tool on cases of a task, one at a time.

    A known result of the same tool and input is kept.

    A tool that fails on its first cases in the same way is not run on the others.

    Args:
        corpora: folder of the fetched corpora.
        known: earlier results by case id; none, to run all again.
        runs: number of cold runs; their median time counts.
        cases: ids of those to run; default all.
        keep: called with each result as soon as it is there.

    Raises:
        ConfigurationError: the tool is not installed, or the required sandbox does not work.
    """
    version = installed_version(spec, sandbox)
    collection = _ContextCollector(task, spec, version, tool_digest(spec, version), corpora, runs, sandbox, known)
    wanted = [case for case in task.cases if not case.contexts and (cases is None or case.id in cases)]
    if spec.asks_question:
        collection.questions = render_questions(task, wanted)
    rows: list[ToolResult] = []
    for case in wanted:
        reason = "" if collection.works else reason_to_give_up(rows)
        rows.append(collection.not_run(case, rows, reason) if reason else collection.one(case))
        if keep:
            keep(rows[-1])
    return rows


def disturbed_line(task: str, rows: Iterable[ToolResult]) -> str | None:
    """A warning about tools that other programs may have slowed down; None if there were none."""
    disturbed = [row for row in rows if row.disturbed]
    if not disturbed:
        return None
    worst = max(disturbed, key=lambda row: (row.other_cpu_s or 0.0) / (row.wall_s or 1.0))
    cores = (worst.other_cpu_s or 0.0) / (worst.wall_s or 1.0)
    return (
        f"warning: {task}: other programs used the machine while {worst.tool} ran, on {plural(len(disturbed), 'case')} (on "
        f"{worst.case} {cores:.1f} cores): its time there counts for no claim. On a quiet machine, add "
        "`--forcerun collect_contexts`: no model is asked again"
    )


def reason_to_give_up(rows: Sequence[ToolResult]) -> str:
    """Why a tool need not run on more cases (it failed on all so far, on the first few in the same way).

    Else empty.
    """
    tried = [row for row in rows if row.status != "skipped"]
    first = tried[:ENOUGH_FAILURES]
    if len(first) < ENOUGH_FAILURES or any(row.status == "ok" for row in tried):
        return ""
    ways = {_kind_of_failure(row) for row in first}
    return str(first[0].error) if len(ways) == 1 else ""


def _kind_of_failure(row: ToolResult) -> tuple[str, str]:
    """How a run failed, without what differs from case to case: numbers, paths, names in quotes."""
    message = str(row.error)
    for kind in (" did not end within ", " printed what is not ", " printed more than "):
        if kind in message:
            return kind, ""
    code = re.search(r" ended with exit code (-?\d+)", message)
    text = re.sub(r"""(["'`]).*?\1|\S*[/\\.]\S*""", "…", message.replace(row.case, "…"))
    return code[1] if code else "", re.sub(r"0x[0-9a-fA-F]+|\d+", "#", text)


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 6) if len(known) == len(values) else None


@dataclass
class _ContextCollector:
    """One tool over one task."""

    task: Task
    spec: ToolSpec
    version: str
    program: str
    corpora: Path
    runs: int
    sandbox: SandboxSetting
    known: Mapping[str, ToolResult]
    questions: dict[str, str | TemplateFailure] = field(default_factory=dict)

    @property
    def works(self) -> bool:
        """Whether the current version of the tool is known to have worked on any case."""
        return any(row.status == "ok" and row.program == self.program for row in self.known.values())

    def one(self, case: Case) -> ToolResult:
        """The result on one case: the known one, or a new run of the tool."""
        try:
            files = case_texts(self.task, case, self.corpora)
        except CorpusUnavailable as error:
            return self._row(case, "", status="skipped", error=str(error))
        asked = self.questions.get(case.id)
        question = asked if isinstance(asked, str) else None
        digest = content_digest(self.program, self.runs, question, sorted(case.vars.items()), sorted(files.items()))
        known = self.known.get(case.id)
        if known and known.digest == digest and known.status == "ok" and self._is_good(known):
            return known
        try:
            results = [
                run_tool(self.spec, files, case.vars, question=question, case=case.id, sandbox=self.sandbox)
                for _ in range(self.runs)
            ]
        except ToolError as error:
            return self._row(
                case,
                digest,
                status="failed",
                error=str(error),
                wall_s=round(error.spent_s, 6),
                sandbox=choose_sandbox(self.sandbox),
                other_cpu_s=_median([error.other_cpu_s]),
            )
        return self._row(
            case,
            digest,
            status="ok",
            text=results[0].condensed,
            raw_bytes=results[0].raw_bytes,
            condensed_bytes=len(results[0].condensed.encode()),
            wall_s=round(statistics.median(run.wall_s for run in results), 6),
            cpu_s=round(statistics.median(run.cpu_s for run in results), 6),
            runs_wall_s=[round(run.wall_s, 6) for run in results],
            sandbox=results[0].sandbox,
            other_cpu_s=_median([run.other_cpu_s for run in results]),
        )

    def not_run(self, case: Case, rows: Sequence[ToolResult], reason: str) -> ToolResult:
        """The result of a case on which the tool would fail as on the first ones.

        It has the cost that those had.
        """
        tried = [row.wall_s for row in rows if row.status != "skipped"][:ENOUGH_FAILURES]
        error = f"not run, since it failed on the first {ENOUGH_FAILURES} cases in the same way: {reason}"
        return self._row(case, "", status="failed", error=error, wall_s=statistics.median(tried))

    def _is_good(self, known: ToolResult) -> bool:
        """Whether a known result can be kept: it was made in the required sandbox and undisturbed."""
        if known.disturbed:
            return False
        return self.sandbox != "bubblewrap" or known.sandbox == "bubblewrap"

    def _row(self, case: Case, digest: str, **found: Any) -> ToolResult:
        return ToolResult(
            case=case.id, tool=self.spec.id, version=self.version, program=self.program, digest=digest, **found
        )
