import csv
import pathlib

from .records import Level

ROOT = pathlib.Path("/var/lib/tidelog")


def read_table(name):
    with (ROOT / f"{name}.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def append(levels: list[Level]) -> int:
    written = 0
    for level in levels:
        path = ROOT / f"{level.gauge}-{level.at:%Y%m}.csv"
        with path.open("a", newline="") as handle:
            csv.writer(handle).writerow([level.at.isoformat(), f"{level.metres:.3f}"])
        written += 1
    return written
