import datetime as dt

from . import calendar
from .cases import Case

DAYS = {"answer": 20, "reply": 10, "appeal": 30, "costs": 15}


def due(case: Case, what: str) -> dt.date:
    start = case.events[-1].day if case.events else case.filed
    return calendar.add_open_days(start, DAYS[what])


def expired(case: Case, today: dt.date) -> list[str]:
    late = []
    for what in case.waiting:
        if due(case, what) < today:
            late.append(what)
    return late
