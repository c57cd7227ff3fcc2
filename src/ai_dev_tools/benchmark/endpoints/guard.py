"""A small process that outlives a killed run just long enough to clean up.

`python -m ai_dev_tools.benchmark.endpoints.guard --parent PID -- COMMAND…` runs a server that does not watch its
parent, and ends it as soon as that process is gone. With `--afterwards`, it waits for that moment and runs the command
then.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from queue import SimpleQueue

from ai_dev_tools.benchmark._util import processes

MODULE = "ai_dev_tools.benchmark.endpoints.guard"
GRACE_S = 5.0
_PARENT_GONE = "parent gone"

Over = SimpleQueue[str]
"""Why it is time to end. A queue, not an event: a signal handler may fill it while the main thread waits on it."""


def command_line(*command: str, afterwards: bool = False) -> list[str]:
    """The command that runs `command` under a guard of this process."""
    mode = ["--afterwards"] if afterwards else []
    return [sys.executable, "-m", MODULE, "--parent", str(os.getpid()), *mode, "--", *command]


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status of the command."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}")
    parser.add_argument("--parent", type=int, required=True, help="process to outlive")
    parser.add_argument("--afterwards", action="store_true", help="run the command only when the parent is gone")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    over: Over = SimpleQueue()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: over.put("told to end"))

    # Before the watching thread: do not fork a process while another thread may hold a lock.
    server = None if options.afterwards else _start(options.command)
    processes.watch_parent(options.parent, lambda: over.put(_PARENT_GONE))
    print(json.dumps({"pid": server.pid if server else os.getpid()}), flush=True)
    if server is not None:
        return _supervise(server, over)
    return subprocess.run(options.command, check=False).returncode if over.get() == _PARENT_GONE else 0


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=sys.stderr.fileno(), stdin=subprocess.DEVNULL, preexec_fn=_die_with_guard)


def _supervise(server: subprocess.Popen[bytes], over: Over) -> int:
    def note_end() -> None:
        server.wait()
        over.put("server ended")

    threading.Thread(target=note_end, daemon=True).start()
    over.get()
    if server.poll() is not None:
        return server.returncode
    server.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(GRACE_S)
    # Everything the server has started is in the same process group, as is this guard: all of it ends here.
    os.killpg(0, signal.SIGKILL)
    return 1


def _die_with_guard() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
