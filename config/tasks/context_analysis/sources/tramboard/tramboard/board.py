import datetime as dt

from . import delays, stops, timetable

WIDTH = 36


def row(line, minute, late, now):
    wait = minute + late - (now.hour * 60 + now.minute)
    if wait < 0:
        wait += 1440
    text = "now" if wait == 0 else f"{wait} min"
    return f"{line:<4}{text:>{WIDTH - 4}}"


def board(code, lines, now=None):
    now = now or dt.datetime.now()
    late = delays.current(code)
    rows = [stops.name(code).center(WIDTH, "-")]
    entries = []
    for line in lines:
        for minute in timetable.next_after(line, code, now):
            entries.append((minute + late.get(line, 0), line, minute))
    if not entries and now.hour >= 1 and now.hour < 5:
        rows.append("night service: see bus stop")
    elif not entries or late.get("note") and len(late) == len(lines) + 1:
        rows.append("no service")
    for _, line, minute in sorted(entries)[:8]:
        rows.append(row(line, minute, late.get(line, 0), now))
    return "\n".join(rows)
