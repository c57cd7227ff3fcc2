"""The command of a block's job.

It has the run's worker start the block, or becomes the block if there is no worker.

What a job is to Snakemake holds for this process: its exit status is the block's, signals that it gets are passed on, and
when it is killed the block ends.

Every block pays for this. So it is started without `site`, it does not import `signal`, `socket` and `contextlib` (which
take as long as Python takes to start, because of the enumerations that they make) but what these are made of, and it ends
without tidying up.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import os
import sys

WORKER = "AI_DEV_TOOLS_WORKER"
"""Environment variable with a secret and the socket of the worker of a run on this machine: `SECRET:PATH`."""
PROGRAM = "ai_dev_tools.benchmark.execution.block_job"
TAKEN = b"+"
KILLED: int = 128 + _signal.SIGKILL
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
        try:  # noqa: SIM105 (see above)
            worker.send(bytes([signum]))
        except OSError:  # the block ended just now
            pass

    for name in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        _signal.signal(name, pass_on)
    try:
        if status := worker.recv(1):
            return status[0]
    except ConnectionError:
        pass
    _say_killed(arguments)
    return KILLED


def _hand_over(arguments: list[str]) -> _socket.socket | None:
    """The connection to the process that runs the block; None if nobody took it."""
    if not (path := os.environ.get(WORKER, "").partition(":")[2]):
        return None
    variables = [b"%s=%s" % pair for pair in os.environb.items()]
    words = [os.fsencode(word) for word in arguments]
    folder = os.getcwdb()  # noqa: PTH109 (importing pathlib takes as long as all the rest)
    request = b"\0".join([folder, b"%d" % len(words), *words, *variables])
    streams = b"".join(stream.to_bytes(4, sys.byteorder) for stream in (0, 1, 2))
    worker = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        worker.connect(path)
        worker.sendmsg([len(request).to_bytes(8, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
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
    try:
        with open(arguments[arguments.index("--log") + 1], "a") as log:
            log.write(LAST_WORDS)
    except (OSError, ValueError, IndexError):
        pass


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(status)
