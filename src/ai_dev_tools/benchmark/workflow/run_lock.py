"""The lock of a run that is alive.

Snakemake's own lock cannot tell a killed run from a living one.
"""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import IO

_run_lock: IO[str] | None = None
_met_another = False
ANOTHER_RUN = "error: another run works in this folder: wait until it has ended, then run the same command again"


def clear_stale_lock(folder: Path) -> None:
    """Remove the lock of a run that was killed, so that the same command just works again.

    Snakemake's lock is a file that outlives a SIGKILL. Ours is held by the kernel for as long as the process lives, and
    every run has a share in it: a run that holds it alone knows that no other run is alive, so any lock of Snakemake's is
    stale. Otherwise Snakemake's lock stands.
    """
    global _run_lock, _met_another
    try:
        folder.mkdir(exist_ok=True)
        _run_lock = open(folder / "run.lock", "w")  # noqa: SIM115 (held for the life of the process)
        try:
            fcntl.flock(_run_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder / "locks", ignore_errors=True)
        except BlockingIOError:
            _met_another = True
        fcntl.flock(_run_lock, fcntl.LOCK_SH)
    except OSError:
        return


def another_run(folder: Path) -> bool:
    """Whether a run is alive here; for a process that is not one itself."""
    try:
        with open(folder / "run.lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def in_one_line(message: str) -> str:
    """Snakemake's message about its lock in one line, if the run that holds it is alive; any other as it is."""
    return ANOTHER_RUN if _met_another and "Directory cannot be locked" in message else message
