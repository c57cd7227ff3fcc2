"""Run one tool, end everything that it started, and say what it cost.

A separate program; standard library only.

It is the tool's parent, so that neither the environment nor the memory of the run is above the tool. On Linux, it also adopts
whatever the tool leaves behind (a daemon, a double fork), so that nothing outlives it. In a sandbox it is process 1.

In: one line of JSON on stdin, which stays open as long as the caller lives. Out: its process id, then one line of JSON, on stdout.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time

TYPE_CHECKING = False  # importing typing would take longer than everything else here
if TYPE_CHECKING:
    from typing import Any

PR_SET_CHILD_SUBREAPER = 36
KILLING_S = 10.0
LOOKS_COST_AT_MOST = 0.05
"""Share of the time that may be spent on checking what the tool writes."""


class SupervisedRun:
    """One run of a tool, watched."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.folders = [str(folder) for folder in request["folders"]]
        self.outputs = [_opened(output) for output in request["outputs"]]
        self.argv = [str(word) for word in request["argv"]]
        self.environment = dict(request["environment"])
        self.workdir = str(request["workdir"])
        self.input = request.get("input")
        self.timeout_s = float(request["timeout_s"])
        self.look_s = float(request["look_s"])
        self.printed_bytes = int(request["printed_bytes"])
        self.written_bytes = int(request["written_bytes"])
        self.entries = int(request["entries"])
        self.shown = _mount_points() - {*self.folders}
        self.own_bytes, self.own_entries = _written(self.folders, self.shown)

    def go(self) -> dict[str, object]:
        """Start the tool, wait until it ends or hits a limit, and leave nothing running."""
        _limit(resource.RLIMIT_FSIZE, self.written_bytes + 4096)
        _limit(resource.RLIMIT_CORE, 0)
        woken, wake = os.pipe()
        for end in (woken, wake):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        own_before_s, busy_s, started = _used_s(resource.RUSAGE_SELF), _busy_s(), time.perf_counter()
        try:
            tool = subprocess.Popen(
                self.argv, cwd=self.workdir, env=self.environment,
                stdin=subprocess.DEVNULL if self.input is None else int(self.input),
                stdout=self.outputs[0], stderr=self.outputs[1], start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            return {"how": "not_started", "detail": getattr(error, "strerror", None) or str(error)}
        how, code = self._wait(tool.pid, woken, started)
        wall_s, after_s, own_s = time.perf_counter() - started, _busy_s(), _used_s(resource.RUSAGE_SELF)
        left = _end_all(tool.pid)  # takes longer than many tools; what others do meanwhile did not disturb the tool
        if how == "exit":
            how = self._over_limits() or how
        if code == -signal.SIGXFSZ:
            how = "written"
        cpu_s = _used_s(resource.RUSAGE_CHILDREN)
        other_s = (
            None if busy_s is None or after_s is None else max(0.0, after_s - busy_s - cpu_s - (own_s - own_before_s))
        )
        return {"how": how, "code": code, "wall_s": wall_s, "cpu_s": cpu_s, "other_cpu_s": other_s, "left": left}

    def _wait(self, pid: int, woken: int, started: float) -> tuple[str, int | None]:
        deadline, look = started + self.timeout_s, started + self.look_s
        while True:
            now = time.perf_counter()
            ready, _, _ = select.select([woken, 0], [], [], max(0.0, min(deadline, look) - now))
            with contextlib.suppress(BlockingIOError):
                while os.read(woken, 512):
                    pass
            if (code := _reaped(pid)) is not None:
                return "exit", code
            if 0 in ready:  # the run is gone
                return "abandoned", None
            now = time.perf_counter()
            if now >= deadline:
                return "timeout", None
            if now >= look:
                if how := self._over_limits():
                    return how, None
                spent = time.perf_counter() - now
                look = time.perf_counter() + max(self.look_s, spent / LOOKS_COST_AT_MOST)

    def _over_limits(self) -> str:
        if any(os.fstat(output).st_size > self.printed_bytes for output in self.outputs):
            return "printed"
        size, entries = _written(self.folders, self.shown, self.own_entries + self.entries)
        if size - self.own_bytes > self.written_bytes or entries - self.own_entries > self.entries:
            return "written"
        return ""


def _opened(output: int | str) -> int:
    """A descriptor of a stream: one that was passed on, or that of a file."""
    return os.open(output, os.O_WRONLY | os.O_APPEND) if isinstance(output, str) else int(output)


def _used_s(whose: int) -> float:
    usage = resource.getrusage(whose)
    return usage.ru_utime + usage.ru_stime


def _busy_s() -> float | None:
    """Seconds that the machine's cores have worked so far, for any process.

    None if there is no /proc/stat.
    """
    try:
        with open("/proc/stat", "rb") as file:
            user, nice, system, _idle, _waiting, *rest = map(int, file.readline().split()[1:9])
    except (OSError, ValueError):
        return None
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def _mount_points() -> set[str]:
    """The current mount points, where a sandbox shows folders that do not belong to the tool.

    Empty if the system has no /proc.
    """
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            return {os.fsdecode(_unescaped(line.split()[4])) for line in file}
    except OSError:
        return set()


def _unescaped(path: bytes) -> bytes:
    """A path of /proc, where blanks and backslashes are written as octal numbers."""
    first, *rest = path.split(b"\\")
    return first + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest)


def _written(folders: list[str], shown: set[str], most_entries: int | None = None) -> tuple[int, int]:
    """Size and number of all files in folders; counting stops at a number that is too many anyway.

    Args:
        shown: folders below them that are not theirs, and may hold a whole Python environment.
    """
    size = entries = 0
    waiting = list(folders)
    while waiting and (most_entries is None or entries <= most_entries):
        for entry in _inside(waiting.pop()):
            entries += 1
            with contextlib.suppress(OSError):  # it may be gone by now
                status = entry.stat(follow_symlinks=False)
                size += max(status.st_size, status.st_blocks * 512)
                if entry.is_dir(follow_symlinks=False) and entry.path not in shown:
                    waiting.append(entry.path)
    return size, entries


def _inside(folder: str) -> list[os.DirEntry[str]]:
    """The content of a folder.

    A folder that the tool locked is opened, so that nothing can hide in it.
    """
    for _ in range(2):
        try:
            with os.scandir(folder) as found:
                return list(found)
        except PermissionError:
            with contextlib.suppress(OSError):
                os.chmod(folder, 0o700)  # noqa: PTH101 - pathlib would take longer to import than the rest to run
        except OSError:
            break
    return []


def _limit(kind: int, most: int) -> None:
    hard = resource.getrlimit(kind)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def _reaped(pid: int) -> int | None:
    """The exit code of process `pid`, if it has ended; other ended processes are reaped too."""
    code = None
    with contextlib.suppress(ChildProcessError):
        while True:
            ended, status = os.waitpid(-1, os.WNOHANG)
            if not ended:
                break
            if ended == pid:
                code = os.waitstatus_to_exitcode(status)
    return code


def _end_all(group: int) -> bool:
    """Kill the tool and everything it started; returns whether something could not be ended."""
    deadline = time.monotonic() + KILLING_S
    while time.monotonic() < deadline:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        for pid in _descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return False
        time.sleep(0.002)
    return True


def _descendants(root: int) -> list[int]:
    """Processes below `root`; none if the system has no /proc."""
    children: dict[int, list[int]] = {}
    for pid in [int(entry.name) for entry in _inside("/proc") if entry.name.isdigit()]:
        with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/stat", "rb") as file:
            parent = int(file.read().rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(pid)
    below: list[int] = []
    waiting = [root]
    while waiting:
        for child in children.pop(waiting.pop(), []):
            below.append(child)
            waiting.append(child)
    return below


def main() -> None:
    request = json.loads(sys.stdin.buffer.readline())
    own_s = 0.0
    if request["detach"]:
        own_s = _used_s(resource.RUSAGE_SELF)
        above = os.getpid()
        if os.fork():
            os._exit(0)  # so that the process that started the run is not above the tool
        while os.getppid() == above:  # a tool that starts sooner could look past it, at the run's environment
            time.sleep(0.001)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.write(1, b"%d\n" % os.getpid())
    ended = SupervisedRun(request).go()
    ended["own_cpu_s"] = own_s + _used_s(resource.RUSAGE_SELF)
    os.write(1, json.dumps(ended).encode() + b"\n")
    os._exit(0)


if __name__ == "__main__":
    main()
