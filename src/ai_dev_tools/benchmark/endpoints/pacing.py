"""Rate limits that a server names, obeyed by all threads of a block.

From the headers `Retry-After` and `x-ratelimit-*`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime

MOST_WAIT_S = 300.0
"""For a longer wait, the block ends and keeps what it has, and the same command continues later."""
LONG_PAUSE_S = 5.0
"""A pause from which on a line says why nothing happens."""
_EPOCH_S = 1e9
"""A reset above this is a moment (in s, or in ms above a thousand times this), not a span."""
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|d|h|m|s)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PREFIXES = ("x-ratelimit-", "ratelimit-")
_KINDS = ("", "-requests", "-tokens")


class Pace:
    """When the next request may be sent. One is shared by all threads that ask for a block.

    Args:
        say: called with the seconds of each pause that somebody watching would wonder about.
    """

    def __init__(self, say: Callable[[float], None] | None = None) -> None:
        self._say = say or (lambda seconds: None)
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._most_tokens = 0
        self.limited = False
        """Whether the server names its own limits, which then replace the probe."""

    def hold(self, seconds: float) -> None:
        """Nobody sends for so long; a wait that is longer already stands."""
        seconds = min(seconds, MOST_WAIT_S)
        with self._lock:
            free_at = time.monotonic() + seconds
            longer_s = free_at - max(self._free_at, time.monotonic())
            self._free_at = max(self._free_at, free_at)
        if seconds >= LONG_PAUSE_S and longer_s > 1.0:
            self._say(seconds)

    def note(self, headers: Mapping[str, str], tokens: int = 0) -> None:
        """Take in what an answer's headers leave of the limits.

        Args:
            tokens: what the request behind it took: so much must be left for another one.
        """
        if not names_limits(headers):
            return
        with self._lock:
            self.limited = True
            self._most_tokens = max(self._most_tokens, tokens)
            needed = self._most_tokens
        if (seconds := used_up_s(headers, needed)) > 0:
            self.hold(seconds)

    @property
    def pause_s(self) -> float:
        """How long the next request has to wait from now on."""
        with self._lock:
            return max(0.0, self._free_at - time.monotonic())

    def wait(self, stop: threading.Event) -> None:
        """Return when a request may be sent, or the run is stopped."""
        while (seconds := self.pause_s) > 0 and not stop.wait(seconds):
            pass


def names_limits(headers: Mapping[str, str]) -> bool:
    """Whether an answer's headers say anything of limits; few servers' do."""
    return any("ratelimit" in name.lower() for name in headers)


def used_up_s(headers: Mapping[str, str], tokens: int = 0) -> float:
    """Seconds until the limits leave room for a request of so many tokens.

    0 where they do now, or say nothing.
    """
    waits = [0.0]
    for prefix in _PREFIXES:
        for kind in _KINDS:
            left, reset = headers.get(f"{prefix}remaining{kind}"), span_s(headers.get(f"{prefix}reset{kind}"))
            least = max(1, tokens) if kind == "-tokens" else 1
            if left is not None and reset is not None and (number := _number(left)) is not None and number < least:
                waits.append(reset)
    return max(waits)


def span_s(text: str | None) -> float | None:
    """Seconds of a reset: `1s`, `6m0s`, `20ms`, a bare number of seconds, or a moment (Unix time, ISO 8601).

    None if unreadable.
    """
    words = (text or "").strip().lower()
    if (number := _number(words)) is not None:
        moment = number / 1000 if number > 1000 * _EPOCH_S else number
        return max(0.0, moment - time.time() if moment > _EPOCH_S else moment)
    if not words or _PART.sub("", words):
        return _moment_s(words.upper())
    return sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(words))


def _moment_s(text: str) -> float | None:
    """Seconds until a moment like `2026-11-29T23:59:59Z`; None if it is not one."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time()) if moment.tzinfo else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
