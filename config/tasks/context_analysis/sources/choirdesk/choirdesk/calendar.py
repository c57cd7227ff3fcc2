import datetime as dt

from .people import Singer

TERM_STARTS = (dt.date(2024, 1, 15), dt.date(2024, 9, 2))


def rehearsals(start, weeks, skip=()):
    days = [start + dt.timedelta(weeks=n) for n in range(weeks)]
    return [d for d in days if d not in skip]


def attendance(singer: Singer, days):
    if not days:
        return 0.0
    return sum(d in singer.present for d in days) / len(days)
