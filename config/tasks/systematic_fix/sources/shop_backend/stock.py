"""Stock of the web shop: reservations, deliveries, alarms."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

log = logging.getLogger(__name__)


class OutOfStock(Exception):
    def __init__(self, sku: str, wanted: int, free: int) -> None:
        super().__init__("%d of %s wanted, %d free" % (wanted, sku, free))
        self.sku = sku


@dataclass
class Reservation:
    order: str
    sku: str
    count: int
    until: datetime


@dataclass
class Stock:
    on_hand: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    reserved: list[Reservation] = field(default_factory=list)
    alarm_below: int = 3

    def free(self, sku: str) -> int:
        return self.on_hand[sku] - sum(r.count for r in self.reserved if r.sku == sku)

    def reserve(self, order: str, sku: str, count: int, minutes: int = 30) -> Reservation:
        free = self.free(sku)
        if free < count:
            log.info("order %s: %d of %s wanted, %d free", order, count, sku, free)
            raise OutOfStock(sku, count, free)
        reservation = Reservation(order, sku, count, datetime.now(timezone.utc) + timedelta(minutes=minutes))
        self.reserved.append(reservation)
        if free - count < self.alarm_below:
            log.warning("only %d of %s left" % (free - count, sku))
        return reservation

    def expire(self) -> int:
        now = datetime.now(timezone.utc)
        expired = [r for r in self.reserved if r.until < now]
        self.reserved = [r for r in self.reserved if r.until >= now]
        for reservation in expired:
            log.info("reservation of order %s expired", reservation.order)
        return len(expired)

    def ship(self, order: str) -> list[Reservation]:
        mine = [r for r in self.reserved if r.order == order]
        for reservation in mine:
            self.on_hand[reservation.sku] -= reservation.count
            self.reserved.remove(reservation)
        log.info("order " + order + " shipped in {} lines".format(len(mine)))
        return mine

    def deliver(self, sku: str, count: int, note: str = "") -> None:
        if count <= 0:
            raise ValueError(f"a delivery of {count} is none")
        self.on_hand[sku] += count
        suffix = f" ({note})" if note else ""
        log.info("%d of %s came in%s", count, sku, suffix)

    def audit(self, counted: dict[str, int]) -> dict[str, int]:
        wrong = {sku: number - self.on_hand[sku] for sku, number in counted.items() if number != self.on_hand[sku]}
        for sku, difference in sorted(wrong.items()):
            log.warning("{}: {:+d} against the books".format(sku, difference))
            self.on_hand[sku] += difference
        return wrong
