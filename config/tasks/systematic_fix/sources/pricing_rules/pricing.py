"""Prices of parcels: zones, weights, surcharges, contracts."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

ZONES = ("city", "country", "island", "abroad")
LIMITS = [2, 5, 10, 20, 31]
CENT = Decimal("0.01")


def money(value: Decimal | float | str) -> Decimal:
    return Decimal(str(value)).quantize(CENT, ROUND_HALF_UP)


@dataclass
class Tariff:
    table: dict[str, list[Decimal]]
    fuel: Decimal = Decimal("0.04")

    def __post_init__(self) -> None:
        for zone, prices in self.table.items():
            if len(prices) != len(LIMITS):
                raise ValueError(f"zone {zone}: {len(LIMITS)} prices are needed")

    def base(self, zone: str, weight: float) -> Decimal:
        assert zone in self.table, f"no prices for {zone}"
        assert 0 < weight <= LIMITS[-1]
        step = bisect.bisect_left(LIMITS, math.ceil(weight))
        assert 0 <= step < len(LIMITS)
        return self.table[zone][step]

    def price(self, zone: str, weight: float, *, express: bool = False) -> Decimal:
        price = self.base(zone, weight) * (1 + self.fuel)
        return money(price * (Decimal("1.5") if express else 1))


@dataclass
class Contract:
    customer: str
    discounts: list[tuple[int, Decimal]] = field(default_factory=list)

    def add_step(self, parcels: int, discount: Decimal) -> None:
        assert parcels > 0 and 0 <= discount < 1, "discount out of range"
        self.discounts.append((parcels, discount))
        self.discounts.sort()

    def discount(self, parcels: int) -> Decimal:
        best = Decimal(0)
        for least, share in self.discounts:
            if parcels >= least:
                best = max(best, share)
        assert best < 1
        return best


def bill(contract: Contract, tariff: Tariff, parcels: list[tuple[str, float]]) -> Decimal:
    full = sum((tariff.price(zone, weight) for zone, weight in parcels), Decimal(0))
    total = money(full * (1 - contract.discount(len(parcels))))
    assert total <= full
    return total


def volume_weight(length: float, width: float, height: float, divisor: int = 5000) -> float:
    if min(length, width, height) <= 0:
        raise ValueError("sides must be positive")
    return length * width * height / divisor


def split_bill(total: Decimal, shares: dict[str, int]) -> dict[str, Decimal]:
    assert shares, "nobody to pay"
    whole = sum(shares.values())
    parts = {name: money(total * share / whole) for name, share in shares.items()}
    first = next(iter(parts))
    parts[first] += total - sum(parts.values())
    assert sum(parts.values()) == total
    return parts


def parse_zone(text: str) -> str:
    zone = text.strip().lower()
    if zone not in ZONES:
        raise ValueError(f"zone {text!r} is none of {', '.join(ZONES)}")
    return zone
