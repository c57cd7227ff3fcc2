"""How a script of the workflow ends on an error: one line on the console and in its log."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from ai_dev_tools.benchmark._util.processes import watch_parent
from ai_dev_tools.benchmark._util.text import visible_line
from ai_dev_tools.benchmark.errors import BenchmarkError, error_lines, file_error

Say = Callable[[str], None]
RUN_PID = "AI_DEV_TOOLS_RUN_PID"
"""Environment variable with the process id of the Snakemake run, without which a job must not go on."""
_GRACE_S = 20.0


@contextmanager
def job(log_file: str | Path | None = None) -> Iterator[Say]:
    """Yield a function that says a line on the console and in the log.

    Turn a BenchmarkError into exit code 1.

    A job of a run ends with it, even when Snakemake is killed.
    """
    gc.freeze()  # imports stay: there is no need to look through them again and again
    if (run := os.environ.get(RUN_PID, "")).isdigit():
        end_in_order()
        watch_parent(int(run), end_now)
    log = Path(log_file) if log_file else None
    if log:
        with suppress(OSError):  # as below: the file that cannot be written is reported as the reason
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text("")

    def say(line: str) -> None:
        line = visible_line(line)
        sys.stderr.write(f"{line}\n")  # at once: `print` may write the line's end apart, after what another job says
        sys.stderr.flush()
        if log:
            with suppress(OSError), log.open("a", encoding="utf-8") as file:  # the disk may be what is wrong
                print(line, file=file)

    try:
        yield say
    except (BenchmarkError, OSError) as error:
        for line in error_lines(error if isinstance(error, BenchmarkError) else file_error(error)):
            say(line)
        raise SystemExit(1) from None


def end_in_order() -> None:
    """Have SIGINT, SIGTERM and SIGHUP raise SystemExit in the main thread, once; what follows is ignored."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end(signum: int, _: FrameType | None) -> None:
        for name in signals:
            signal.signal(name, signal.SIG_IGN)
        raise SystemExit(128 + signum)

    for name in signals:
        signal.signal(name, end)


def end_now() -> None:
    """End this process: in order, or at least after a while."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)
