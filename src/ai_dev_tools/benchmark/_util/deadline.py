"""A time limit for a whole HTTP exchange.

A socket's timeout restarts with each byte, so a trickle never hits it.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_of_thread = threading.local()


class Deadline:
    """While its body runs, this thread's exchange through a `pool` of this module ends when time is up.

    Attributes:
        passed: whether it did.
    """

    def __init__(self, timeout_s: float) -> None:
        self._ends = time.perf_counter() + timeout_s
        self.passed = False
        self._over = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer: threading.Timer | None = None

    def watch(self, used: socket.socket | None) -> None:
        """This is the socket of the exchange."""
        with self._lock:
            self._socket = used
        if self.passed:
            self._shut()

    def __enter__(self) -> Deadline:
        _of_thread.deadline = self
        self._timer = threading.Timer(max(0.0, self._ends - time.perf_counter()), self._end)
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        _of_thread.deadline = None
        if self._timer:
            self._timer.cancel()
        with self._lock:
            self._over = True

    def _end(self) -> None:
        with self._lock:
            if self._over:  # too late: the whole answer is there, and its connection may serve the next request
                return
            self.passed = True
            self._shut()

    def _shut(self) -> None:
        with suppress(OSError, ValueError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RD)


def _watched(connection: Any) -> None:
    deadline: Deadline | None = getattr(_of_thread, "deadline", None)
    if deadline is not None:
        deadline.watch(connection.sock)


class _Connection(HTTPConnection):
    def getresponse(self) -> Any:
        _watched(self)
        return super().getresponse()


class _SecureConnection(HTTPSConnection):
    def getresponse(self) -> Any:
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
