import datetime as dt

from .records import Level


def checksum(body: str) -> int:
    value = 0
    for char in body:
        value ^= ord(char)
    return value


def parse(line: str) -> Level | None:
    line = line.strip()
    if not line.startswith("$") or "*" not in line:
        return None
    body, _, given = line[1:].partition("*")
    if checksum(body) != int(given or "0", 16):
        return None
    kind, gauge, stamp, value, unit = (body.split(",") + [""] * 5)[:5]
    if kind != "TGLVL" or not value:
        return None
    factor = 0.3048 if unit == "f" else 1.0
    try:
        at = dt.datetime.strptime(stamp, "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return Level(gauge, at, float(value) * factor)
