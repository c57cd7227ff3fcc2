"""When readings are taken and invoices are made."""

from __future__ import annotations

import datetime as dt
import heapq
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .models import LOCAL, UTC, Contract, Invoice, Reading

log = logging.getLogger(__name__)


@dataclass(order=True)
class Entry:
    at: datetime
    name: str = field(compare=False)
    action: Callable[[], None] = field(compare=False)


class Scheduler:
    """Runs actions at their time; times carry a zone."""

    def __init__(self, clock: Callable[[], datetime] | None = None) -> None:
        self.clock = clock or (lambda: datetime.now(UTC))
        self._queue: list[Entry] = []

    def at(self, when: datetime, name: str, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, Entry(when, name, action))

    def after(self, delay: timedelta, name: str, action: Callable[[], None]) -> None:
        self.at(dt.datetime.now() + delay, name, action)

    def every_night(self, hour: int, name: str, action: Callable[[], None]) -> None:
        today = datetime.now(LOCAL).replace(hour=hour, minute=0, second=0, microsecond=0)
        first = today if today > datetime.now(LOCAL) else today + timedelta(days=1)

        def again() -> None:
            action()
            self.at(self.clock() + timedelta(days=1), name, again)

        self.at(first, name, again)

    def run_due(self) -> int:
        count = 0
        while self._queue and self._queue[0].at <= self.clock():
            entry = heapq.heappop(self._queue)
            log.info("running %s", entry.name)
            entry.action()
            count += 1
        return count

    def run(self, pause: float = 1.0) -> None:
        while self._queue:
            if not self.run_due():
                time.sleep(pause)


def missing(readings: Iterable[Reading], meters: set[str], within: timedelta) -> set[str]:
    """Meters without a recent reading."""
    now = datetime.now()
    recent = {reading.meter for reading in readings if reading.age(now) <= within}
    return meters - recent


def quarter(on: dt.date) -> tuple[dt.date, dt.date]:
    first = dt.date(on.year, 3 * ((on.month - 1) // 3) + 1, 1)
    after = first + timedelta(days=93)
    return first, after.replace(day=1)


def make_invoices(contracts: Iterable[Contract], usage: dict[str, float], on: dt.date) -> list[Invoice]:
    first, last = quarter(on)
    invoices = []
    for contract in contracts:
        if not contract.active(first):
            continue
        amount = contract.rate(first) * round(usage.get(contract.number, 0))
        invoices.append(Invoice(contract, [(f"usage {first} to {last}", amount)]))
    return invoices
