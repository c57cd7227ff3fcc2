"""Rate limits that a server names, obeyed by all threads of a block.

From the headers `Retry-After` and its relatives, `x-ratelimit-*`, `ratelimit-*` and others that are named so, in all the forms
in which servers write a time.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MOST_WAIT_S = 300.0
"""For a longer wait, the block ends and keeps what it has, and the same command continues later."""
LONG_PAUSE_S = 5.0
"""A pause from which on a line says why nothing happens."""
_LONGEST_S = 366 * 86_400.0
"""What is longer is not a wait: the text means something else."""
_EPOCH_S = 1e9
"""A reset above this is a moment (in s; a thousand times as much: in ms, and so on), not a span."""
_PART = re.compile(
    r"(\d+(?:\.\d+)?)\s*(ms|us|\u00b5s|\u03bcs|ns|s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?)(?![a-z]),?"
)
_UNITS = {
    "ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0
}  # fmt: skip
_LIMIT = re.compile(r"rate-?limit")
_RESET = re.compile(r"(.*)reset(.*?)(?:-(?:after|in|at|date|time))?(-ms)?")
_ASKED = (("retry-after-ms", "ms"), ("x-ms-retry-after-ms", "ms"), ("retry-after", ""), ("x-ratelimit-retry-after", ""))
"""Headers that name a wait, and the unit of a bare number there."""
_SAID = re.compile(r"\b(?:try again|retry) (?:in|after) (\d[\w .,\u00b5\u03bc]{0,40})", re.IGNORECASE)


@dataclass(frozen=True)
class _Limit:
    """What one header says of one limit.

    Attributes:
        left: requests or tokens until the reset; None if the server does not say.
    """

    reset_s: float
    left: float | None
    of_tokens: bool = False

    def used_up(self, tokens: int) -> bool:
        """Whether it leaves no room for a request of `tokens` tokens."""
        return self.left is not None and self.left < (max(1, tokens) if self.of_tokens else 1)


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
    def most_tokens(self) -> int:
        """What the largest request took so far, of those whose answers named limits."""
        with self._lock:
            return self._most_tokens

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
    return _LIMIT.search(" ".join(headers).lower()) is not None


def used_up_s(headers: Mapping[str, str], tokens: int = 0) -> float:
    """Seconds until the limits leave room for a request of that many tokens.

    0 where they do now, or say nothing.
    """
    return max((limit.reset_s for limit in _limits(_lowered(headers)) if limit.used_up(tokens)), default=0.0)


def wait_s(headers: Mapping[str, str], message: str = "", tokens: int = 0) -> float | None:
    """Seconds for which a server that refuses a request as one too many asks to wait; None if it does not say.

    Args:
        message: what it says for people: some name the time only there.
        tokens: what a request may take.
    """
    lowered = _lowered(headers)
    asked = [_with_unit_s(lowered[name], unit) for name, unit in _ASKED if name in lowered]
    said = _SAID.search(message)
    found = next(filter(None, asked), None) or _reset_s(list(_limits(lowered)), tokens)
    return found or _beginning_s(said[1] if said else "") or (0.0 if 0.0 in asked else None)


def _reset_s(limits: list[_Limit], tokens: int) -> float | None:
    """Seconds until a request that was refused has room.

    Some servers name the reset, but not what is left. A reset in hours is then hardly that of the limit that was met.
    """
    untold = [limit.reset_s for limit in limits if limit.left is None]
    waits = [limit.reset_s for limit in limits if limit.used_up(tokens)] + [s for s in untold if s <= MOST_WAIT_S]
    if waits or untold:
        return max(waits) if waits else min(untold)
    return min((limit.reset_s for limit in limits if 0 < limit.reset_s <= MOST_WAIT_S), default=None)


def _limits(lowered: Mapping[str, str]) -> Iterator[_Limit]:
    for name, value in lowered.items():
        if not _LIMIT.search(name):
            continue
        if name.removeprefix("x-") == "ratelimit":
            yield from _combined(value)
        elif found := _RESET.fullmatch(name):
            before, after, milliseconds = found.groups()
            seconds = _with_unit_s(value, "ms" if milliseconds else "")
            if seconds is not None:
                left = _number(lowered.get(f"{before}remaining{after}", "").strip(' "'))
                yield _Limit(seconds, left, "token" in name or "bysize" in name)


def _combined(value: str) -> Iterator[_Limit]:
    """The header of the IETF's drafts: `limit=10, remaining=0, reset=5`, later `"name";r=0;t=5`."""
    for item in value.split(",") if ";" in value else [value]:
        told = {name.lower(): number for name, number in re.findall(r"\b(\w+)\s*=\s*(\d+)", item)}
        reset, left = told.get("t", told.get("reset")), told.get("r", told.get("remaining"))
        if reset is not None and (seconds := span_s(reset)) is not None:
            yield _Limit(seconds, None if left is None else float(left), "token" in item.lower())


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def span_s(text: str | None) -> float | None:
    """Seconds of a wait or reset: `1s`, `6m0s`, `20ms`, `6 seconds`, a bare number of seconds, or a moment.

    A moment is Unix time in s, ms, µs or ns, ISO 8601, or a date of HTTP. None if unreadable.
    """
    words = (text or "").strip().strip('"').lower()[:100]
    if (number := _number(words)) is not None:
        while number >= 1000 * _EPOCH_S:
            number /= 1000
        seconds: float | None = number - time.time() if number > _EPOCH_S else number
    elif words and not _PART.sub("", words).strip():
        seconds = sum(
            float(amount) * (_UNITS.get(unit[:2]) or _UNITS[unit[0]]) for amount, unit in _PART.findall(words)
        )
    else:
        seconds = _moment_s(words.upper())
    return None if seconds is None or seconds > _LONGEST_S else max(0.0, seconds)


def _with_unit_s(text: str, unit: str) -> float | None:
    """The span of a text whose bare numbers have a unit."""
    return span_s(f"{text.strip()}{unit}" if _number(text) is not None else text)


def _beginning_s(text: str) -> float | None:
    """The span that a text begins with: `7m12.5s. Visit …`."""
    end = 0
    for part in _PART.finditer(text.lower()):
        if text[end : part.start()].strip():
            break
        end = part.end()
    return span_s(text[:end]) if end else None


def _moment_s(text: str) -> float | None:
    """Seconds until a moment in ISO 8601 or in the form of HTTP dates; None if it is not one."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - time.time()
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
