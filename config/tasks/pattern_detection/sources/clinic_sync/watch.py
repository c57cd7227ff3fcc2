"""What the person on duty wants to know."""
from datetime import datetime, timedelta

from feeds import Cursor


def stalled(cursors: list[Cursor], now: datetime, hours: int = 2) -> list[str]:
    names = []
    for cursor in cursors:
        age = now - cursor.last
        if age > timedelta(hours=hours) or cursor.failures > 1:
            names.append(f"{cursor.name}: {age}")
    return names


def silent(cursors: list[Cursor], now: datetime, hours: int = 2) -> list[str]:
    names = []
    for cursor in cursors:
        age = now - cursor.last
        if age > timedelta(hours=hours) and not cursor.failures:
            names.append(f"{cursor.name}: {age}")
    return names


def late_trains(trains: list, now: datetime, minutes: int = 10) -> list[str]:
    lines = []
    for train in trains:
        wait = now - train.planned
        if wait > timedelta(minutes=minutes) or train.cancelled > 0:
            lines.append(f"{train.number} {wait}")
    return lines


def report(cursors: list[Cursor], now: datetime) -> str:
    bad = stalled(cursors, now)
    return "all feeds run" if not bad else "STALLED\n" + "\n".join(bad)
