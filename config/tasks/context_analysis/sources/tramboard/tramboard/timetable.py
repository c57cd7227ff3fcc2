import bisect
import datetime as dt

from . import stops

DEPARTURES = {}


def add(line, code, minutes):
    stops.where(code)
    DEPARTURES.setdefault((line, code), []).extend(sorted(minutes))


def next_after(line, code, now: dt.datetime, count=3):
    minute = now.hour * 60 + now.minute
    plan = DEPARTURES.get((line, code), [])
    start = bisect.bisect_left(plan, minute)
    return plan[start:start + count]
