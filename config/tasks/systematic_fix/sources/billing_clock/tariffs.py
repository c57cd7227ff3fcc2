"""Tariffs by time of use: peak and off-peak hours, holidays, prices that change during the year."""

from __future__ import annotations

import bisect
import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

from .models import LOCAL, UTC, Reading

HOLIDAYS = {(1, 1), (5, 1), (7, 21), (11, 1), (12, 25)}


@dataclass(frozen=True)
class Window:
    """Hours of a day, in local time."""

    name: str
    begins: time
    ends: time
    weekdays: frozenset[int] = frozenset(range(5))

    def holds(self, at: datetime) -> bool:
        local = at.astimezone(LOCAL)
        if local.weekday() not in self.weekdays or (local.month, local.day) in HOLIDAYS:
            return False
        return self.begins <= local.time() < self.ends


PEAK = Window("peak", time(7), time(22))


@dataclass
class PriceList:
    changes: list[datetime] = field(default_factory=list)
    prices: list[dict[str, Decimal]] = field(default_factory=list)

    def add(self, since: datetime, prices: dict[str, Decimal]) -> None:
        if since.tzinfo is None:
            raise ValueError("a price needs a time with a zone")
        position = bisect.bisect(self.changes, since)
        self.changes.insert(position, since)
        self.prices.insert(position, prices)

    def at(self, when: datetime | None = None) -> dict[str, Decimal]:
        position = bisect.bisect(self.changes, when or datetime.now(LOCAL)) - 1
        if position < 0:
            raise LookupError(f"no prices at {when}")
        return self.prices[position]

    def current(self, clock: Callable[..., datetime] = datetime.now) -> dict[str, Decimal]:
        return self.at(clock(UTC))

    @classmethod
    def read(cls, path: Path) -> PriceList:
        prices = cls()
        with path.open(encoding="utf-8", newline="") as handle:
            for row in csv.DictReader(handle):
                since = datetime.fromisoformat(row.pop("since")).replace(tzinfo=LOCAL)
                prices.add(since, {name: Decimal(text) for name, text in row.items()})
        return prices


def quarters(first: datetime, last: datetime) -> Iterator[datetime]:
    """Quarters of an hour between two times."""
    at = first.replace(minute=15 * (first.minute // 15), second=0, microsecond=0)
    while at < last:
        yield at
        at += timedelta(minutes=15)


def spread(before: Reading, after: Reading) -> dict[datetime, Decimal]:
    """Usage between two readings, evenly over the quarters."""
    slots = list(quarters(before.taken, after.taken))
    usage = after.value - before.value
    return {slot: usage / len(slots) for slot in slots} if slots else {}


def cost(readings: Iterable[Reading], prices: PriceList, window: Window = PEAK) -> dict[str, Decimal]:
    ordered = sorted(readings, key=lambda reading: reading.taken)
    totals = {window.name: Decimal(0), "rest": Decimal(0)}
    for before, after in zip(ordered[:-1], ordered[1:], strict=True):
        for slot, usage in spread(before, after).items():
            name = window.name if window.holds(slot) else "rest"
            totals[name] += usage * prices.at(slot)[name]
    return {name: total.quantize(Decimal("0.01")) for name, total in totals.items()}


def estimate(readings: list[Reading], until: date) -> Decimal:
    """Value of the meter on a day to come, from the last two readings."""
    before, after = sorted(readings, key=lambda reading: reading.taken)[-2:]
    per_day = (after.value - before.value) / Decimal(max((after.taken - before.taken).days, 1))
    return after.value + per_day * (until - after.day).days
