"""Driving Snakemake from outside: the command line of a run, and a process that is ended in order.

No second engine.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from ai_dev_tools.benchmark._util.processes import signal_group
from ai_dev_tools.benchmark.config.as_written import spell

GRACE_S = {signal.SIGINT: 20.0, signal.SIGTERM: 5.0}
"""Seconds that a run gets to end after each signal; then it is killed."""
SUMMARY = "AI_DEV_TOOLS_SUMMARY"
"""Environment variable; `off` when the caller prints the result itself."""


@dataclass(frozen=True)
class SnakemakeCall:
    """One run of Snakemake: what to make, with which settings and which of Snakemake's own flags."""

    target: str | None = None
    config: Mapping[str, object] = field(default_factory=dict)
    flags: Sequence[str] = ()

    def arguments(self) -> list[str]:
        """Arguments after `snakemake`. The target comes first: `--config` swallows what follows it."""
        flags, given = split_config(self.flags)
        pairs = [f"{key}={spell(value)}" for key, value in self.config.items()] + given
        return [*([self.target] if self.target else []), *flags, *(["--config", *pairs] if pairs else [])]

    def command(self) -> list[str]:
        """What is executed: Snakemake of the running environment, also when that is not activated."""
        return [sys.executable, "-m", "snakemake", *self.arguments()]

    def shown(self) -> str:
        """What a person would type."""
        return shlex.join(["snakemake", *self.arguments()])


def split_config(flags: Sequence[str]) -> tuple[list[str], list[str]]:
    """Flags without `--config`, and its pairs: Snakemake would let the last `--config` replace the others."""
    rest: list[str] = []
    pairs: list[str] = []
    inside = False
    for flag in flags:
        if flag in ("--config", "-C"):
            inside = True
        elif flag.startswith("--config="):
            pairs.append(flag.removeprefix("--config="))
        elif inside and "=" in flag and not flag.startswith("-"):
            pairs.append(flag)
        else:
            inside = False
            rest.append(flag)
    return rest, pairs


def run(call: SnakemakeCall, root: Path, environment: Mapping[str, str] | None = None) -> int:
    """Run Snakemake with its output on ours; signals are passed on, and nothing is left behind.

    Returns:
        Snakemake's exit code, or 128 + the signal that ended the run.
    """
    process = subprocess.Popen(
        call.command(),
        cwd=root,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
    )
    received: list[int] = []

    def note(signum: int, _: FrameType | None) -> None:
        received.append(signum)

    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {signum: signal.signal(signum, note) for signum in watched}
    try:
        while process.poll() is None and not received:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        if process.poll() is None:
            end(process, hurry=lambda: len(received) > 1)
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    return 128 + received[0] if received else process.returncode


def end(process: subprocess.Popen[bytes], hurry: Callable[[], bool] = lambda: False) -> None:
    """End a run and everything it started: as Ctrl-C does, then SIGTERM, then SIGKILL.

    `hurry()` skips the waiting.
    """
    for signum, grace_s in GRACE_S.items():
        signal_group(process.pid, signum)
        deadline = time.monotonic() + grace_s
        while process.poll() is None and time.monotonic() < deadline and not hurry():
            time.sleep(0.05)
        if process.poll() is not None:
            break
    signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _end_with_parent() -> None:
    """Should this process be killed, Snakemake is as well.

    Its jobs notice and end, and nothing finished is lost.
    """
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
