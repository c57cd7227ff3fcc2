"""Server processes that never outlive the run: start, announce, stop, watch the parent."""

from __future__ import annotations

import os
import select
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_POLL_S = 0.5
_LOOK_S = 0.01


def start_time(pid: int) -> float | None:
    """When a process started (seconds since the epoch), or None; tells a reused pid apart."""
    import psutil  # takes 10 ms

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def watch_parent(pid: int, on_death: Callable[[], None]) -> None:
    """Call `on_death` from a thread when process `pid` ends for any reason.

    That is at once on Linux, and within 0.5 s elsewhere.

    No signal is involved: a Python signal handler that comes twice in a row can lock itself out.
    """

    def watch() -> None:
        _wait_for_end(pid)
        on_death()

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def ended_within(pid: int, seconds: float) -> bool:
    """Whether a child of this process ends in time. It is not reaped, so its usage can still be read."""
    deadline = time.monotonic() + seconds
    while start_time(pid) is not None:  # os.waitid, which waits without reaping, is not on macOS before Python 3.13
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_S)
    return True


def _wait_for_end(pid: int) -> None:
    if hasattr(os, "pidfd_open"):
        try:
            ended = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        except OSError:  # a kernel without it
            pass
        else:
            select.select([ended], [], [])
            os.close(ended)
            return
    started = start_time(pid)
    while started is not None and start_time(pid) == started:
        time.sleep(_POLL_S)


def start(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a server in a new session.

    So Ctrl-C reaches only the run, which then stops the server cleanly.
    """
    with log.open("ab") as stderr:
        return subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )


def read_line(process: subprocess.Popen[bytes], timeout_s: float) -> str | None:
    """The first line that the process prints; None if time is up, "" if it ends without one."""
    assert process.stdout is not None
    deadline = time.monotonic() + timeout_s
    received = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not received.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return None
            if not (chunk := os.read(process.stdout.fileno(), 65536)):
                return ""
            received += chunk
    return received.decode(errors="replace").strip()


def signal_group(pid: int, signum: int) -> None:
    """Send a signal to a process and all of its group; nothing happens where there is none any more."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signum)


def stop(process: subprocess.Popen[bytes], grace_s: float = 5.0) -> None:
    """End a process started by `start`, and everything in its session.

    It gets SIGTERM, and SIGKILL after the grace period.
    """
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    signal_group(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout:
        process.stdout.close()


def last_line(log: Path, limit: int = 300) -> str:
    """The last non-empty line of a log, for a message."""
    try:
        lines = log.read_text(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:limit] for line in reversed(lines) if line.strip()), "")
