"""What the intake has taken so far, and the letters to contributors."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from html import escape
from pathlib import Path
from string import Template

from .intake import Delivery, kind_of

LETTER = Template(
    "Dear $name,\n\nthank you for delivery $number. We took $count files.\n$notes\n"
    "The reference for your records is $reference.\n"
)


def connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE IF NOT EXISTS object (mark TEXT PRIMARY KEY, kind TEXT, delivery INTEGER, name TEXT)")
    return db


def record(db: sqlite3.Connection, delivery: Delivery, quarantine: Path) -> None:
    with db:
        for name, mark in delivery.files.items():
            kind = kind_of(quarantine / "objects" / mark[:2] / mark)
            db.execute("INSERT OR IGNORE INTO object VALUES (?, ?, ?, ?)", (mark, kind, delivery.number, name))


def find(db: sqlite3.Connection, marks: list[str], kinds: list[str]) -> list[tuple[str, str]]:
    query = "SELECT mark, name FROM object WHERE 1"
    values: list[str] = []
    for column, wanted in (("mark", marks), ("kind", kinds)):
        if wanted:
            query += f" AND {column} IN ({', '.join('?' for _ in wanted)})"
            values += wanted
    with closing(db.execute(query, values)) as cursor:
        return cursor.fetchall()


def letter(delivery: Delivery, reference: str) -> str:
    notes = "".join(f"Note: {warning}\n" for warning in delivery.warnings)
    return LETTER.substitute(
        name=delivery.contributor, number=delivery.number, count=len(delivery.files), notes=notes, reference=reference
    )


def overview(db: sqlite3.Connection) -> str:
    rows = db.execute("SELECT name, kind FROM object ORDER BY name LIMIT 500").fetchall()
    cells = "".join(f"<tr><td>{escape(name)}</td><td>{escape(kind)}</td></tr>" for name, kind in rows)
    return f"<!doctype html><title>Objects</title><table>{cells}</table>"


def dump(db: sqlite3.Connection, target: Path) -> None:
    rows = db.execute("SELECT * FROM object ORDER BY mark").fetchall()
    target.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
