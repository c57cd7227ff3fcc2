"""Routes of the museum's site (Bottle)."""

from __future__ import annotations

import os
import re
from datetime import date

from bottle import Bottle, HTTPError, auth_basic, request

from .pages import booking_form, figures, frame, thanks, tour_list
from .staff import is_staff
from .store import Store

app = Bottle()
store = Store(os.environ.get("MUSEUM_DB", "museum.sqlite"))
MAIL = re.compile(r"[^@\s]+@[^@\s]+")


@app.get("/tours")
def tours():
    return tour_list(store.tours(date.today(), request.query.getunicode("guide", "")))


@app.get("/book")
def book_page():
    return booking_form(int(request.query.get("tour", 0)), name=request.query.getunicode("name", ""))


@app.post("/book")
def book():
    form = request.forms
    tour, name, mail = int(form.get("tour", 0)), form.getunicode("name", ""), form.getunicode("mail", "")
    if not name.strip() or not MAIL.fullmatch(mail):
        return booking_form(tour, name, mail, "We need a name and an address.")
    seats = int(form.get("seats", 1))
    if not store.book(tour, store.add_visitor(name, mail), seats):
        return booking_form(tour, name, mail, "There are not enough places left.")
    return thanks(name, seats)


@app.get("/figures")
def public_figures():
    period = request.query.get("period", "month")
    if period not in ("month", "year"):
        raise HTTPError(400, "month or year")
    first = request.query.getunicode("from", f"{date.today().year}-01-01")
    last = request.query.getunicode("to", date.today().isoformat())
    return figures(f"Visitors per {period}", store.statistics(period, first, last))


@app.get("/staff/visitors")
@auth_basic(is_staff)
def visitors():
    rows = store.search_visitors(request.query.getunicode("q", ""))
    return frame("Visitors", f"<p>{len(rows)} visitors found.</p>")
