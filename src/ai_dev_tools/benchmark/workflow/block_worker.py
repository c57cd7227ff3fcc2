"""Start a run's worker (`execution.worker`) from Snakemake's main process."""

from __future__ import annotations

import atexit
import os
import secrets
import select
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ai_dev_tools.benchmark.execution import start_block
from ai_dev_tools.benchmark.execution.start_block import WORKER

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

PROGRAM = str(Path(start_block.__file__))
"""What a block's job runs, with `python3 -I -S`."""
MODULE = "ai_dev_tools.benchmark.execution.worker"
BLOCK_RULES = ("run_block", "run_sample")


def offer_worker(workflow: Workflow, folder: Path) -> None:
    """Have blocks of this run started by a worker.

    Only if there are several, and they run on this machine in this environment.

    Not on clusters, where a block is a job with its own limits, and not in a conda environment or a container, whose
    own Python runs it.
    """
    if not workflow.is_main_process or not workflow.local_exec or workflow.deployment_settings.deployment_method:
        return
    if sum(job.rule.name in BLOCK_RULES for job in workflow.dag.needrun_jobs()) > 1:
        with suppress(OSError):  # no sockets in this folder: each block starts by itself
            listen(folder / "blocks.socket")


def listen(path: Path) -> None:
    """Offer a worker on this socket until this process ends; its environment tells the jobs where."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen()
    os.environ[WORKER] = f"{secrets.token_hex(16)}:{path}"  # tools do not see it, even where they see the socket
    threading.Thread(target=_start_when_called, args=(listener,), daemon=True).start()


def _start_when_called(listener: socket.socket) -> None:
    """Start the worker for the first block, and not before.

    Tools run alone on the machine, because their time is measured.
    """
    select.select([listener], [], [])
    run_over, run_lives = os.pipe()  # the second closes when this process ends, however that comes
    with listener, suppress(OSError):
        command = [sys.executable, "-m", MODULE, str(listener.fileno())]
        worker = subprocess.Popen(command, pass_fds=[listener.fileno()], stdin=run_over)
        atexit.register(_end, worker, run_lives)
    os.close(run_over)


def _end(worker: subprocess.Popen[bytes], run_lives: int) -> None:
    """Wait for the worker's end, so that nothing is left of a run that is over."""
    os.close(run_lives)
    worker.wait()
