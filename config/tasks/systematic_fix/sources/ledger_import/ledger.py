"""Imports bank statements (CSV, MT940-like text, JSON) into the ledger folder."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

Booking = tuple[str, str, Decimal]


def read_csv(path: str) -> Iterator[Booking]:
    with open(path, newline="") as handle:
        for row in csv.DictReader(handle, delimiter=";"):
            amount = Decimal(row["amount"].replace(".", "").replace(",", "."))
            yield row["date"], row["purpose"].strip(), amount


def read_swift(path: str) -> Iterator[Booking]:
    day, amount = "", Decimal(0)
    with open(path, "r", encoding="latin-1") as handle:
        for line in handle:
            if line.startswith(":61:"):
                day = "20" + line[4:10]
                sign = -1 if line[10] == "D" else 1
                amount = sign * Decimal(line[11:].split("N")[0].replace(",", "."))
            elif line.startswith(":86:"):
                yield day, line[4:].strip(), amount


def read_archive(path: str) -> Iterator[Booking]:
    raw = gzip.open(path, "rb").read()
    for entry in json.load(io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8")):
        yield entry["day"], entry["text"], Decimal(entry["amount"])


class Ledger:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.rules = self._load_rules()

    def _load_rules(self) -> dict[str, str]:
        path = self.folder / "rules.json"
        if not path.exists():
            return {}
        with path.open() as handle:
            return json.load(handle)

    def account(self, purpose: str) -> str:
        for word, account in self.rules.items():
            if word.lower() in purpose.lower():
                return account
        return "unassigned"

    def append(self, booking: Booking) -> None:
        day, purpose, amount = booking
        with open(self.folder / f"{day[:4]}.tsv", mode="a") as out:
            out.write(f"{day}\t{self.account(purpose)}\t{amount}\t{purpose}\n")

    def checksum(self, year: str) -> int:
        with open(self.folder / f"{year}.tsv", "rb") as handle:
            return sum(handle.read()) & 0xFFFFFFFF

    def lock(self) -> int:
        return os.open(self.folder / ".lock", os.O_CREAT | os.O_EXCL | os.O_WRONLY)

    def export(self, year: str, target: Path) -> None:
        text = (self.folder / f"{year}.tsv").read_text(encoding="utf-8")
        with target.open("w", encoding="utf-8", newline="\r\n") as out:
            out.write(text.replace("\t", ";"))


READERS = {".csv": read_csv, ".sta": read_swift, ".gz": read_archive}


def run(ledger: Ledger, statement: str) -> int:
    reader = READERS[os.path.splitext(statement)[1].lower()]
    count = 0
    for booking in reader(statement):
        ledger.append(booking)
        count += 1
    with open(ledger.folder / "imports.log", "a") as journal:
        print(os.path.basename(statement), count, file=journal)
    return count
