"""Forward a port of a sandbox without a network to a Unix socket, and run an agent next to it.

A separate program; standard library only. It runs inside the sandbox, where the socket is all that leads out:

    python forwarder.py SOCKET PORT -- COMMAND…

It ends with the command's exit code.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading

PIECE = 1 << 16


def serve(path: str, port: int) -> None:
    """Listen on a port of this machine; each connection is a connection to the socket."""
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    threading.Thread(target=_accept, args=(listener, path), daemon=True).start()


def _accept(listener: socket.socket, path: str) -> None:
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        meter = socket.socket(socket.AF_UNIX)
        try:
            meter.connect(path)
        except OSError:
            client.close()
            continue
        for one, other in ((client, meter), (meter, client)):
            threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes; an end on one side ends both, so that the meter learns when an agent goes away."""
    with contextlib.suppress(OSError):
        while piece := source.recv(PIECE):
            target.sendall(piece)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def main(words: list[str]) -> int:
    path, port, _, *command = words
    serve(path, int(port))
    try:
        code = subprocess.run(command, check=False).returncode
    except OSError as error:
        print(f"{command[0]} cannot be started: {error.strerror}", file=sys.stderr)
        return 127
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
