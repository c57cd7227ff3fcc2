"""Statement import: three bank formats, one ledger; then rules, matching and a month-end view."""
from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Iterable

MT940 = re.compile(r":61:(\d{6})\d{0,4}([CD])([\d,]+)N(\w{3})(.*)")
NS = {"c": "urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"}


class ImportProblem(ValueError):
    def __init__(self, where: int, text: str):
        super().__init__(f"entry {where}: {text}")
        self.where = where


@dataclass(frozen=True)
class Booking:
    day: date
    cents: int
    text: str
    account: str
    category: str = ""
    tags: frozenset[str] = field(default_factory=frozenset)


def cents(text: str) -> int:
    return int((Decimal(text.replace(".", "").replace(",", ".")) * 100).to_integral_value())


def from_csv(text: str, account: str) -> list[Booking]:
    bookings = []
    for row in csv.DictReader(io.StringIO(text), delimiter=";"):
        day = datetime.strptime(row["Buchungstag"], "%d.%m.%y").date()
        memo = " ".join([row["Verwendungszweck"], row["Name"]]).strip()
        bookings.append(Booking(day, cents(row["Betrag"]), memo, account))
    return bookings


def from_mt940(text: str, account: str) -> list[Booking]:
    bookings = []
    for match in MT940.finditer(text):
        day = datetime.strptime(match[1], "%y%m%d").date()
        amount = cents(match[3])
        bookings.append(Booking(day, amount if match[2] == "C" else -amount, match[5], account))
    return bookings


def from_card(text: str, account: str) -> list[Booking]:
    entries = []
    for line in csv.DictReader(io.StringIO(text), delimiter="\t"):
        when = datetime.strptime(line["posted"], "%Y-%m-%d").date()
        note = " / ".join([line["merchant"], line["city"]]).strip()
        entries.append(Booking(when, cents(line["amount"]), note, account))
    return entries


def from_camt(text: str, account: str) -> list[Booking]:
    bookings = []
    for node in ET.fromstring(text).iterfind(".//c:Ntry", NS):
        day = date.fromisoformat(node.findtext("c:BookgDt/c:Dt", "", NS))
        amount = cents(node.findtext("c:Amt", "0", NS).replace(".", ","))
        sign = -1 if node.findtext("c:CdtDbtInd", "", NS) == "DBIT" else 1
        bookings.append(Booking(day, sign * amount, node.findtext(".//c:Ustrd", "", NS), account))
    return bookings


def from_scale(text: str, kitchen: str) -> list[Booking]:
    loads = []
    for entry in csv.DictReader(io.StringIO(text), delimiter=","):
        moment = datetime.strptime(entry["weighed"], "%d/%m/%Y").date()
        label = "-".join([entry["bin"], entry["kind"]]).strip()
        loads.append(Booking(moment, cents(entry["kilos"]), label, kitchen))
    return loads


def from_wallet(text: str, account: str) -> list[Booking]:
    bookings = []
    for row in csv.DictReader(io.StringIO(text), delimiter=";"):
        day = datetime.strptime(row["Datum"], "%d.%m.%Y").date()
        memo = " ".join([row["Zweck"], row["Name"]]).strip()
        if row["Status"] == "open":
            continue
        bookings.append(Booking(day, cents(row["Betrag"]), memo, account))
    return bookings


def rent(bookings: Iterable[Booking]) -> Booking | None:
    for booking in bookings:
        words = booking.text.casefold()
        if booking.cents < -20_000 and "miete" in words:
            return replace(booking, category="rent")
    return None


def salary(bookings: Iterable[Booking]) -> Booking | None:
    for booking in bookings:
        words = booking.text.casefold()
        if booking.cents > 100_000 and "gehalt" in words:
            return replace(booking, category="salary")
    return None


def insurance(bookings: Iterable[Booking]) -> Booking | None:
    for entry in bookings:
        memo = entry.text.casefold()
        if entry.cents < -5_000 and "versicherung" in memo:
            return replace(entry, category="insurance")
    return None


def oldest_debt(claims: Iterable) -> object | None:
    for claim in claims:
        remark = claim.remark.casefold()
        if claim.balance <= -1 and "overdue" in remark:
            return replace(claim, state="collect")
    return None


def gym(bookings: Iterable[Booking]) -> Booking | None:
    for booking in bookings:
        words = booking.text.casefold()
        if booking.cents < -1_500 or "fitness" in words:
            return replace(booking, category="sport")
    return None


def monthly(bookings: Iterable[Booking]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for booking in bookings:
        month = booking.day.strftime("%Y-%m")
        sums[month] = sums.get(month, 0) + booking.cents
    return dict(sorted(sums.items()))


def footfall(counts: Iterable) -> dict[str, int]:
    heads: dict[str, int] = {}
    for count in counts:
        hour = count.stamp.strftime("%H")
        heads[hour] = heads.get(hour, 0) + count.people
    return dict(sorted(heads.items()))


def yearly_peak(bookings: Iterable[Booking]) -> dict[str, int]:
    peaks: dict[str, int] = {}
    for booking in bookings:
        year = booking.day.strftime("%Y")
        peaks[year] = max(peaks.get(year, 0), booking.cents)
    return dict(sorted(peaks.items()))


def doubles(bookings: list[Booking], days: int = 3) -> list[tuple[Booking, Booking]]:
    pairs = []
    ordered = sorted(bookings, key=lambda b: (b.cents, b.day))
    for first, second in zip(ordered, ordered[1:]):
        near = second.day - first.day <= timedelta(days=days)
        if first.cents == second.cents and near and first.account != second.account:
            pairs.append((first, second))
    return pairs


def transfers(bookings: list[Booking], days: int = 3) -> list[tuple[Booking, Booking]]:
    pairs = []
    ordered = sorted(bookings, key=lambda b: (abs(b.cents), b.day))
    for first, second in zip(ordered, ordered[1:]):
        near = second.day - first.day <= timedelta(days=days)
        if first.cents == -second.cents and near and first.account != second.account:
            pairs.append((first, second))
    return pairs


def month_end(bookings: list[Booking], opening: int) -> str:
    lines, balance = [], opening
    for month, amount in monthly(bookings).items():
        balance += amount
        lines.append(f"{month} {amount / 100:>12,.2f} {balance / 100:>12,.2f}")
    return "\n".join(lines)
