"""The page that the board opens before a concert."""
import calendar as months
import html

from . import fees, seating
from .people import Singer
from .scores import catalogue


def heading(year: int, month: int) -> str:
    return f"<h1>{months.month_name[month]} {year}</h1>"


def page(singers: list[Singer], year: int, month: int, programme: list[str]) -> str:
    known = catalogue()
    missing = [title for title in programme if title not in known]
    parts = [heading(year, month)]
    parts += [f"<p>No score: {html.escape(title)}</p>" for title in missing]
    for row in seating.rows(singers, 12):
        parts.append("<p>" + ", ".join(map(html.escape, row)) + "</p>")
    parts.append(f"<p>{len(fees.reminders(singers, year, month))} fees are open.</p>")
    return "\n".join(parts)
