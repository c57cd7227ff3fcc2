"""What each tool says about each case, and what asking it cost: `results/contexts/{task}.{tool}.jsonl`."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from ai_dev_tools.benchmark.corpora import CorpusUnavailable
from ai_dev_tools.benchmark.errors import ToolError
from ai_dev_tools.benchmark.samples import write_atomically
from ai_dev_tools.benchmark.tasks import Case, Task, case_texts, content_digest
from ai_dev_tools.benchmark.tools import ToolSpec, installed_version, run_tool


class ToolResult(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One tool on one case. Times are seconds: the median of the runs, and each run."""

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


_decoder = msgspec.json.Decoder(ToolResult)


def read_contexts(path: Path) -> dict[str, ToolResult]:
    """Tool results by case id; empty where there is no readable file (it is derived data and made again)."""
    try:
        rows = [_decoder.decode(line) for line in path.read_bytes().splitlines()]
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return {row.case: row for row in rows}


def write_contexts(path: Path, rows: Iterable[ToolResult]) -> None:
    """Write tool results as JSON lines, atomically."""
    write_atomically(path, b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def collect_contexts(
    task: Task, spec: ToolSpec, corpora: Path, known: dict[str, ToolResult], runs: int = 1
) -> list[ToolResult]:
    """Run a tool over every case of a task, one after the other; a known result of the same input is kept.

    Args:
        corpora: folder of the fetched corpora.
        known: earlier results by case id.
        runs: cold runs of which the median time counts.
    """
    version = installed_version(spec)
    return [
        _one(task, case, spec, version, corpora, known.get(case.id), runs) for case in task.cases if not case.contexts
    ]


def _one(
    task: Task, case: Case, spec: ToolSpec, version: str, corpora: Path, known: ToolResult | None, runs: int
) -> ToolResult:
    try:
        files = case_texts(task, case, corpora)
    except CorpusUnavailable as error:
        return ToolResult(case=case.id, tool=spec.id, version=version, digest="", status="skipped", error=str(error))
    digest = content_digest(spec.fingerprint(), version, runs, sorted(case.vars.items()), sorted(files.items()))
    if known and known.digest == digest and known.status == "ok":
        return known
    try:
        results = [run_tool(spec, files, case.vars) for _ in range(runs)]
    except ToolError as error:
        return ToolResult(
            case=case.id,
            tool=spec.id,
            version=version,
            digest=digest,
            status="failed",
            error=str(error),
            wall_s=round(error.spent_s, 6),
        )
    return ToolResult(
        case=case.id,
        tool=spec.id,
        version=version,
        digest=digest,
        status="ok",
        text=results[0].condensed,
        raw_bytes=results[0].raw_bytes,
        condensed_bytes=len(results[0].condensed.encode()),
        wall_s=round(statistics.median(run.wall_s for run in results), 6),
        cpu_s=round(statistics.median(run.cpu_s for run in results), 6),
        runs_wall_s=[round(run.wall_s, 6) for run in results],
    )
