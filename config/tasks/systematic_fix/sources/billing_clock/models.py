"""Contracts, meters and invoices of the utility."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

LOCAL = ZoneInfo("Europe/Brussels")
UTC = timezone.utc


@dataclass(frozen=True)
class Reading:
    meter: str
    value: Decimal
    taken: datetime

    @classmethod
    def now(cls, meter: str, value: Decimal) -> Reading:
        return cls(meter, value, datetime.now())

    @property
    def day(self) -> date:
        return self.taken.date()

    def age(self, at: datetime) -> timedelta:
        return at - self.taken


@dataclass
class Contract:
    number: str
    start: date
    end: date | None = None
    rates: list[tuple[date, Decimal]] = field(default_factory=list)

    def active(self, on: date | None = None) -> bool:
        day = on or date.today()
        return self.start <= day and (self.end is None or day < self.end)

    def rate(self, on: date) -> Decimal:
        valid = [rate for since, rate in sorted(self.rates) if since <= on]
        if not valid:
            raise LookupError(f"contract {self.number} has no rate on {on}")
        return valid[-1]

    def cancel(self, notice: timedelta = timedelta(days=30)) -> date:
        self.end = (datetime.now(LOCAL) + notice).date()
        return self.end


@dataclass
class Invoice:
    contract: Contract
    lines: list[tuple[str, Decimal]]
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    sent: datetime | None = None
    reminders: list[datetime] = field(default_factory=list)

    @property
    def total(self) -> Decimal:
        return sum((amount for _, amount in self.lines), Decimal(0)).quantize(Decimal("0.01"))

    def mark_sent(self) -> None:
        self.sent = datetime.now(tz=UTC)

    def remind(self) -> int:
        self.reminders.append(datetime.now())
        return len(self.reminders)

    def overdue(self, days: int = 14) -> bool:
        if self.sent is None:
            return False
        return datetime.now(self.sent.tzinfo) - self.sent > timedelta(days=days)
