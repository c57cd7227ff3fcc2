"""The lock of a run that is alive.

Snakemake's own lock cannot tell a killed run from a living one.
"""

from __future__ import annotations

import fcntl
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO

_run_lock: IO[str] | None = None


def clear_stale_lock(folder: Path) -> None:
    """Remove the lock of a run that was killed, so that the same command just works again.

    Snakemake's lock is a file that outlives a SIGKILL. Ours is held by the kernel for as long as the process lives, and
    every run has a share in it: whoever gets it alone knows that no other run is alive, so any lock of Snakemake's is
    stale. Otherwise Snakemake's lock stands.
    """
    global _run_lock
    try:
        folder.mkdir(exist_ok=True)
        _run_lock = open(folder / "run.lock", "w")  # noqa: SIM115 (held for the life of the process)
        with suppress(BlockingIOError):
            fcntl.flock(_run_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder / "locks", ignore_errors=True)
        fcntl.flock(_run_lock, fcntl.LOCK_SH)
    except OSError:
        return
