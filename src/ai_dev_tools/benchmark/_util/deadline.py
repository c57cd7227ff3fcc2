"""A time limit for a whole HTTP exchange.

A socket's timeout restarts with each byte, so a trickle never hits it.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from contextlib import suppress

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse

_of_thread = threading.local()


class _Watcher:
    """One thread for the limits of all exchanges, because a timer for each would cost too much."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._open: set[Deadline] = set()
        self._wakes_at = math.inf
        self._watching = False

    def add(self, deadline: Deadline) -> None:
        with self.changed:
            self._open.add(deadline)
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="deadlines", daemon=True).start()
            elif deadline.ends < self._wakes_at:  # rarely: limits are alike, and a later one ends later
                self.changed.notify()

    def remove(self, deadline: Deadline) -> None:
        with self.changed:
            self._open.discard(deadline)

    def _watch(self) -> None:
        with self.changed:
            while True:
                for deadline in [one for one in self._open if one.ends <= time.perf_counter()]:
                    self._open.discard(deadline)
                    deadline.end()
                self._wakes_at = min((one.ends for one in self._open), default=math.inf)
                self.changed.wait(min(threading.TIMEOUT_MAX, max(0.0, self._wakes_at - time.perf_counter())))


_watcher = _Watcher()


def _watch_anew() -> None:
    """A forked process has no threads, and locks as they happened to be."""
    global _watcher
    _watcher = _Watcher()


os.register_at_fork(after_in_child=_watch_anew)


class Deadline:
    """While its body runs, this thread's exchange through a `pool` of this module ends when time is up.

    Attributes:
        ends: when that is, by `time.perf_counter`.
        passed: whether it did.
    """

    def __init__(self, timeout_s: float) -> None:
        self.ends = time.perf_counter() + timeout_s
        self.passed = False
        self._socket: socket.socket | None = None

    def watch(self, used: socket.socket | None) -> None:
        """This is the socket of the exchange."""
        with _watcher.changed:
            self._socket = used
            if self.passed:
                self._shut()

    def __enter__(self) -> Deadline:
        _of_thread.deadline = self
        _watcher.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        # From here on the limit is too late: the whole answer is there, and its connection may serve the next request.
        _watcher.remove(self)
        _of_thread.deadline = None

    def end(self) -> None:
        """Time is up."""
        self.passed = True
        self._shut()

    def _shut(self) -> None:
        with suppress(OSError, ValueError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RD)


def _watched(connection: HTTPConnection) -> None:
    deadline: Deadline | None = getattr(_of_thread, "deadline", None)
    if deadline is not None:
        deadline.watch(connection.sock)


class _Connection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3 itself
        _watched(self)
        return super().getresponse()


class _SecureConnection(HTTPSConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3 itself
        _watched(self)
        return super().getresponse()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def pool(connections: int = 1) -> urllib3.PoolManager:
    """Pooled connections that a `Deadline` can end."""
    manager = urllib3.PoolManager(maxsize=connections, retries=False)
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return manager
