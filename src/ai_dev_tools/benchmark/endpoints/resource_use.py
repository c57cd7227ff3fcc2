"""Measure what a request uses: the server's CPU time and memory, and CPU time of all else."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

from ai_dev_tools.benchmark._util import supervised_cpu
from ai_dev_tools.benchmark.records.sample import Resources

SAMPLING_INTERVAL_S = 0.5
OTHER_CPU_CORES, OTHER_CPU_S = 0.25, 0.2
"""How much else a machine may do while something is timed: cores, and CPU seconds below the clock's resolution."""
TREE_INTERVAL = 10
"""Readings between two searches for child processes, each of which scans all processes of the machine."""


def is_disturbed(other_cpu_s: float | None, wall_s: float) -> bool:
    """Whether other programs used so much of the machine that a time measured meanwhile says little."""
    return other_cpu_s is not None and other_cpu_s > max(OTHER_CPU_S, OTHER_CPU_CORES * wall_s)


@dataclass
class ResourceReading:
    """Filled when the measurement ends; `reloaded` is set earlier if the server may have a new process."""

    reloaded: bool = False
    result: Resources = field(default_factory=Resources)


class ResourceMonitor:
    """Reads the server's process tree and the machine.

    `server_pid` None means that the server cannot be seen.

    A server may compute in a child process, which starts when the model is loaded: call `rescan` after loading it.
    With several requests in flight, the server's CPU time is that of all of them together.
    """

    def __init__(self, server_pid: int | None) -> None:
        self._server = _process(server_pid)
        self._tree = _tree(self._server)
        self._peak = 0
        self._done = threading.Event()
        if self._server:
            threading.Thread(target=self._watch, daemon=True).start()

    def close(self) -> None:
        """Stop watching."""
        self._done.set()

    @contextmanager
    def measuring(self) -> Iterator[ResourceReading]:
        """Measure while the body runs."""
        reading = ResourceReading()
        if self._server is None:  # what else the machine did cannot be told from what the server did
            yield reading
            return
        busy, own, before, started = _busy_s(), _own_cpu_s(), self._server_cpu_s(), time.perf_counter()
        try:
            yield reading
        finally:
            busy, own, measured_s = _busy_s() - busy, _own_cpu_s() - own, time.perf_counter() - started
            if reading.reloaded or any(_cpu_s(process) is None for process in before):
                self.rescan()
            used = _used(before, self._server_cpu_s(), reading.reloaded)
            self._note_peak()
            reading.result = Resources(
                server_cpu_s=used,
                server_peak_rss_bytes=self._peak or None,
                other_cpu_s=None if used is None else round(max(0.0, busy - own - used), 3),
                measured_s=round(measured_s, 6),
            )

    def rescan(self) -> None:
        """Search for child processes of the server, which change when the model is loaded."""
        self._tree = _tree(self._server)

    def _server_cpu_s(self) -> dict[psutil.Process, float]:
        """CPU time by process; those that have ended are left out."""
        times = {process: _cpu_s(process) for process in self._tree}
        return {process: seconds for process, seconds in times.items() if seconds is not None}

    def _note_peak(self) -> None:
        self._peak = max(self._peak, sum(_rss(process) for process in self._tree))

    def _watch(self) -> None:
        for tick in itertools.count(1):
            if self._done.wait(SAMPLING_INTERVAL_S):
                return
            if tick % TREE_INTERVAL == 0:
                self.rescan()
            self._note_peak()


def _tree(root: psutil.Process | None) -> list[psutil.Process]:
    if root is None:
        return []
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _process(pid: int | None) -> psutil.Process | None:
    try:
        return psutil.Process(pid) if pid else None
    except psutil.Error:
        return None


def _used(before: dict[psutil.Process, float], after: dict[psutil.Process, float], reloaded: bool) -> float | None:
    """CPU time between two readings; None if it cannot be known.

    The use of a process that has ended is lost. A new process counts in full if the model was loaded meanwhile; otherwise it
    may have been there before, unseen.
    """
    if not before or not before.keys() <= after.keys() or (after.keys() - before.keys() and not reloaded):
        return None
    return round(sum(seconds - before.get(process, 0.0) for process, seconds in after.items()), 3)


def _cpu_s(process: psutil.Process) -> float | None:
    """CPU time of a process; None if it has ended."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        times = process.cpu_times()
        return float(times.user + times.system)
    except psutil.Error:
        return None


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _own_cpu_s() -> float:
    """CPU time of this process, and of the tools and agents that it runs."""
    return sum(os.times()[:2]) + supervised_cpu.used_s()


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))
