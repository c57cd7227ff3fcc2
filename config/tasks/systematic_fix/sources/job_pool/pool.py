"""A pool of reusable connections and the counters around it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

log = logging.getLogger(__name__)


class Closed(RuntimeError):
    pass


class Counters:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, int] = {}

    def add(self, name: str, count: int = 1) -> None:
        self._lock.acquire()
        self._values[name] = self._values.get(name, 0) + count
        self._lock.release()

    def snapshot(self) -> dict[str, int]:
        with self._lock:
            return dict(self._values)

    def reset(self) -> dict[str, int]:
        self._lock.acquire()
        old = {name: self._values.pop(name) for name in sorted(self._values)}
        self._lock.release()
        return old


class Pool:
    def __init__(self, make: Callable[[], Any], size: int, counters: Counters) -> None:
        self._make = make
        self._free: deque[tuple[float, Any]] = deque()
        self._slots = threading.BoundedSemaphore(size)
        self._guard = threading.RLock()
        self._closed = False
        self.counters = counters

    @contextmanager
    def take(self, timeout: float) -> Iterator[Any]:
        if not self._slots.acquire(timeout=timeout):
            self.counters.add("timeout")
            raise TimeoutError(f"no connection within {timeout:g} s")
        try:
            item = self._pop()
            yield item
            self._push(item)
        finally:
            self._slots.release()

    def _pop(self) -> Any:
        with self._guard:
            if self._closed:
                raise Closed
            if self._free:
                return self._free.popleft()[1]
        self.counters.add("made")
        return self._make()

    def _push(self, item: Any) -> None:
        self._guard.acquire()
        if self._closed:
            item.close()
        else:
            self._free.append((time.monotonic(), item))
        self._guard.release()

    def trim(self, seconds: float) -> int:
        """Closes what was unused for a while; skipped when somebody else is at it."""
        if not self._guard.acquire(blocking=False):
            return 0
        try:
            limit = time.monotonic() - seconds
            old = [entry for entry in self._free if entry[0] < limit]
            for entry in old:
                self._free.remove(entry)
                entry[1].close()
            return len(old)
        finally:
            self._guard.release()

    def close(self) -> None:
        with self._guard:
            self._closed = True
            while self._free:
                self._free.pop()[1].close()


class Once:
    """Runs a function the first time it is called."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._done = False
        self._value: Any = None

    def __call__(self) -> Any:
        if not self._done:
            self._lock.acquire()
            if not self._done:
                self._value = self._function()
                self._done = True
            self._lock.release()
        return self._value


def keeper(pool: Pool, stop: threading.Event, every: float = 30.0) -> None:
    while not stop.wait(every):
        closed = pool.trim(120)
        log.debug("closed %d connections", closed)
