"""CPU time of the programs that this process runs below supervisors: tools and third-party agents.

What they use is this process's own use, not that of others on the machine. `os.times()` cannot say it, because it knows only
children that have ended: an MCP server runs through a whole episode, episodes run side by side, and without a sandbox a
supervisor is not a child.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

_lock = threading.Lock()
_running: set[SupervisedProgram] = set()
_ended_s = 0.0


class SupervisedProgram:
    """A program that has been started.

    Args:
        roots: says which processes are at the top of it: all below are part of it.
    """

    def __init__(self, roots: Callable[[], Sequence[int]]) -> None:
        self._roots = roots
        self._seen: dict[int, float] = {}
        with _lock:
            _running.add(self)

    def ended(self, cpu_s: float | None) -> None:
        """Note that it has ended and how many CPU seconds it took; None: those seen so far."""
        global _ended_s
        with _lock:
            if self in _running:
                _running.remove(self)
                _ended_s += max(sum(self._seen.values()), cpu_s or 0.0)

    def note_use(self) -> None:
        """Note what it has used so far, before it is killed without a word."""
        with _lock:
            self.seen_s()

    def seen_s(self) -> float:
        """CPU seconds so far, which never decrease, even if some of its processes have ended."""
        for root in self._roots():
            self._seen[root] = max(self._seen.get(root, 0.0), _tree_cpu_s(root))
        return sum(self._seen.values())


def used_s() -> float:
    """CPU seconds of all programs of this process so far, those that have ended and those that run."""
    with _lock:
        return _ended_s + sum(program.seen_s() for program in _running)


def _tree_cpu_s(root: int) -> float:
    """CPU seconds of a process tree, including children that have ended; 0 if there is no such process."""
    import psutil  # takes 10 ms, and the command line reads tools without it

    total = 0.0
    try:
        top = psutil.Process(root)
        tree = [top, *top.children(recursive=True)]
    except psutil.Error:
        return 0.0
    for process in tree:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + getattr(times, "children_user", 0) + getattr(times, "children_system", 0)
    return total
