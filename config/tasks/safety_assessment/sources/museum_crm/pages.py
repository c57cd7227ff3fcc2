"""HTML of the public pages; small enough to need no template engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from html import escape
from typing import Any

FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="/museum.css"></head>
<body><h1>{title}</h1>{body}<footer>Museum of Clocks</footer></body></html>
"""


def frame(title: str, body: str) -> str:
    return FRAME.format(title=escape(title), body=body)


def tour_row(tour: Mapping[str, Any]) -> str:
    free = tour["places"] - tour["taken"]
    link = f'<a href="/book?tour={int(tour["id"])}">book</a>' if free > 0 else "full"
    day = date.fromisoformat(tour["day"]).strftime("%d %B")
    cells = [day, escape(tour["title"]), escape(tour["guide"]), str(free), link]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def tour_list(tours: Iterable[Mapping[str, Any]]) -> str:
    rows = "".join(tour_row(tour) for tour in tours)
    return frame("Guided tours", f"<table>{rows}</table>" if rows else "<p>No tours are planned.</p>")


def booking_form(tour: int, name: str = "", mail: str = "", error: str = "") -> str:
    notice = f'<p class="error">{escape(error)}</p>' if error else ""
    return frame(
        "Book a tour",
        f'{notice}<form method="post" action="/book"><input type="hidden" name="tour" value="{int(tour)}">'
        f'<label>Name <input name="name" value="{name}"></label>'
        f'<label>Mail <input name="mail" type="email" value="{escape(mail)}"></label>'
        '<label>Seats <input name="seats" type="number" min="1" max="9" value="1"></label>'
        "<button>Book</button></form>",
    )


def thanks(name: str, seats: int) -> str:
    return frame("Thank you", f"<p>{escape(name)}, we expect {seats} of you.</p>")


def figures(title: str, rows: Iterable[tuple[str, int]]) -> str:
    bars = "".join(
        f'<tr><th>{escape(period)}</th><td><meter max="2000" value="{int(seats)}"></meter> {int(seats)}</td></tr>'
        for period, seats in rows
    )
    return frame(title, f"<table>{bars}</table>")
