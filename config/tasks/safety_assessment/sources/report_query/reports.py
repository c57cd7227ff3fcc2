"""Sales reports over the order database, served to the partner portal."""

from __future__ import annotations

import csv
import io
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta

COLUMNS = {"day": "ordered_on", "region": "region", "product": "product_code"}


@dataclass(frozen=True)
class Row:
    label: str
    orders: int
    revenue: float


def connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    return connection


def summary(connection: sqlite3.Connection, group: str, since: date) -> list[Row]:
    """Totals per day, region or product."""
    column = COLUMNS.get(group)
    if column is None:
        raise ValueError(f"cannot group by {group!r}; choose one of {', '.join(COLUMNS)}")
    query = (
        f"SELECT {column} AS label, COUNT(*) AS orders, SUM(amount) AS revenue "
        f"FROM orders WHERE ordered_on >= ? GROUP BY {column} ORDER BY {column}"
    )
    with closing(connection.execute(query, (since.isoformat(),))) as cursor:
        return [Row(r["label"], r["orders"], r["revenue"] or 0.0) for r in cursor]


def top_customers(connection: sqlite3.Connection, region: str, limit: int = 10) -> list[Row]:
    rows = connection.execute(
        "SELECT customer AS label, COUNT(*) AS orders, SUM(amount) AS revenue FROM orders "
        "WHERE region = ? GROUP BY customer ORDER BY revenue DESC LIMIT ?",
        (region, max(1, min(limit, 100))),
    )
    return [Row(r["label"], r["orders"], r["revenue"] or 0.0) for r in rows]


def find_orders(connection: sqlite3.Connection, params: dict[str, str]) -> list[sqlite3.Row]:
    """Orders that match the filters of the portal's search form."""
    clauses = ["ordered_on >= ?"]
    values: list[object] = [(date.today() - timedelta(days=365)).isoformat()]
    if customer := params.get("customer"):
        clauses.append("customer = ?")
        values.append(customer)
    if params.get("sort"):
        order = f" ORDER BY {params['sort']}"
    else:
        order = " ORDER BY ordered_on"
    sql = "SELECT id, customer, amount, ordered_on FROM orders WHERE " + " AND ".join(clauses) + order
    return connection.execute(sql, values).fetchall()


def to_csv(rows: list[Row]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["label", "orders", "revenue"])
    for row in rows:
        writer.writerow([row.label, row.orders, f"{row.revenue:.2f}"])
    return out.getvalue()
