"""Exports for the accountants: CSV in several dialects, plain text, JSON lines."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import date
from decimal import Decimal
from pathlib import Path


class German(csv.excel):
    delimiter = ";"


@dataclass(frozen=True)
class Entry:
    day: date
    account: str
    text: str
    amount: Decimal


def header() -> list[str]:
    return [field.name for field in fields(Entry)]


def write_journal(path: Path, entries: Iterable[Entry]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(header())
        for entry in entries:
            writer.writerow(astuple(entry))
            count += 1
    return count


def write_letter(path: Path, name: str, entries: Sequence[Entry]) -> None:
    with path.open("w", encoding="utf-8") as out:
        out.write(f"Dear {name},\n\nthese are your bookings:\n")
        for entry in entries:
            out.write(f"{entry.day:%d.%m.%Y}  {entry.text:<40} {entry.amount:>10}\n")


class Ledger:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def append(self, entry: Entry) -> None:
        with open(self.folder / f"{entry.account}.csv", "a", encoding="utf-8") as out:
            csv.writer(out, dialect=German).writerow(astuple(entry))

    def balance(self, account: str) -> Decimal:
        with open(self.folder / f"{account}.csv", encoding="utf-8", newline="") as handle:
            return sum((Decimal(row[-1]) for row in csv.reader(handle, dialect=German)), Decimal(0))

    def close_year(self, year: int) -> Path:
        target = self.folder / f"balances-{year}.csv"
        accounts = sorted(path.stem for path in self.folder.glob("*.csv") if path.stem.isdigit())
        with target.open("w", encoding="cp1252", newline="") as out:
            writer = csv.DictWriter(out, ["account", "balance"], dialect=German)
            writer.writeheader()
            writer.writerows({"account": name, "balance": self.balance(name)} for name in accounts)
        return target


def write_summary(path: str, totals: dict[str, Decimal]) -> None:
    handle = open(path, mode="x", encoding="utf-8")
    with handle:
        writer = csv.DictWriter(handle, fieldnames=["account", "total"])
        writer.writeheader()
        for account, total in sorted(totals.items()):
            writer.writerow({"account": account, "total": total})


def write_lines(path: Path, entries: Iterable[Entry]) -> None:
    with path.open("w", encoding="utf-8") as out:
        for entry in entries:
            out.write(json.dumps(astuple(entry), default=str) + "\n")


def as_text(entries: Iterable[Entry]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(map(astuple, entries))
    return buffer.getvalue()


def write_packed(path: Path, entries: Iterable[Entry]) -> None:
    with gzip.open(path, "wt", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows(map(astuple, entries))
