"""Storage of the parts catalogue (PostgreSQL through psycopg)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

SORTS = {"name": "p.name", "price": "p.price_cents", "newest": "p.created_at DESC"}


class Parts:
    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def _open(self) -> psycopg.Connection[dict[str, Any]]:
        return psycopg.connect(self._dsn, row_factory=dict_row)

    def by_numbers(self, numbers: Sequence[str]) -> list[dict[str, Any]]:
        if not numbers:
            return []
        marks = ", ".join(["%s"] * len(numbers))
        query = f"SELECT id, number, name FROM parts WHERE number IN ({marks})"
        with self._open() as db:
            return db.execute(query, list(numbers)).fetchall()

    def search(self, text: str, sort: str = "name", page: int = 1) -> list[dict[str, Any]]:
        order = SORTS.get(sort, SORTS["name"])
        pattern = "%" + text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_") + "%"
        query = (
            "SELECT p.id, p.number, p.name, p.price_cents FROM parts p "
            "WHERE p.name ILIKE %s OR p.number ILIKE %s "
            "ORDER BY " + order + " LIMIT 50 OFFSET %s"
        )
        with self._open() as db:
            return db.execute(query, (pattern, pattern, 50 * (max(page, 1) - 1))).fetchall()

    def update(self, part_id: int, changes: dict[str, Any]) -> int:
        """Writes the given fields; anything that is not a column of the form is refused."""
        unknown = set(changes) - {"name", "price_cents", "supplier_id"}
        if unknown:
            raise ValueError(f"not editable: {', '.join(sorted(unknown))}")
        if not changes:
            return 0
        fields = ", ".join(f"{column} = %({column})s" for column in changes)
        with self._open() as db:
            done = db.execute(f"UPDATE parts SET {fields} WHERE id = %(id)s", {**changes, "id": part_id})
            return done.rowcount

    def import_rows(self, rows: Iterable[tuple[str, str, int]]) -> int:
        count = 0
        with self._open() as db, db.cursor() as cursor:
            for number, name, price in rows:
                cursor.execute(
                    "INSERT INTO parts (number, name, price_cents) VALUES (%s, %s, %s) "
                    "ON CONFLICT (number) DO UPDATE SET name = EXCLUDED.name",
                    (number.strip().upper(), name.strip(), price),
                )
                count += cursor.rowcount
        return count

    def purge(self, tables: Sequence[str] = ("search_log", "view_log"), days: int = 90) -> None:
        """Nightly job."""
        with self._open() as db:
            for table in tables:
                name = sql.Identifier(table)
                statement = sql.SQL("DELETE FROM {} WHERE at < now() - make_interval(days => %s)")
                db.execute(statement.format(name), (days,))
