"""The final message of a run: its result, or what failed, below all that Snakemake prints."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from ai_dev_tools.benchmark.config.models import OutputFormat
from ai_dev_tools.benchmark.errors import LARGER_BUDGET
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.reporting import console_summary, usual_format
from ai_dev_tools.benchmark.workflow.notify import announce
from ai_dev_tools.benchmark.workflow.snakemake import SUMMARY


def report_result(profile: str, output_format: OutputFormat | None, since: float) -> None:
    """The result in short, and where the report is; nothing where nothing was measured or reported.

    Args:
        profile: name of the configured run.
        since: when this call began.
    """
    rendered = _made_since(since, "results/*/report/report.json", 2)
    for name in sorted(rendered | _made_since(since, "results/*/blocks/*/*.jsonl", 3)):
        announce(Path(paths.RUN.format(profile=name)), name, succeeded=True)
    if profile in rendered and os.environ.get(SUMMARY) != "off":
        chosen = output_format or usual_format(sys.stderr)
        print(console_summary(Path(paths.REPORT.format(profile=profile)), chosen), file=sys.stderr)


def report_failure(profile: str, since: float) -> None:
    """Each error of this call's jobs once."""
    logs = [path for path in Path(paths.LOGS).glob("*.log") if path.stat().st_mtime >= since]
    if not logs:
        return  # a check of settings that failed, and has said why
    announce(Path(paths.RUN.format(profile=profile)), profile, succeeded=False)
    texts = [log.read_text(encoding="utf-8", errors="replace") for log in sorted(logs)]
    lines = [line for text in texts for line in text.splitlines() if line.startswith("error: ")]
    print(*closing_lines(lines), sep="\n", file=sys.stderr)


def closing_lines(errors: Sequence[str]) -> list[str]:
    """What to do, and each error once; where all that is missing is money, the last error says both."""
    others = [line for line in dict.fromkeys(errors) if LARGER_BUDGET not in line]
    spent = [line for line in errors if LARGER_BUDGET in line][-1:]
    if spent and not others:
        return ["The run is not complete: its budget is spent.", *spent]
    return ["The run is not complete; the same command continues where it stopped.", *others, *spent]


def cancel_timers() -> None:
    """Cancel what Snakemake's scheduler has left to wake up for.

    Its process would live on for up to a second after the last job.
    """
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()


def _made_since(moment: float, pattern: str, levels: int) -> set[str]:
    """Profiles that have a newer file of this pattern, `levels` below their results."""
    found = [path for path in Path().glob(pattern) if path.stat().st_mtime >= moment]
    return {path.parents[levels - 1].name for path in found}
