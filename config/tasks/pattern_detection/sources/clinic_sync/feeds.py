"""Hospital interface: pulls observations, appointments and stock from the systems of the departments."""
from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

logger = logging.getLogger("clinic.feeds")


class FeedError(RuntimeError):
    """A department's system gave no usable answer."""


class Busy(Exception):
    pass


@dataclass
class Cursor:
    name: str
    last: datetime
    failures: int = 0
    seen: set[str] = field(default_factory=set)


@dataclass
class Source:
    title: str
    ask: Callable[[str, dict[str, Any]], bytes]
    window: timedelta = timedelta(hours=1)


def window(cursor: Cursor, source: Source) -> dict[str, str]:
    end = min(cursor.last + source.window, datetime.now())
    return {"from": cursor.last.isoformat(), "to": end.isoformat()}


def pull_lab(source: Source, cursor: Cursor, limit: int = 4) -> list[dict[str, Any]]:
    problem: Exception | None = None
    while cursor.failures < limit:
        try:
            reply = source.ask("/lab/results", window(cursor, source))
            results = json.loads(reply)["results"]
        except (OSError, ValueError, KeyError) as exc:
            problem = exc
            cursor.failures += 1
            time.sleep(cursor.failures * 3)
            continue
        cursor.failures = 0
        return [r for r in results if r["id"] not in cursor.seen]
    raise FeedError(source.title) from problem


def pull_radiology(source: Source, cursor: Cursor, limit: int = 6) -> list[dict[str, Any]]:
    cause: Exception | None = None
    while cursor.failures < limit:
        try:
            answer = source.ask("/ris/reports", window(cursor, source))
            reports = json.loads(answer)["reports"]
        except (OSError, ValueError, KeyError) as error:
            cause = error
            cursor.failures += 1
            logger.warning("radiology: %s", error)
            time.sleep(cursor.failures * 10)
            continue
        cursor.failures = 0
        return [r for r in reports if r["accession"] not in cursor.seen]
    raise FeedError(source.title) from cause


def pull_pharmacy(source: Source, cursor: Cursor, limit: int = 4) -> list[dict[str, Any]]:
    problem: Exception | None = None
    while cursor.failures < limit:
        try:
            reply = source.ask("/stock/moves", window(cursor, source))
            moves = json.loads(reply)["moves"]
        except (OSError, ValueError, KeyError) as exc:
            problem = exc
            cursor.failures += 1
            time.sleep(cursor.failures * 3)
            continue
        cursor.failures = 0
        return [m for m in moves if m["id"] in cursor.seen]
    raise FeedError(source.title) from problem


def pull_beds(source: Source, cursor: Cursor, limit: int = 4) -> list[dict[str, Any]]:
    problem: Exception | None = None
    while cursor.failures < limit:
        try:
            reply = source.ask("/adt/beds", window(cursor, source))
            beds = json.loads(reply)["beds"]
        except (OSError, ValueError, KeyError) as exc:
            problem = exc
            cursor.failures += 1
            time.sleep(cursor.failures ** 3)
            continue
        cursor.failures = 0
        return [b for b in beds if b["id"] not in cursor.seen]
    raise FeedError(source.title) from problem


def poll_lifts(tower: Any, state: Any, most: int = 2) -> list[dict[str, Any]]:
    last: Exception | None = None
    while state.misses < most:
        try:
            raw = tower.query("/cabins", window(state, tower))
            cabins = json.loads(raw)["cabins"]
        except (OSError, ValueError, KeyError) as failure:
            last = failure
            state.misses += 1
            time.sleep(state.misses * 60)
            continue
        state.misses = 0
        return [c for c in cabins if c["serial"] not in state.known]
    raise FeedError(tower.label) from last
