"""What each tool made of each case's workspace before any agent worked in it.

Kept in `results/prepared/{task}.{tool}.jsonl`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from ai_dev_tools.benchmark._util.files import write_atomically
from ai_dev_tools.benchmark.records.agent_tool import AgentTool
from ai_dev_tools.benchmark.records.episode import Action
from ai_dev_tools.benchmark.records.row_journal import read_rows


class PreparedTool(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True, kw_only=True):
    """One tool at one case's workspace.

    Attributes:
        digest: of the tool and the workspace; `program`: of the tool alone.
        agent: the tool as an episode gets it, with the archive of what `prepare` made.
        offered: its own actions.
        wall_s, cpu_s, other_cpu_s: of `prepare`; charged in full to each episode, like the run time of any tool.
    """

    case: str
    tool: str
    digest: str
    program: str = ""
    status: Literal["ok", "failed", "skipped"]
    error: str | None = None
    agent: AgentTool | None = None
    offered: list[Action] = []
    wall_s: float = 0.0
    cpu_s: float = 0.0
    other_cpu_s: float | None = None


_decoder = msgspec.json.Decoder(PreparedTool)


def read_prepared(path: Path) -> dict[str, PreparedTool]:
    """Rows by case id, see `read_rows`."""
    return {row.case: row for row in read_rows(path, _decoder)}


def write_prepared(path: Path, rows: Iterable[PreparedTool]) -> None:
    """Write rows as JSON lines, atomically."""
    write_atomically(path, b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
