"""The command of a block's job.

It has the run's worker start the block, or becomes the block if there is no worker.

Of the standard library only, and started without `site`: this much every block pays. What a job is to Snakemake holds
for this process: its exit status is the block's, signals that it gets are passed on, and when it is killed the block ends.
"""

import os
import signal
import socket
import sys
from contextlib import suppress

WORKER = "AI_DEV_TOOLS_WORKER"
"""Environment variable with a secret and the socket of the worker of a run on this machine: `SECRET:PATH`."""
PROGRAM = "ai_dev_tools.benchmark.execution.block_job"
TAKEN = b"+"
KILLED = 128 + signal.SIGKILL
LAST_WORDS = (
    "error: the process of this block was killed, perhaps for lack of memory. "
    "What was finished is kept: free some memory and run the same command again\n"
)


def main(arguments: list[str]) -> int:
    """The block's exit status; does not return if there is no worker."""
    worker = _hand_over(arguments)
    if worker is None:
        os.execv(sys.executable, [sys.executable, "-m", PROGRAM, *arguments])

    def pass_on(signum: int, _: object) -> None:
        with suppress(OSError):  # the block ended just now
            worker.send(bytes([signum]))

    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, pass_on)
    with suppress(ConnectionError):
        if status := worker.recv(1):
            return status[0]
    _say_killed(arguments)
    return KILLED


def _hand_over(arguments: list[str]) -> socket.socket | None:
    """The connection to the process that runs the block; None if nobody took it."""
    if not (path := os.environ.get(WORKER, "").partition(":")[2]):
        return None
    variables = [b"%s=%s" % pair for pair in os.environb.items()]
    words = [os.fsencode(word) for word in arguments]
    folder = os.getcwdb()  # noqa: PTH109 (importing pathlib takes as long as all the rest)
    request = b"\0".join([folder, b"%d" % len(words), *words, *variables])
    worker = socket.socket(socket.AF_UNIX)
    try:
        worker.connect(path)
        socket.send_fds(worker, [len(request).to_bytes(8, "big")], [0, 1, 2])
        worker.sendall(request)
        if worker.recv(1) == TAKEN:
            return worker
    except OSError:
        pass
    worker.close()
    return None


def _say_killed(arguments: list[str]) -> None:
    """Write one line to the console and to the block's log, if there is one.

    A killed process cannot say it itself.
    """
    sys.stderr.write(LAST_WORDS)
    with suppress(OSError, ValueError, IndexError), open(arguments[arguments.index("--log") + 1], "a") as log:
        log.write(LAST_WORDS)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
