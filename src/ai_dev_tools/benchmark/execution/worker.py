"""The worker of a run on this machine: imports what blocks need, and forks a process for each.

Each block is a process as if it had been started alone (`block_job`): its own exit status, log, environment and signals.
It talks to its job (`start_block`) itself, so that a worker that is killed does no harm: blocks that run go on, and those
that follow are started without it. The worker ends with the run, which holds the other end of its standard input.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 (the first connection of a block needs it, and so does `external`)
import gc
import os
import select
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress

from ai_dev_tools.benchmark.endpoints import external  # noqa: F401
from ai_dev_tools.benchmark.execution import block_job
from ai_dev_tools.benchmark.execution.job import end_in_order, end_now
from ai_dev_tools.benchmark.execution.provenance import hardware
from ai_dev_tools.benchmark.execution.start_block import TAKEN, WORKER

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(listener: socket.socket) -> None:
    """Start a block for each connection until the run is over."""
    for name in SIGNALS:
        signal.signal(name, signal.SIG_DFL)  # Ctrl-C reaches the blocks, too, and those end in order
    hardware()  # which is the same for all blocks; first, as `_reap` would take the exit status of what it starts
    signal.signal(signal.SIGCHLD, _reap)
    gc.freeze()
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            break
        connection, _ = listener.accept()
        with connection:
            try:
                child = os.fork()
            except OSError:  # no more processes: the job sees that nobody took the block, and says so itself
                continue
            if child == 0:
                listener.close()
                os._exit(_serve(connection))
    with suppress(ChildProcessError):  # what still runs ends with the run, too
        while True:
            os.waitpid(-1, 0)


def _reap(*_: object) -> None:
    """Leave no zombies, and have the CPU time of blocks counted as the run's.

    Their status goes to their jobs.
    """
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _serve(job: socket.socket) -> int:
    """Run the block that a job hands over, in this process; the exit status."""
    try:
        arguments = _take_over(job)
    except (OSError, ValueError):
        return 1
    threading.Thread(target=_obey, args=(job,), name="job-watch", daemon=True).start()
    status = _run(arguments)
    for name in SIGNALS:  # the job is gone as soon as it has the status, which is no reason to end in order any more
        signal.signal(name, signal.SIG_IGN)
    with suppress(OSError):  # it is gone, or was killed just now
        job.send(bytes([status]))
    return status


def _take_over(job: socket.socket) -> list[str]:
    """Take on all that the job's process would give to a program: descriptors, folder, environment.

    Its arguments.

    Raises:
        OSError, ValueError: there is no whole request, or it does not come from this run.
    """
    head, descriptors, _, _ = socket.recv_fds(job, 8, 3)
    request = _read(job, int.from_bytes(head, "big"))
    folder, count, *words = request.split(b"\0")
    arguments, variables = words[: int(count)], words[int(count) :]
    environment = dict(variable.split(b"=", 1) for variable in variables)
    if environment.get(os.fsencode(WORKER)) != os.environb[os.fsencode(WORKER)]:
        raise ValueError("not a job of this run")
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.chdir(folder)
    os.environb.clear()
    os.environb.update(environment)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    end_in_order()
    job.send(TAKEN)
    return [os.fsdecode(argument) for argument in arguments]


def _read(job: socket.socket, length: int) -> bytes:
    received = bytearray()
    while len(received) < length:
        if not (piece := job.recv(length - len(received))):
            raise ValueError("the job is gone")
        received += piece
    return bytes(received)


def _obey(job: socket.socket) -> None:
    """Pass on the signals that the job got; end when it is killed."""
    with suppress(OSError):
        while signum := job.recv(1):
            os.kill(os.getpid(), signum[0])
    end_now()


def _run(arguments: list[str]) -> int:
    """The exit status of the block's program, as the interpreter would give it."""
    try:
        return block_job.main(arguments)
    except SystemExit as end:
        if isinstance(end.code, int | None):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 1


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
