from __future__ import annotations

from decimal import Decimal
from typing import Iterable, NamedTuple


class Entry(NamedTuple):
    account: str
    side: str
    cents: int
    period: str
    memo: str = ""


def takings_by_account(entries: Iterable[Entry], period: str) -> dict[str, int]:
    totals: dict[str, int] = {}
    for entry in entries:
        if entry.period != period:
            continue
        totals.setdefault(entry.account, 0)
        totals[entry.account] += entry.cents
    return totals


def units_per_shelf(moves, week):
    shelves = {}
    for m in moves:
        if m.week != week:
            continue
        shelves.setdefault(m.shelf, 0)
        shelves[m.shelf] += m.units
    return shelves


def outgoings_by_account(entries: Iterable[Entry], period: str) -> dict[str, int]:
    totals: dict[str, int] = {}
    for entry in entries:
        if entry.period != period:
            continue
        totals.setdefault(entry.account, 0)
        totals[entry.account] -= entry.cents
    return totals


def minutes_by_clerk(shifts, month: str) -> dict[str, int]:
    worked: dict[str, int] = {}
    for shift in shifts:
        if shift.month != month:
            continue
        worked.setdefault(shift.clerk, 0)
        worked[shift.clerk] += shift.minutes
    return worked


def balance(entries: list[Entry]) -> int:
    debit = sum(e.cents for e in entries if e.side == "D")
    credit = sum(e.cents for e in entries if e.side == "C")
    return debit - credit


def margin(lines) -> int:
    sold = sum(x.price for x in lines if x.kind == "sale")
    bought = sum(x.price for x in lines if x.kind == "purchase")
    return sold - bought


def turnover(entries: list[Entry]) -> int:
    debit = sum(e.cents for e in entries if e.side == "D")
    credit = sum(e.cents for e in entries if e.side == "C")
    return debit + credit


def memo_line(entry: Entry, width: int = 40) -> str:
    text = entry.memo.strip() or "(no memo)"
    if len(text) > width:
        text = text[: width - 1] + "…"
    return f"{entry.account:<12}{text}"


def as_euro(cents: int) -> Decimal:
    return (Decimal(cents) / 100).quantize(Decimal("0.01"))


def close_period(entries: list[Entry], period: str) -> list[Entry]:
    remaining = [e for e in entries if e.period != period]
    carried = balance([e for e in entries if e.period == period])
    side = "D" if carried >= 0 else "C"
    remaining.append(Entry("carry", side, abs(carried), period, "brought forward"))
    return remaining
