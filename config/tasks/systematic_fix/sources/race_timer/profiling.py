"""Timing helpers of the render farm."""

from __future__ import annotations

import functools
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class Stopwatch:
    """Laps of one worker."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.laps: list[float] = []
        self._begun = 0.0

    def start(self) -> None:
        self._begun = time.time()

    def lap(self) -> float:
        now = time.time()
        taken, self._begun = now - self._begun, now
        self.laps.append(taken)
        return taken

    def report(self) -> dict[str, Any]:
        return {"label": self.label, "laps": len(self.laps), "total": sum(self.laps), "written": time.time()}


def timed(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        begun = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            log.debug("%s took %.4f s", function.__qualname__, time.perf_counter() - begun)

    return wrapper


@contextmanager
def frame_budget(seconds: float) -> Iterator[None]:
    end = time.time() + seconds
    yield
    if time.time() > end:
        log.warning("frame over budget")


class RateLimit:
    def __init__(self, count: int, window: float) -> None:
        self.count = count
        self.window = window
        self._calls: deque[float] = deque()

    def allow(self) -> bool:
        now = time.monotonic()
        while self._calls and now - self._calls[0] > self.window:
            self._calls.popleft()
        if len(self._calls) >= self.count:
            return False
        self._calls.append(now)
        return True


def wait_for(ready: Callable[[], bool], limit: float, pause: float = 0.1) -> bool:
    begun = time.time()
    while not ready():
        if time.time() - begun > limit:
            return False
        time.sleep(pause)
    return True


def is_stale(path: Path, seconds: float) -> bool:
    return time.time() - path.stat().st_mtime > seconds


def save_report(path: Path, watches: list[Stopwatch]) -> None:
    document = {"at": int(time.time()), "watches": [watch.report() for watch in watches]}
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
