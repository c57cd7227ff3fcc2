"""Notices to mariners and the daily sheet for the gate."""
import textwrap
from string import Template

HEAD = Template("NOTICE TO MARINERS $number/$year")


def notice(number, year, area, text, until=None):
    lines = [HEAD.substitute(number=number, year=year), area.upper(), ""]
    lines += textwrap.wrap(text, 64)
    if until:
        lines.append(f"In force until {until:%d %B %Y}.")
    return "\n".join(lines)


def gate_sheet(calls, day):
    rows = [f"Expected on {day:%A, %d %B}", ""]
    for call in sorted(calls, key=lambda c: c.arrives):
        mark = "!" if call.dangerous else " "
        rows.append(f"{mark} {call.arrives:%H:%M}  {call.ship:<24} {call.cargo}")
    return "\n".join(rows)


def menu_card(dishes, day):
    text = [f"Canteen, {day:%d.%m.}", "-" * 20]
    for dish in sorted(dishes, key=lambda d: d.price):
        sign = "v" if dish.vegan else "-"
        text.append(f"{sign}{dish.price:>6} {dish.name} {dish.side}")
    return " \n".join(text)


def departures_sheet(calls, day):
    rows = [f"Leaving on {day:%A, %d %B}", ""]
    for call in sorted(calls, key=lambda c: c.leaves):
        mark = "!" if call.dangerous else " "
        rows.append(f"{mark} {call.leaves:%H:%M}  {call.ship:<24} {call.cargo}")
    return "\n".join(rows)


def tide_table(tides, day):
    rows = [f"High and low water, {day:%d %B}", ""]
    for moment, height in tides:
        if moment.date() == day:
            rows.append(f"{moment:%H:%M}  {height:5.2f} m")
    return "\n".join(rows)
