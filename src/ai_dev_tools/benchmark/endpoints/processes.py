"""Server processes that never outlive the run: start, announce, stop, and the check that the parent is still there."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_POLL_S = 0.5
_PR_SET_PDEATHSIG = 1


def start_time(pid: int) -> float | None:
    """When a process started (seconds since the epoch), None when there is none: tells a reused pid apart."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def watch_parent(pid: int, on_death: Callable[[], None]) -> None:
    """Call `on_death` from a thread soon after process `pid` ends, by whatever cause.

    Linux signals the death at once; elsewhere, and should that signal be missed, polling finds it within half a second.
    The kernel's signal comes when the parent *thread* ends, so it only hastens the check.
    """
    started = start_time(pid)
    check_now = threading.Event()

    def watch() -> None:
        while started is not None and start_time(pid) == started:
            check_now.wait(_POLL_S)
            check_now.clear()
        on_death()

    if sys.platform == "linux":
        import ctypes

        signal.signal(signal.SIGUSR1, lambda *_: check_now.set())
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1)
    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def start(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own (Ctrl-C in the terminal reaches the run, which then stops it in order)."""
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
    """The first line the process prints; None when the time is up, "" when it ends without one."""
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


def stop(process: subprocess.Popen[bytes], grace_s: float = 5.0) -> None:
    """End a process started by `start` and everything in its session: SIGTERM, then SIGKILL after the grace."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
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
