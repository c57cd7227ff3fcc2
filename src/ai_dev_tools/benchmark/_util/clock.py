"""Moments and spans of time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime


def utc_stamp(moment: datetime | float | None = None, timespec: str = "seconds") -> str:
    """A moment in UTC as records have it: `2026-01-31T12:00:00Z`.

    Args:
        moment: a moment (in UTC where it names no zone) or seconds since the epoch; None: now.
        timespec: how exactly, as `datetime.isoformat` takes it.
    """
    if moment is None:
        moment = datetime.now(UTC)
    elif isinstance(moment, datetime):
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    else:
        moment = datetime.fromtimestamp(moment, UTC)
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def busy_seconds(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds during which at least one of the requests ran; `spans` are their (start, end) in seconds."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return max(total, 1e-9)


def duration(seconds: float) -> str:
    """Seconds for people: `40 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
