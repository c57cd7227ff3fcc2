"""Reports of bad links, and figures for the operators."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import smtplib
import sqlite3
import ssl
import subprocess
from collections.abc import Iterable
from datetime import date, timedelta
from email.message import EmailMessage
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

log = logging.getLogger(__name__)

REASONS = ("spam", "malware", "broken", "other")
ORDERS = {"newest": "at DESC", "oldest": "at", "most": "count DESC"}


class Reports:
    def __init__(self, path: str) -> None:
        self.db = sqlite3.connect(path)
        self.db.execute("CREATE TABLE IF NOT EXISTS report (slug TEXT, reason TEXT, note TEXT, at TEXT)")

    def add(self, slug: str, reason: str, note: str) -> None:
        if reason not in REASONS:
            raise ValueError(f"reason: one of {', '.join(REASONS)}")
        with self.db:
            row = (slug, reason, note[:1000], date.today().isoformat())
            self.db.execute("INSERT INTO report VALUES (?, ?, ?, ?)", row)

    def listing(self, order: str = "newest", reasons: Iterable[str] = ()) -> list[tuple[str, int, str]]:
        chosen = [reason for reason in reasons if reason in REASONS] or list(REASONS)
        query = (
            f"SELECT slug, COUNT(*) AS count, MAX(at) AS at FROM report WHERE reason IN ({', '.join('?' * len(chosen))}) "
            f"GROUP BY slug ORDER BY {ORDERS.get(order, ORDERS['newest'])} LIMIT 100"
        )
        return self.db.execute(query, chosen).fetchall()

    def notes(self, slug: str) -> list[str]:
        return [row[0] for row in self.db.execute("SELECT note FROM report WHERE slug = ? ORDER BY at", (slug,))]

    def forget(self, days: int = 365) -> int:
        limit = (date.today() - timedelta(days=days)).isoformat()
        with self.db:
            return self.db.execute("DELETE FROM report WHERE at < ?", (limit,)).rowcount


def as_csv(rows: list[tuple[str, int, str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["link", "reports", "last"])
    writer.writerows(rows)
    return out.getvalue()


def as_feed(reports: Reports, base: str) -> str:
    """An Atom feed for the operators' reader."""
    entries = []
    for slug, count, last in reports.listing("most"):
        notes = " / ".join(reports.notes(slug))
        entries.append(
            f"<entry><title>{escape(slug)}: {count} reports</title><updated>{escape(last)}</updated>"
            f"<link href={quoteattr(f'{base}/l/{slug}')}/><summary>{escape(notes)}</summary></entry>"
        )
    return f"<?xml version='1.0'?><feed xmlns='http://www.w3.org/2005/Atom'>{''.join(entries)}</feed>"


def mail_operators(reports: Reports) -> None:
    rows = reports.listing("most")
    if not rows:
        return
    message = EmailMessage()
    message["Subject"] = f"{len(rows)} links were reported"
    message["From"] = os.environ["MAIL_FROM"]
    message["To"] = os.environ["OPERATORS"]
    message.set_content(as_csv(rows))
    with smtplib.SMTP_SSL(os.environ["MAIL_HOST"], context=ssl.create_default_context(), timeout=20) as smtp:
        smtp.login(os.environ["MAIL_USER"], os.environ["MAIL_PASSWORD"])
        smtp.send_message(message)


def plot(reports: Reports, target: Path) -> Path:
    """A bar chart by gnuplot, which reads its data from standard input."""
    lines = "\n".join(f"{number} {count}" for number, (_, count, _) in enumerate(reports.listing("most")))
    script = f"set terminal svg; set output {json.dumps(str(target))}; plot '-' with boxes notitle\n{lines}\ne\n"
    subprocess.run(["gnuplot"], input=script.encode(), check=True, timeout=30)
    return target


def nightly(path: str, target: Path) -> None:
    reports = Reports(path)
    log.info("forgot %d reports", reports.forget())
    plot(reports, target)
    try:
        mail_operators(reports)
    except (OSError, smtplib.SMTPException):
        log.exception("the operators got no mail")
