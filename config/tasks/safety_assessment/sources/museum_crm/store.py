"""Visitors, groups and guided tours of the museum (SQLite)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime

SCHEMA = """
CREATE TABLE IF NOT EXISTS visitor (id INTEGER PRIMARY KEY, name TEXT, mail TEXT UNIQUE, note TEXT, since TEXT);
CREATE TABLE IF NOT EXISTS tour (id INTEGER PRIMARY KEY, title TEXT, guide TEXT, day TEXT, places INTEGER);
CREATE TABLE IF NOT EXISTS booking (tour INTEGER, visitor INTEGER, seats INTEGER, UNIQUE (tour, visitor));
"""

SEARCHABLE = ("name", "mail", "note")


class Store:
    def __init__(self, path: str) -> None:
        self.path = path
        with self.open() as db:
            db.executescript(SCHEMA)

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self.path)
        db.row_factory = sqlite3.Row
        try:
            with db:
                yield db
        finally:
            db.close()

    def add_visitor(self, name: str, mail: str, note: str = "") -> int:
        with self.open() as db:
            found = db.execute("SELECT id FROM visitor WHERE mail = ?", (mail,)).fetchone()
            if found:
                return int(found["id"])
            row = (name, mail, note, date.today().isoformat())
            done = db.execute("INSERT INTO visitor (name, mail, note, since) VALUES (?, ?, ?, ?)", row)
            return int(done.lastrowid or 0)

    def search_visitors(self, words: str) -> list[sqlite3.Row]:
        """Visitors in whose name, address or note every word occurs."""
        conditions, values = [], []
        for word in words.split():
            conditions.append("(" + " OR ".join(f"{column} LIKE ?" for column in SEARCHABLE) + ")")
            values += [f"%{word}%"] * len(SEARCHABLE)
        where = " AND ".join(conditions) or "1"
        with self.open() as db:
            return db.execute(f"SELECT * FROM visitor WHERE {where} ORDER BY name LIMIT 200", values).fetchall()

    def tours(self, after: date, guide: str = "") -> list[sqlite3.Row]:
        query = "SELECT *, (SELECT COALESCE(SUM(seats), 0) FROM booking WHERE tour = tour.id) AS taken FROM tour "
        query += "WHERE day >= ? AND (? = '' OR guide = ?) ORDER BY day"
        with self.open() as db:
            return db.execute(query, (after.isoformat(), guide, guide)).fetchall()

    def book(self, tour: int, visitor: int, seats: int) -> bool:
        with self.open() as db:
            row = db.execute("SELECT places FROM tour WHERE id = ?", (tour,)).fetchone()
            taken = db.execute("SELECT COALESCE(SUM(seats), 0) FROM booking WHERE tour = ?", (tour,)).fetchone()[0]
            if row is None or seats < 1 or taken + seats > row["places"]:
                return False
            db.execute("INSERT OR REPLACE INTO booking VALUES (?, ?, ?)", (tour, visitor, seats))
            return True

    def statistics(self, period: str, first: str, last: str) -> list[tuple[str, int]]:
        """Seats per 'month' or 'year' between two days."""
        length = {"month": 7, "year": 4}[period]
        query = (
            f"SELECT substr(day, 1, {length}) AS period, SUM(seats) FROM booking JOIN tour ON tour.id = booking.tour "
            f"WHERE day BETWEEN '{first}' AND '{last}' GROUP BY period"
        )
        with self.open() as db:
            return [(row[0], row[1]) for row in db.execute(query)]

    def import_tours(self, rows: Iterable[dict[str, str]]) -> int:
        count = 0
        with self.open() as db:
            for row in rows:
                day = datetime.strptime(row["day"], "%d.%m.%Y").date().isoformat()
                values = {"title": row["title"], "guide": row["guide"], "day": day, "places": int(row["places"])}
                db.execute("INSERT INTO tour (title, guide, day, places) VALUES (:title, :guide, :day, :places)", values)
                count += 1
        return count
