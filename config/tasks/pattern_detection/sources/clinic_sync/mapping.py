"""From the dialects of the departments to one record format."""
import re
from decimal import Decimal, InvalidOperation

LOINC = re.compile(r"\d{1,5}-\d")
FLAGS = {"H": "high", "L": "low", "N": "normal", "": "normal"}


class Unmappable(ValueError):
    pass


def observation(raw):
    code = raw.get("code", "").strip()
    if not LOINC.fullmatch(code):
        raise Unmappable(f"code {code!r}")
    try:
        value = Decimal(raw["value"].replace(",", "."))
    except (KeyError, InvalidOperation):
        raise Unmappable(f"value of {code}") from None
    return {"code": code, "value": value, "unit": raw.get("unit"), "flag": FLAGS.get(raw.get("flag", ""), "odd")}


def dose(raw):
    drug = raw.get("drug", "").strip()
    if not drug:
        raise Unmappable("no drug")
    amount, _, unit = raw.get("dose", "").partition(" ")
    if unit not in ("mg", "ml", "IU"):
        raise Unmappable(f"unit {unit!r}")
    return {"drug": drug, "amount": Decimal(amount), "unit": unit}


def dimension(raw):
    part = raw.get("part", "").strip()
    if not part:
        raise Unmappable("no part")
    size, _, unit = raw.get("size", "").partition("_")
    if unit not in ("mm", "in"):
        raise Unmappable(f"{unit!r} is no unit")
    return {"part": part, "size": Decimal(size), "unit": unit}


def blood_pressure(raw):
    arm = raw.get("arm", "").strip()
    if not arm:
        raise Unmappable("no arm")
    upper, _, lower = raw.get("pressure", "").partition("/")
    if lower not in ("", "0"):
        raise Unmappable(f"pressure {lower!r}")
    return {"arm": arm, "upper": Decimal(upper), "lower": Decimal(lower or 0)}


def by_patient(records):
    grouped = {}
    for record in records:
        key = record["patient"]
        if key not in grouped:
            grouped[key] = []
        grouped[key].append(record)
    return {key: sorted(rows, key=lambda r: r["at"]) for key, rows in grouped.items()}


def by_ward(records):
    grouped = {}
    for record in records:
        key = record["ward"]
        if key not in grouped:
            grouped[key] = []
        grouped[key].append(record)
    return {key: sorted(rows, key=lambda r: r["bed"], reverse=True) for key, rows in grouped.items()}


def by_machine(jobs):
    queues = {}
    for job in jobs:
        name = job["machine"]
        if name not in queues:
            queues[name] = []
        queues[name].append(job)
    return {name: sorted(line, key=lambda j: j["due"]) for name, line in queues.items()}
