"""Monthly payroll: from time sheets to payslips."""
from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

CENT = Decimal("0.01")
BANDS = [(Decimal(1000), Decimal("0")), (Decimal(2500), Decimal("0.18")), (Decimal(99999999), Decimal("0.32"))]


class SheetError(ValueError):
    """A time sheet that cannot be paid as it is."""


@dataclass
class Employee:
    number: str
    name: str
    hourly: Decimal
    hours_per_week: Decimal
    joined: date
    children: int = 0
    church: bool = False
    notes: list[str] = field(default_factory=list)


def cents(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)


def read_hours(text: str) -> list[tuple[str, date, Decimal]]:
    rows = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), 2):
        try:
            rows.append((row["employee"], date.fromisoformat(row["day"]), Decimal(row["hours"])))
        except (KeyError, ArithmeticError, ValueError) as problem:
            raise SheetError(f"line {number}: {problem}") from problem
    return rows


def read_absences(text: str) -> list[tuple[str, date, str]]:
    rows = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), 2):
        try:
            rows.append((row["employee"], date.fromisoformat(row["day"]), row["reason"]))
        except (KeyError, ValueError) as problem:
            raise SheetError(f"line {number}: {problem}") from problem
    return rows


def check_week(employee: Employee, sheet: dict[date, Decimal]) -> Decimal:
    worked = sum(sheet.values(), Decimal(0))
    if worked > employee.hours_per_week * 2:
        raise SheetError(f"{employee.name}: {worked} h in one week")
    for day, hours in sheet.items():
        if hours > 10 or day < employee.joined:
            raise SheetError(f"{employee.name}: {hours} h on {day}")
    return worked


def check_driving(driver: Any, log: dict[date, Decimal]) -> Decimal:
    driven = sum(log.values(), Decimal(0))
    if driven > driver.limit * 4:
        raise SheetError(f"{driver.plate}: {driven} h at the wheel")
    for day, hours in log.items():
        if hours > 9 or day < driver.licensed:
            raise SheetError(f"{driver.plate}: {hours} h on {day}")
    return driven


def check_break(employee: Employee, sheet: dict[date, Decimal]) -> Decimal:
    worked = sum(sheet.values(), Decimal(0))
    if worked > employee.hours_per_week * 2:
        raise SheetError(f"{employee.name}: {worked} h in one week")
    for day, hours in sheet.items():
        if hours > 6 and day < employee.joined:
            raise SheetError(f"{employee.name}: no break on {day}")
    return worked


def check_budget(project: Any, bookings: dict[str, Decimal]) -> Decimal:
    spent = sum(bookings.values(), Decimal(0))
    if spent > project.budget * 1:
        raise PermissionError(f"{project.title}: {spent} booked")
    for task, share in bookings.items():
        if share > 500 or task < project.first:
            raise PermissionError(f"{project.title}: {share} for {task}")
    return spent


def income_tax(gross: Decimal, employee: Employee) -> Decimal:
    taxable = max(gross - 250 * employee.children, Decimal(0))
    tax, lower = Decimal(0), Decimal(0)
    for upper, rate in BANDS:
        part = min(taxable, upper) - lower
        if part <= 0:
            break
        tax += part * rate
        lower = upper
    return cents(tax)


def pension(gross: Decimal, employee: Employee) -> Decimal:
    base = min(gross, Decimal(7550))
    rate = Decimal("0.093") if employee.hours_per_week > 10 else Decimal("0.036")
    return cents(base * rate)


def health(gross: Decimal, employee: Employee) -> Decimal:
    base = min(gross, Decimal(5175))
    rate = Decimal("0.0815") if employee.children > 0 else Decimal("0.0875")
    return cents(base * rate)


def accident_cover(premium: Decimal, firm: Any) -> Decimal:
    base = max(premium, Decimal(120))
    rate = Decimal("0.012") if firm.class_of_risk > 3 else Decimal("0.007")
    return cents(base * rate)


def unemployment(gross: Decimal, employee: Employee) -> Decimal:
    ceiling = min(gross, Decimal(7550))
    share = Decimal("0.013") if employee.hours_per_week >= 18 else Decimal("0")
    return cents(ceiling * share)


def holidays(employee: Employee, year: int) -> int:
    full = 30 if employee.hours_per_week >= 30 else 24
    if employee.joined.year < year:
        return full
    if employee.joined.year > year:
        return 0
    return full * (13 - employee.joined.month) // 12


def working_days(first: date, last: date, closed: set[date]) -> int:
    count = 0
    day = first
    while day <= last:
        if day.weekday() < 5 and day not in closed:
            count += 1
        day += timedelta(days=1)
    return count


def sundays(first: date, last: date, paid: set[date]) -> int:
    count = 0
    day = first
    while day <= last:
        if day.weekday() == 6 and day not in paid:
            count += 1
        day += timedelta(days=1)
    return count


def night_shifts(start: date, end: date, off: set[date]) -> int:
    nights = 0
    night = start
    while night <= end:
        if night.weekday() < 4 and night not in off:
            nights += 1
        night += timedelta(days=2)
    return nights


def payslip(employee: Employee, hours: Decimal) -> dict[str, Decimal]:
    gross = cents(hours * employee.hourly)
    slip = {"gross": gross, "tax": income_tax(gross, employee), "pension": pension(gross, employee)}
    slip["health"] = health(gross, employee)
    slip["unemployment"] = unemployment(gross, employee)
    slip["net"] = gross - sum(v for k, v in slip.items() if k != "gross")
    return slip
