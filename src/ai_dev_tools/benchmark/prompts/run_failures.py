"""One-line messages for runs of a tool that failed."""

from __future__ import annotations

from collections.abc import Sequence

from ai_dev_tools.benchmark.errors import ToolError
from ai_dev_tools.benchmark.prompts.containment import RunEnd, RunLimits


def require_success(
    tool: str,
    ended: RunEnd,
    limits: RunLimits,
    words: str,
    *,
    accept_exit: Sequence[int] | None = (0,),
    install: str = "",
) -> None:
    """Raise ToolError for a run that did not end properly.

    Args:
        words: the last that the tool said.
        accept_exit: exit codes that are fine; None: all but the end by a signal.
    """
    said = f": {words}" if words else ""
    match ended.how:
        case "exit" if not _accepted(ended.code, accept_exit):
            raise ToolError(f"{tool} ended with exit code {ended.code}: {words or 'no message'}")
        case "exit" if ended.left:
            raise ToolError(f"{tool} left a process running that cannot be ended")
        case "exit":
            return
        case "timeout":
            raise ToolError(f"{tool} did not end within {limits.seconds:g} s{said}")
        case "printed":
            raise ToolError(f"{tool} printed more than {limits.printed_bytes // 1_000_000} MB")
        case "written":
            raise ToolError(
                f"{tool} wrote more than {limits.written_bytes // 1_000_000} MB or {limits.entries:,} files{said}"
            )
        case "not_started":
            raise ToolError(
                f"{tool} cannot be started: {ended.detail}", remedy=f"Install: {install}" if install else None
            )
    raise ToolError(f"{tool} ended its supervisor{said}")


def _accepted(code: int | None, accept_exit: Sequence[int] | None) -> bool:
    return code in accept_exit if accept_exit is not None else code is not None and code >= 0
