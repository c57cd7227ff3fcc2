"""Wait for free memory before a server is started, across all jobs on this machine."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ai_dev_tools.benchmark.endpoints.base import EndpointSpec
from ai_dev_tools.benchmark.endpoints.launching import say
from ai_dev_tools.benchmark.errors import ConfigurationError, StartupTimeoutError

_POLL_S = 1.0


@contextmanager
def reserved(spec: EndpointSpec) -> Iterator[None]:
    """Wait until the memory that the spec names is free, and reserve it against other starts.

    A start is over when the body ends: from then on, the server's use shows in the machine's free memory.

    Raises:
        StartupTimeoutError: it does not become free within the start-up time.
        ConfigurationError: the reservation cannot be written.
    """
    if spec.memory_gb is None:
        yield
        return
    needed = int(spec.memory_gb * 1e9)
    folder = Path(tempfile.gettempdir()) / f"ai-dev-tools-memory-{os.getuid()}"
    reservation = folder / f"{os.getpid()}-{spec.instance}"
    deadline = time.monotonic() + spec.startup_timeout_s
    told = False
    try:
        while not _reserve(reservation, needed):
            if time.monotonic() > deadline:
                raise StartupTimeoutError(
                    f"{spec.instance}: {spec.memory_gb:g} GB of memory were not free in {spec.startup_timeout_s:g} s",
                    remedy="Stop other programs, choose a smaller model, or lower max_concurrent_batches",
                )
            if not told:
                say(spec.instance, f"waiting for {spec.memory_gb:g} GB of free memory")
                told = True
            time.sleep(_POLL_S)
        yield
    finally:
        with suppress(OSError):
            reservation.unlink()


def _reserve(reservation: Path, needed: int) -> bool:
    """Record the reservation if there is enough free memory; one process at a time decides."""
    try:
        reservation.parent.mkdir(mode=0o700, exist_ok=True)
        with (reservation.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return _recorded(reservation, needed)
    except OSError as error:
        raise ConfigurationError(
            f"cannot reserve memory in {reservation.parent}: {error.strerror}",
            remedy="Make the folder for temporary files (TMPDIR) writable, or leave out `memory_gb`",
        ) from None


def _recorded(reservation: Path, needed: int) -> bool:
    import psutil  # takes 10 ms

    others = sum(_claimed(path) for path in reservation.parent.glob("*-*") if path != reservation)
    if psutil.virtual_memory().available - others < needed:
        return False
    reservation.write_text(str(needed))
    return True


def _claimed(reservation: Path) -> int:
    """Bytes that a live process reserved; reservations of killed processes are removed."""
    import psutil  # takes 10 ms

    try:
        if psutil.pid_exists(int(reservation.name.partition("-")[0])):
            return int(reservation.read_text())
        reservation.unlink()
    except (OSError, ValueError):
        pass
    return 0
